# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# ncnn: two files, complete and consistent, which mean what omq computes.
python=/usr/bin/python3 # Debian's, whose NumPy python3-numpy is
$python -c "import numpy" 2>/dev/null || skip "python3-numpy is not installed"
need tar
make_raw frames $((20 * 20 * 3 * 30))

check() { # MODEL BITS: top-1 and probabilities
    expect 0 omq-export -b "$2" -o net.param "$1"
    empty out
    $python "$OMQ_SRC/scripts/check-ncnn.py" net.param net.bin <frames >answers ||
        fail "$1 at $2 bits"
    omq-run -q -b "$2" "$1" <frames | cut -f 2,3 >want
    paste want answers | awk '{ d = $2 - $4; n += $1 == $3 && d * d < 1e-6 }
        END { exit !(NR == 30 && n >= 29) }' || fail "$(paste want answers)"
}

for arch in resnet8 lenet5; do
    tiny_config | sed "s/^bits:.*/bits: [8, 7, 4, 2, 1]/; s/resnet8, width: 0.25/$arch, width: 0.5/
        s/height: 12, width: 12, channels: 1/height: 20, width: 20, channels: 3/" >tiny.yaml
    expect 0 omq-train -q --force --set quant.weight_steps=channel tiny.yaml
    for bits in 7 4 2 1; do check run/model.omq $bits; done
done

# Floats have nine digits, and no number more than the 15 bytes that ncnn reads.
grep -oE '[0-9.-]+e[+-][0-9]+' net.param >numbers
grep -vxE '.[0-9.]*\.[0-9]{8}e.*' numbers && fail "not nine digits"
grep -E '.{16}' numbers && fail "more than 15 bytes"

# The names of the two files; a pair is a tar in a pipe, and so are several.
expect 0 omq-export -f ncnn -b 4 -o plain run/model.omq
expect 0 omq-export -f ncnn -b 7 -o seven run/model.omq
expect 0 omq-export -o default.param run/model.omq
cmp default.bin seven.bin
expect 0 omq-export -f ncnn -b 4 -o net.param run/model.omq
cmp plain net.param
cmp plain.bin net.bin
mkdir by-second
expect 0 omq-export -b 4 --vectors 2 -o by-second/net.bin run/model.omq
[ "$(cd by-second && echo ./*)" = "./net.bin ./net.param ./net_vectors.npz" ] ||
    fail "$(ls by-second)"
cmp by-second/net.param net.param
cmp by-second/net.bin net.bin
expect 0 omq-export -f ncnn -b 4 --name x run/model.omq
[ "$(tar -tf out | tr '\n' ' ')" = "x_w4a4.param x_w4a4.bin manifest.json " ] ||
    fail "$(tar -tf out)"
tar -xf out
cmp x_w4a4.param net.param
cmp x_w4a4.bin net.bin
expect 0 omq-export -f ncnn -b 4,2 -o x.tar run/model.omq
[ "$(tar -tf x.tar | wc -l)" -eq 5 ] || fail "$(tar -tf x.tar)"

# What does not fit is refused, and leaves both files.
expect 1 omq-export -b 8 -o net.param run/model.omq
has err "has 8 bits at 'w8a8', but ncnn's integers have a sign" "at most 7 bits"
cmp x_w4a4.param net.param
expect 1 omq-export -f ncnn -b 4,8 -o x.tar run/model.omq
[ "$(tar -tf x.tar | wc -l)" -eq 5 ] || fail "$(tar -tf x.tar)"
expect 1 omq-export -b 2 -o net.param "$OMQ_SRC/tests/fuzz/model/corpus/base.omq"
has err "'b' has 2 groups"
cmp x_w4a4.bin net.bin
mkdir other
ln -s ../run/model.omq other/net.bin # the second file would be the model
expect 2 omq-export -b 4 -o other/net.param run/model.omq
has err "'other/net.bin' is the model itself"
[ ! -e other/net.param ] || fail "other/net.param"
mkdir half half/net.param # neither file, if one cannot be written
expect 1 omq-export -b 4 -o half/net.param run/model.omq
has err "cannot open 'half/net.param': Is a directory"
[ "$(ls half)" = net.param ] || fail "$(ls half)"
