# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What cannot be read is named, a line each; the others are answered; status 1.
tiny_model
make_png good.png 12 12 1
make_png other.png 12 12 1 7
head -c 100 other.png >cut.png
make_idx wrong.idx 10 12 3
head -c 200 wrong.idx >short.idx
: >empty.png
expect 1 omq-run run/model.omq good.png cut.png missing.png . empty.png tiny.yaml wrong.idx \
    short.idx other.png
[ "$(cut -f 1 out | tr '\n' ' ')" = "good.png other.png " ] || fail "answers: $(<out)"
[ "$(wc -l <err)" -eq 7 ] || fail "not a line each: $(<err)"
has err "'cut.png'" "'missing.png': No such file" "'.': Is a directory" "'empty.png'" \
    "'tiny.yaml' is neither a JPEG nor a PNG picture" \
    "the images of 'wrong.idx' are 12 x 10 x 1, but the model takes 12 x 12 x 1" "'short.idx'"
# A picture that is cut off is not taken for frames, of whatever size it is.
head -c 144 good.png >frame.png
expect 1 omq-run run/model.omq frame.png
has_not err "is no picture"
make_raw frames 288
expect 1 omq-run run/model.omq frames
has err "'frames' is no picture; if it is 2 frames of 12 x 12 x 1 bytes, give it as standard input"
expect 1 omq-run run/model.omq wrong.idx
# An idx file is no picture, and may be larger than one.
printf '\0\0\10\3\0\0\1\016\0\0\3\350\0\0\3\350' >large.idx # 270 of 1000 x 1000
truncate -s 270000016 large.idx
expect 1 omq-run run/model.omq large.idx
has err "the images of 'large.idx' are 1000 x 1000 x 1, but the model takes"
# In batches too: those that are good fill them.
expect 1 omq-run --batch 2 run/model.omq good.png cut.png other.png good.png
[ "$(wc -l <out)" -eq 3 ] || fail "batches: $(<out)"

# A stream that ends inside a frame: what came whole is answered.
make_raw frames $((144 * 2 + 56))
for options in "" "--batch 8"; do
    # shellcheck disable=SC2086 # several words
    expect 1 omq-run $options run/model.omq <frames
    [ "$(wc -l <out)" -eq 2 ] || fail "stream: $(<out)"
    has err "standard input ends inside frame 2, after 56 of 144 bytes (12 x 12 x 1)"
done

# The model itself.
for f in missing.omq . tiny.yaml empty.png good.png; do
    expect 1 omq-run $f good.png
    empty out
    has err "omq-run: " "$f"
    [ "$(wc -l <err)" -eq 1 ] || fail "more than one line"
done
# Two channels are for raw frames only.
cp "$OMQ_SRC/tests/fuzz/model/corpus/base.omq" two.omq
expect 1 omq-run two.omq good.png
has err "pictures have 1 or 3 channels, but the model takes 2"
expect 0 omq-run --bits mixed two.omq - <<<"$(head -c 127 frames | tr '\0' x)"
grep -qP '\tmixed$' out || fail "profile: $(<out)"
expect 1 omq-run --bits 32 two.omq good.png
has err "use omq-eval --engine float"

# Answers that cannot be written; a reader that goes away.
expect 1 bash -c 'omq-run run/model.omq good.png >/dev/full'
has err "cannot write to standard output"
make_raw many $((144 * 5000))
set +e
omq-run run/model.omq <many 2>err | head -n 1 >out
status=${PIPESTATUS[0]}
set -e
[ "$status" -eq 1 ] || fail "exit status $status when the reader left"
empty err
