# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The kinds of input: the same pixels give the same answers, whatever they come in.
tiny_model
make_idx five.idx 12 12 5
tail -c +17 five.idx >five.raw
gzip -k five.idx
expect 0 omq-run run/model.omq five.idx
empty err
[ "$(wc -l <out)" -eq 5 ] || fail "not five answers"
grep -qP '^five\.idx\[4\]\t[0-3]\t[01]\.[0-9]{4}\tw8a8$' out || fail "$(<out)"
cut -f 2- out >answers

same_answers() { # COMMAND...
    expect 0 "$@"
    empty err
    cut -f 2- out | diff answers - || fail "$*"
}
same_answers omq-run run/model.omq five.idx.gz
same_answers omq-run run/model.omq <five.raw
same_answers omq-run run/model.omq - <five.raw
grep -q '^-\[4\]' out || fail "no -[4]"
# shellcheck disable=SC2002 # a pipe is the point
cat five.raw | same_answers omq-run run/model.omq
# Batches, threads and kernels change nothing.
same_answers omq-run --batch 2 -t 3 run/model.omq five.idx
same_answers omq-run --batch 4096 run/model.omq - <five.raw
same_answers env OMQ_CPU=ref omq-run run/model.omq five.idx
expect 0 omq-run -v run/model.omq five.idx
has err "omq-run: built with "
same_answers omq-run --resident 1 run/model.omq five.idx
same_answers omq-run - five.idx <run/model.omq

# Pictures: PNG by the same noise, and a grey JPEG as the frame that it is.
python3 - <<'END'
import base64, struct, zlib
pixels = open("five.raw", "rb").read()[:144]
def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
rows = b"".join(b"\0" + pixels[12 * y:12 * y + 12] for y in range(12))
open("first.png", "wb").write(b"\x89PNG\r\n\x1a\n" +
    chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 12, 8, 0, 0, 0, 0)) +
    chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
open("grey.jpeg", "wb").write(base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIs"
    "IxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/wAALCAAMAAwBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAA"
    "AAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AAP/Z"))
open("grey.raw", "wb").write(b"\x80" * 144)
END
cp grey.jpeg picture.txt # content counts, not names
expect 0 omq-run run/model.omq first.png grey.jpeg picture.txt - five.idx <grey.raw
empty err
cut -f 2- out | sed -n 1p | diff <(head -n 1 answers) - || fail "first.png"
[ "$(cut -f 2- out | sed -n 2,4p | uniq | wc -l)" -eq 1 ] || fail "grey: $(<out)"
cut -f 2- out | tail -n 5 | diff answers - || fail "five.idx, last"
cut -f 1 out | tr '\n' ' ' | grep -qx 'first.png grey.jpeg picture.txt -\[0\] five.idx\[0\] .* ' ||
    fail "names: $(<out)"
expect 0 omq-run run/model.omq five.idx - <grey.raw # frames are numbered anew
[ "$(tail -n 1 out | cut -f 1)" = "-[0]" ] || fail "after an idx file: $(<out)"
# Sizes and colours are fitted.
make_png wide.png 40 25 3
make_png small.png 3 7 1
expect 0 omq-run run/model.omq wide.png small.png
[ "$(wc -l <out)" -eq 2 ] || fail "not two answers"

# Precisions by all their names; --top.
for bits in 2 w2a2; do
    expect 0 omq-run --bits $bits run/model.omq first.png
    grep -qP '\tw2a2$' out || fail "--bits $bits: $(<out)"
done
expect 0 omq-run --top 3 run/model.omq first.png
awk -F '\t' 'NF != 8 || $3 < $5 || $5 < $7 { exit 1 }' out || fail "--top 3: $(<out)"
expect 0 omq-run --top 9 run/model.omq first.png # there are four
awk -F '\t' '{ sum = $3 + $5 + $7 + $9 } NF != 10 || sum < 0.999 || sum > 1.001 { exit 1 }' out ||
    fail "--top 9: $(<out)"
# Nothing to do is done.
expect 0 omq-run run/model.omq </dev/null
empty out
empty err
