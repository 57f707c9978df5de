# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Everything that data.augment has, on a folder of pictures of several sizes: two
# epochs of every precision, the same with any number of threads that load.
make_folder() {
    need python3
    python3 - <<'END'
import os, random, struct, zlib
def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
def png(name, w, h, channels, rng):
    low = rng.randrange(100)
    rows = b"".join(b"\0" + bytes(low + rng.randrange(150) for _ in range(w * channels))
                    for _ in range(h))
    head = struct.pack(">IIBBBBB", w, h, 8, 0 if channels == 1 else 2, 0, 0, 0)
    with open(name, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) +
                chunk(b"IEND", b""))
rng = random.Random(1)
for split, count in ("train", 17), ("val", 4):
    for label in "ab":
        os.makedirs(f"pictures/{split}/{label}")
        for i in range(count):
            png(f"pictures/{split}/{label}/{i}.png", rng.randint(14, 40), rng.randint(14, 40),
                rng.choice([1, 3, 3]), rng)
END
}
make_folder
cat >all.yaml <<'END'
output_dir: run
threads: 1
bits: [8, 4, 2, 1]
data:
  format: folder
  root: pictures
  size: 16
  resize: 18
  interpolation: bicubic
  mean: [0.485, 0.456, 0.406]
  std: [0.229, 0.224, 0.225]
  augment:
    hflip: 0.5
    vflip: 0.5
    random_resized_crop: {scale: [0.2, 1]}
    color_jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1}
    random_erasing: {probability: 0.5}
    mixup: 0.2
    cutmix: 1
model: {arch: resnet8, width: 0.25}
train: {epochs: 2, batch_size: 8, label_smoothing: 0.1, widths_per_step: 0}
END
# a run and what it learned, the configuration and time of saving apart
trained() {
    mkdir "$1"
    ln -s ../pictures "$1/pictures"
    (cd "$1" && expect 0 omq-train -q "${@:2}" ../all.yaml)
    omq-eval --json "$1/run/model.omq" | sed 's/"seconds".*//' >"$1/answers"
    cut -d, -f1-8 "$1/run/metrics.csv" >"$1/losses"
}
for kind in own shared; do
    options=(--set "train.batches=$kind")
    [ $kind = own ] || options+=(--set train.distill=0.5)
    trained $kind-1 "${options[@]}"
    trained $kind-3 "${options[@]}" --set data.workers=3
    cmp $kind-1/losses $kind-3/losses
    cmp $kind-1/answers $kind-3/answers
done
# each of them makes a difference, and so is not left out
for off in random_resized_crop.enabled=false color_jitter.hue=0 random_erasing.probability=0 \
    mixup=0 cutmix=0 vflip=0; do
    trained "${off%%=*}" "${options[@]}" --set "data.augment.$off"
    ! cmp -s shared-1/losses "${off%%=*}/losses" || fail "$off changes nothing"
done
