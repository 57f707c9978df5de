# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# omq-run takes each test image for what omq-eval takes it for.
need python3
python3 - <<'END'
import random, struct
rng = random.Random(3)
for name, count in ("train", 60), ("t10k", 40):
    labels = [rng.randrange(10) for _ in range(count)]
    pixels = bytearray()
    for label in labels: # a bright column, where its label says, and noise
        pixels += bytes(min(255, rng.randrange(160) + 90 * (x == label + 1))
                        for y in range(12) for x in range(12))
    with open(name + "-images-idx3-ubyte", "wb") as f:
        f.write(struct.pack(">IIII", 0x803, count, 12, 12) + pixels)
    with open(name + "-labels-idx1-ubyte", "wb") as f:
        f.write(struct.pack(">II", 0x801, count) + bytes(labels))
    open(name + ".labels", "w").writelines("%d\n" % label for label in labels)
END
sed -e '/synthetic/d' -e 's/^data:/data:\n  format: idx\n  root: ./' <(tiny_config) >tiny.yaml
expect 0 omq-train -q tiny.yaml
# Of images that are stored column by column (EMNIST), too.
expect 0 omq-train -q --set data.transpose=true --set output_dir=columns tiny.yaml
for at in run:8 run:2 run:w4a8 columns:8; do
    model=${at%:*}/model.omq bits=${at#*:}
    expect 0 omq-eval --json --bits "$bits" "$model"
    want=$(grep -o '"top1":[^,]*' out)
    expect 0 omq-run --batch 7 --bits "$bits" "$model" t10k-images-idx3-ubyte
    right=$(paste t10k.labels <(cut -f 2 out) | awk '$1 == $2' | wc -l)
    [ "$want" = "\"top1\":$(python3 -c "print('%.17g' % (100 * $right / 40))")" ] ||
        fail "$at: $right of 40 right, but $want"
    OMQ_CPU=ref omq-run -t 1 --bits "$bits" "$model" t10k-images-idx3-ubyte | cmp - out
done
