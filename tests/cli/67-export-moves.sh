# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Concats, shortcuts, ReLUs with an end and depthwise convolutions in one network
# (scripts/gen-moves.sh): it runs, and what runs elsewhere gives what omq computes.
model=$OMQ_SRC/tests/data/moves.omq
make_idx images 12 12 200
make_raw raw $((60 * 144))

for bits in 8 4 1; do
    expect 0 omq-run -q --bits $bits -t 1 "$model" images
    cut -f 2,3 out >want
    for threads in 2 3; do
        expect 0 omq-run -q --bits $bits --batch 7 -t $threads "$model" images
        cut -f 2,3 out | cmp - want || fail "$bits bits on $threads threads"
    done
    [ "$(cut -f 1 want | sort -u | wc -l)" -gt 1 ] || fail "but one answer at $bits bits"
done

need cc
omq-export --format c --main "$model" | cc -x c -O1 -o net -
for bits in 8 4 1; do
    omq-run -q --bits $bits "$model" <raw | cut -f 2,3 >want
    ./net w${bits}a$bits <raw | cut -f 1,3 | diff want - || fail "$bits bits in C"
done

python=/usr/bin/python3 # Debian's, whose NumPy python3-numpy is
numpy=
if $python -c "import numpy" 2>/dev/null; then
    numpy=yes
    for bits in 4 1; do
        omq-run -q --bits $bits "$model" <raw | cut -f 2,3 >want
        expect 0 omq-export --bits $bits -o net.param "$model"
        $python "$OMQ_SRC/scripts/check-ncnn.py" net.param net.bin <raw >answers ||
            fail "$bits bits in ncnn"
        paste want answers | awk '{ d = $2 - $4; n += $1 == $3 && d * d < 1e-5 }
            END { exit !(NR == 60 && n >= 59) }' || fail "$bits bits: $(paste want answers)"
    done
fi

# Of random weights classes are close: where rounding differs, some answers do.
# 51-export-onnx.sh installs the runtime, if that can be.
need node
export NODE_PATH=${OMQ_ORT:-${XDG_CACHE_HOME:-/tmp}/omq-test-ort}/node_modules
node -e 'require("onnxruntime-node")' 2>err || skip "ONNX Runtime does not run here: $(<err)"
for bits in 8 4 1; do
    expect 0 omq-run -q --bits $bits "$model" images
    cut -f 2 out >omq
    for how in "199 --style exact" "199 --weight-type u8" "170 --style qcdq"; do
        # shellcheck disable=SC2086 # several words
        expect 0 omq-export --bits $bits ${how#* } -o net.onnx "$model"
        expect 0 node "$OMQ_SRC/scripts/check-onnx.js" net.onnx images
        cut -f 1 out >ort
        same=$(paste omq ort | awk '$1 == $2' | wc -l)
        [ "$same" -ge "${how%% *}" ] || { [ "${how##* }" = qcdq ] && ! qlinear_is_exact; } ||
            fail "${how#* } at $bits bits: $same of 200 alike"
    done
done
[ -n "$numpy" ] || skip "ncnn not compared: no NumPy"
qlinear_is_exact || skip "QLinearConv of weights s8 not compared: without VNNI it is not exact"
