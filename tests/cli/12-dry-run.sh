# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The report, as text and JSON, and nothing created.
tiny_config >tiny.yaml
expect 0 omq-train --dry-run tiny.yaml
[ -s out ] || fail "no report"
expect 0 omq-train -n --json tiny.yaml
[ "$(wc -l <out)" -eq 1 ] || fail "not one line"
if command -v python3 >/dev/null; then
    python3 -c 'import json, sys; assert isinstance(json.load(sys.stdin), dict)' <out
fi

# What learns when; no stage that has no epoch.
stages() { # TEXT OPTION...
    local want=$1
    shift
    expect 0 omq-train --dry-run "$@" tiny.yaml
    [ "$(sed -n '/^epochs /,/^$/p' out | sed '1d; $d')" = "$want" ] || fail "stages: $*: $(cat out)"
}
stages '1 to 10        w8a8 alone
11 to 20       w8a8 and 1 of the other 2
21 to 30       views of w2a2 alone' --set train.epochs=20 --set train.highest_first=0.5 \
    --set train.widths_per_step=2 --set train.views_last=0.5 --set quant.view_max_bits=2
stages '1              w8a8 alone
2              all 3' --set train.highest_first=0.5
stages '1 to 2         1 of 3' --set train.highest_first=0 --set train.widths_per_step=1
stages '1 to 2         w2a2 alone' --set 'bits=[2]' --set train.highest_first=0.5
stages '' --set train.epochs=0

# What the run would fail by: a file in the place of its folder, and no memory for a batch.
: >file
for dir in file file/run; do
    expect 1 omq-train -n --set output_dir=$dir tiny.yaml
    has err "file"
done
if [ "$(id -u)" -ne 0 ]; then
    mkdir -m 555 closed
    expect 1 omq-train -n --set output_dir=closed/a/b tiny.yaml
    has err "cannot write to directory 'closed'"
    rmdir closed
fi
expect 0 omq-train -n --set output_dir=a/b/c/ tiny.yaml
has_not out "of this machine"
expect 0 omq-train -n --set data.synthetic.train=65536 --set data.synthetic.test=8 \
    --set train.batch_size=65536 --set model.width=16 tiny.yaml
has out "more than the " " MiB of this machine"
rm out err file
[ "$(ls)" = tiny.yaml ] || fail "something was created: $(ls)"

# What is kept for each thread is counted, and takes no images away.
images() { # THREADS
    expect 0 omq-train -n --threads "$1" --set train.epochs=0 --set model.arch=vgg16 \
        --set data.synthetic.height=32 --set data.synthetic.width=32 \
        --set data.synthetic.train=256 --set train.calibration_images=256 tiny.yaml
    sed -n 's/^memory: about .*, to calibrate with \(.*\) images.*/\1/p' out
}
[ "$(images 1)" = "$(images 64)" ] || fail "$(images 1) images with one thread, not with 64"
