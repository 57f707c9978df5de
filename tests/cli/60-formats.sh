# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The same pictures as CIFAR-10's binary files, a folder of PNGs, and shards, train
# the same network; so do ragged pictures as a folder and as shards.
need python3 tar
python3 - <<'END'
import os, random, struct, zlib

rng = random.Random(1)
names = ["c%d" % c for c in range(10)]

def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

def png(pixels, w, h):
    rows = b"".join(b"\0" + pixels[y * w * 3:(y + 1) * w * 3] for y in range(h))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))

def picture(c, w, h):
    base = [c * 25, 255 - c * 25, c * 97 % 256]
    return bytes(min(255, max(0, base[i % 3] + rng.randrange(-20, 20))) for i in range(w * h * 3))

def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)

def binary(pixels):
    return b"".join(pixels[ch::3] for ch in range(3))

records = {"train": [], "test": []}
for split, each in (("train", 5), ("test", 2)):
    for c in range(10):
        for i in range(each):
            pixels = picture(c, 32, 32)
            records[split].append(bytes([c]) + binary(pixels))
            put(f"square/{split}/{names[c]}/{i}.png", png(pixels, 32, 32))
            w, h = rng.randrange(20, 60), rng.randrange(20, 60)
            put(f"ragged/{split}/{names[c]}/{i}.png", png(picture(c, w, h), w, h))
for i in range(5): # of ten records each
    put(f"cifar/data_batch_{i + 1}.bin", b"".join(records["train"][10 * i:10 * i + 10]))
put("cifar/test_batch.bin", b"".join(records["test"]))
put("cifar/batches.meta.txt", "\n".join(names).encode() + b"\n")
for set in ("square", "ragged"):
    for split in ("train", "test"):
        for c in range(10):
            for name in sorted(os.listdir(f"{set}/{split}/{names[c]}")):
                stem = f"tars/{set}/{split}/{c}_{name[:-4]}"
                put(stem + ".png", open(f"{set}/{split}/{names[c]}/{name}", "rb").read())
                put(stem + ".cls", b"%d" % c)
END
for set in square ragged; do
    mkdir -p shards/$set
    printf 'c%d\n' 0 1 2 3 4 5 6 7 8 9 >shards/$set/classes.txt
    here=$PWD/shards/$set
    (cd tars/$set/train && tar --format=ustar -cf "$here/train-0.tar" --sort=name [0-4]_* &&
        tar --format=gnu -cf "$here/train-1.tar" --sort=name [5-9]_*)
    tar --format=pax -C tars/$set -cf shards/$set/test-0.tar --sort=name test
done
cat >any.yaml <<'END'
output_dir: run
bits: [8, 2]
threads: 1
data: {mean: [0.5], std: [0.25], workers: 2, augment: {crop_padding: 4, hflip: 0.5}}
model: {arch: resnet8, width: 0.25}
train: {epochs: 3, batch_size: 10}
END
# trained NAME OPTION...: what omq-eval says of it, without the speed
trained() {
    local name=$1
    shift
    expect 0 omq-train -q --set output_dir="run-$name" "$@" any.yaml
    empty err
    expect 0 omq-eval --confusion "run-$name/model.omq"
    empty err
    sed 's/ *[0-9]*$//' out >"$name.txt"
}
any=(--set data.size=32)
trained cifar --set data.format=cifar10 --set data.root=cifar
trained square --set data.format=folder --set data.root=square "${any[@]}"
trained shards --set data.format=shards --set data.root=shards/square "${any[@]}"
has cifar.txt w8a8 w2a2 "taken for class" c9
cmp cifar.txt square.txt
# a configuration for folders, with CIFAR as it is downloaded
mkdir below
cp -r cifar below/cifar-10-batches-bin
for root in cifar below; do
    expect 1 omq-train -n --set data.format=folder --set data.root=$root "${any[@]}" any.yaml
    has err "val/CLASS/; data.format: cifar10 reads the files that are there"
    expect 0 omq-train -n --set data.format=cifar10 --set data.root=$root "${any[@]}" any.yaml
done
cmp cifar.txt shards.txt
for other in square shards; do # all but speed and time
    cmp <(cut -d, -f-8 run-cifar/metrics.csv) <(cut -d, -f-8 run-$other/metrics.csv)
done

trained ragged --set data.format=folder --set data.root=ragged "${any[@]}" --set data.resize=40
trained rags --set data.format=shards --set data.root=shards/ragged "${any[@]}" --set data.resize=40
cmp ragged.txt rags.txt
! cmp -s ragged.txt cifar.txt || fail "the pictures make no difference"

# omq-run takes each picture for what omq-eval takes it for
trained bicubic --set data.format=folder --set data.root=ragged "${any[@]}" \
    --set data.resize=50 --set data.interpolation=bicubic
for name in ragged bicubic; do
    expect 0 omq-run --bits 2 run-$name/model.omq ragged/test/*/*.png
    [ "$(wc -l <out)" -eq 20 ] || fail "not 20 answers"
    right=$(awk -F '[/\t]' '$3 == $5' out | wc -l)
    expect 0 omq-eval --json --bits 2 run-$name/model.omq
    has out "\"top1\":$((5 * right)),"
done

# other pictures of the same kind; the float engine; a run that is resumed
expect 0 omq-eval --data square --engine float --bits 8 run-ragged/model.omq
expect 0 omq-eval --data square --per-layer --bits 2 --json run-ragged/model.omq
has out '"samples":20,"skipped":0'
# a part of a folder is of all classes
expect 0 omq-eval --limit 10 --confusion --bits 8 run-ragged/model.omq
awk '$1 ~ /^c[0-9]$/ { for (i = n = 0; i++ < 10;) n += $(i + 1); print n }' out >rows
[ "$(sort rows | uniq -c | tr -s ' ')" = " 10 1" ] || fail "not one image of each class: $(<rows)"

# elsewhere the folder of the training is not that folder
for tool in "omq-eval -b 8" "omq-train --recalibrate -o new.omq"; do
    # shellcheck disable=SC2086 # words
    (cd shards && expect 1 $tool ../run-ragged/model.omq &&
        has err "give --data DIR: there is no folder 'ragged/t")
done
expect 1 omq-eval --data nosuch -b 8 run-ragged/model.omq
has_not err "give --data"

mkdir fewer # classes, whose numbers are not those of the model
cp -r square/test fewer/test
expect 0 omq-eval --data fewer --bits 8 run-ragged/model.omq
rm -r fewer/test/c3
expect 2 omq-eval --data fewer --bits 8 run-ragged/model.omq
has err "class 3 is 'c4' in 'fewer', but 'c3' in the model"
cp -r square/train fewer/train # which has them all
expect 0 omq-eval --data fewer --bits 8 --json run-ragged/model.omq
has out '"samples":18,'
expect 0 omq-run run-ragged/model.omq ragged/test/c1/0.png
has out c
sed 's/epochs: 3/epochs: 4/' any.yaml >more.yaml
expect 0 omq-train -q --resume --set output_dir=run-square --set data.format=folder \
    --set data.root=square "${any[@]}" more.yaml
expect 0 omq-train -n --set data.format=folder --set data.root=square \
    --set 'data.size=[24, 32]' any.yaml
has out "50 training images of 24 x 32 x 3, 20 to evaluate, 10 classes"
