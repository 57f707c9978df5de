# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# npz and safetensors: the same arrays, and the weights of the codes are omq's; vectors.
python=/usr/bin/python3 # Debian's, whose NumPy python3-numpy is
$python -c "import numpy" 2>/dev/null || skip "python3-numpy is not installed"

check() { # MODEL
    for format in npz safetensors json; do
        expect 0 omq-export --name net -o "net.$format" "$1"
    done
    expect 0 $python "$OMQ_SRC/scripts/check-arrays.py" net.npz net.safetensors net.json
    empty err
}

# Each grid, and steps a channel; in most of them, 1 bit has a view as well.
all="bits=[8,7,6,5,4,3,2,1,w4a8]"
for options in "$all quant.view=off" "bits=[7,5,3,2,1] quant.grid=midrise" \
    "bits=[8,5,3,2] quant.grid=symmetric" "$all quant.weight_steps=channel" \
    "$all quant.first_last_bits=0"; do
    set --
    for option in $options; do set -- "$@" --set "$option"; done
    tiny_model --force "$@"
    check run/model.omq
    has out " of them codes of unchanged weights"
done

# Names, types and shapes that the page promises; profiles; a choice of precisions.
cp "$OMQ_SRC/tests/fuzz/model/corpus/base.omq" two.omq
check two.omq
expect 0 omq-export --bits 2,w4a8 -o two.npz run/model.omq
$python - <<'END_OF_CHECK'
import numpy as np

z = np.load("two.npz")
assert z["layer1.0.conv1.weight"].dtype == np.float32
assert z["layer1.0.conv1.weight.q2"].dtype == np.int8
assert z["layer1.0.conv1.weight.q.w4a8"].ndim == 4 and z["linear.weight.q2"].ndim == 2
assert z["layer1.0.conv1.in.a2.max"] == 3 and z["layer1.0.conv1.in.a.w4a8.max"] == 255
assert z["input.a2.zero_point"] == 128 and z["layer1.0.conv1.in.a2.scale"] > 0
for name in "weight", "bias", "running_mean", "running_var":
    assert z["layer1.0.bn1.b2." + name].shape == z["layer1.0.conv1.weight.q2.scale"].shape
assert not any(".q8" in name for name in z.files)
z = np.load("net.npz")
assert any(name.endswith(".q.mixed") for name in z.files)
END_OF_CHECK

# Vectors are what the engine answers.
expect 0 omq-export --bits 4,2 --vectors 12 -o golden.npz run/model.omq
$python - <<'END_OF_CHECK'
import numpy as np

z = np.load("golden_vectors.npz")
assert sorted(z.files) == ["codes", "logits.w2a2", "logits.w4a4", "pixels"]
assert len({image.tobytes() for image in z["pixels"]}) == 12
assert z["pixels"].shape == z["codes"].shape == (12, 12, 12, 1)
z["pixels"].tofile("pixels")
for bits in "4", "2":
    logits = z[f"logits.w{bits}a{bits}"]
    p = np.exp(logits - logits.max(1, keepdims=True))
    with open("want" + bits, "w") as f:
        for row in p / p.sum(1, keepdims=True):
            f.write("%d\t%.4f\n" % (row.argmax(), row.max()))
END_OF_CHECK
for bits in 4 2; do
    omq-run -q -b $bits run/model.omq <pixels | cut -f 2,3 | cmp - want$bits
done

# A packed model has the same integers, and no weights that were trained.
expect 0 omq-export -o packed.omq two.omq
expect 0 omq-export -o packed.npz packed.omq
expect 0 omq-export -o packed.safetensors packed.omq
$python - <<'END_OF_CHECK'
import numpy as np

whole, packed = np.load("net.npz"), np.load("packed.npz")
missing = set(whole.files) - set(packed.files)
assert missing and all(name + ".q2" in packed.files for name in missing), missing
assert all(np.array_equal(whole[name], packed[name]) for name in packed.files)
END_OF_CHECK

# The same bytes again, and through a pipe.
for format in npz safetensors; do
    expect 0 omq-export -f $format --name net two.omq
    cmp out net.$format
done
if command -v unzip >/dev/null; then
    unzip -qt net.npz || fail "unzip"
fi
