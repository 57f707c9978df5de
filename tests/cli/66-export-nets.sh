# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Networks with depthwise convolutions, ReLU6 and shortcuts A in every format: what runs
# elsewhere gives what omq computes.
need cc
python=/usr/bin/python3 # Debian's, whose NumPy python3-numpy is
$python -c "import numpy" 2>/dev/null || python=

config() { # NAME SIDE MODEL
    tiny_config | sed -e "s/output_dir: run/output_dir: $1/" -e 's/bits: .*/bits: [8, 4, 1]/' \
        -e "s/height: 12, width: 12, channels: 1/height: $2, width: $2, channels: 3/" \
        -e "s/model: .*/model: {$3}/" -e 's/epochs: 2/epochs: 1/'
}

# The same probabilities, digit by digit. In ncnn's floats a value in a million is rounded
# to the other code.
check() { # NAME SIDE
    local model=$1/model.omq bits
    make_raw images $((20 * $2 * $2 * 3))
    omq-export --format c --main "$model" | cc -x c -O1 -o net -
    expect 0 omq-export -o net.npz "$model"
    for bits in 8 4 1; do
        omq-run -q --bits $bits "$model" <images | cut -f 2,3 >want
        [ "$(wc -l <want)" -eq 20 ] || fail "$1: not 20 answers"
        ./net w${bits}a$bits <images | cut -f 2,3 | diff want - || fail "$1 at $bits bits in C"
        expect 0 omq-export --bits $bits -o net.onnx "$model"
        expect 0 omq-export --bits $bits --style exact -o net.onnx "$model"
        expect 0 omq-export --bits $bits --style float -o net.onnx "$model"
        if [ -z "$python" ] || [ $bits -eq 8 ]; then continue; fi
        expect 0 omq-export --bits $bits -o net.param "$model"
        $python "$OMQ_SRC/scripts/check-ncnn.py" net.param net.bin <images >answers ||
            fail "$1 at $bits bits in ncnn"
        paste want answers | awk '{ d = $2 - $4; n += $1 == $3 && d * d < 1e-5 }
            END { exit !(NR == 20 && n >= 19) }' || fail "$1, $bits bits: $(paste want answers)"
    done
    expect 0 omq-export --format c --cmsis "$model"
    [ -z "$python" ] && return
    for format in safetensors json; do
        expect 0 omq-export --name net -o "net.$format" "$model"
    done
    expect 0 $python "$OMQ_SRC/scripts/check-arrays.py" net.npz net.safetensors net.json
}

config mobile 32 "arch: mobilenet_v2, width: 0.25" >mobile.yaml
expect 0 omq-train -q mobile.yaml
check mobile 32
config resnet 16 "arch: resnet20, width: 0.5, shortcut: A" >resnet.yaml
expect 0 omq-train -q resnet.yaml
check resnet 16
[ -n "$python" ] || skip "ncnn and arrays not compared: no NumPy"
