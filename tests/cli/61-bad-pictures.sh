# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Folders with damaged pictures: named, and the run stops, or they are counted and
# others take their place; trees and shards that are not as they should be.
need python3
for split in train val; do
    for class in a b; do
        mkdir -p data/$split/$class
        for i in 0 1 2 3 4 5 6 7; do
            make_png data/$split/$class/$i.png $((9 + i)) 12 3 $i
        done
    done
done
cat >any.yaml <<'END'
output_dir: run
bits: [8, 2]
threads: 1
data: {format: folder, root: data, size: 8, mean: [0.5], std: [0.25]}
model: {arch: resnet8, width: 0.25}
train: {epochs: 2, batch_size: 4}
END
expect 0 omq-train -q any.yaml
empty err
cp -r run good

for damage in "head -c 100" "tail -c +2" "printf x" "head -c 0"; do
    $damage data/train/a/1.png >data/train/a/5.png
    expect 1 omq-train -q --force any.yaml
    has err data/train/a/5.png
    [ "$(wc -l <err)" -eq 1 ] || fail "more than one line"
    expect 0 omq-train -q --force --set data.on_bad_image=skip any.yaml
    [ "$(grep -c "damaged image.* in epoch .*data/train/a/5.png" err)" -eq 2 ] ||
        fail "not reported after each epoch: $(<err)"
done
cp data/val/b/0.png data/val/b/3.png
truncate -s 80 data/val/b/3.png
expect 1 omq-train -q --force --set data.on_bad_image=skip --set data.root=nowhere any.yaml
has err nowhere/train
expect 0 omq-train --force --set data.on_bad_image=skip any.yaml
has err "1 damaged image left out of the evaluation"
expect 0 omq-eval --bits 8 --json run/model.omq
has out '"samples":15,"skipped":1'
has err "warning: 1 damaged image"
expect 0 omq-eval --bits 8 --engine float --per-layer run/model.omq
cp data/train/a/5.png bad.png
head -c 100 bad.png >data/train/a/5.png
expect 0 omq-train -q --recalibrate --bits 8,4 -o again.omq run/model.omq
has err "in the statistics of batch norm, others took their place: 'data/train/a/5.png'" \
    "in the calibration, others" "1 damaged image left out of the evaluation"
expect 1 omq-eval --bits 8 good/model.omq
has err data/val/b/3.png

# what is no picture, and classes that do not fit
rm data/val/b/3.png data/train/a/5.png
echo note >data/train/a/note.txt
echo note >data/train/.hidden
ln -s ../a/1.png data/train/b/link.png
expect 0 omq-train -n any.yaml
has out "16 training images" "15 to evaluate" "2 classes"
mkdir data/train/c
expect 1 omq-train -n any.yaml
has err "data/train/c' has no pictures"
rmdir data/train/c
mkdir data/val/c
expect 1 omq-train -n any.yaml
has err "has the class 'c'"
rmdir data/val/c
ln -s nowhere.png data/train/b/gone.png
expect 1 omq-train -q --force --set data.on_bad_image=skip any.yaml
has err data/train/b/gone.png "No such file"

# shards
mkdir shards
make_raw shards/train-0.tar 5000
expect 1 omq-train -n --set train.batch_size=1 \
    --set data.format=shards --set data.root=shards any.yaml
has err shards/train-0.tar checksum
need tar
echo 0 >0.cls
cp data/val/a/0.png 0.png
tar -cPf shards/train-0.tar --transform 's|^|../|' 0.png 0.cls
expect 1 omq-train -n --set train.batch_size=1 \
    --set data.format=shards --set data.root=shards any.yaml
has err shards/train-0.tar "'..'"
tar -czf shards/train-0.tar 0.png 0.cls
expect 1 omq-train -n --set train.batch_size=1 \
    --set data.format=shards --set data.root=shards any.yaml
has err shards/train-0.tar gunzip
tar -cf shards/train-0.tar 0.png 0.cls
cp shards/train-0.tar shards/val-0.tar
expect 0 omq-train -n --set train.batch_size=1 \
    --set data.format=shards --set data.root=shards any.yaml
truncate -s 1000 shards/val-0.tar
expect 1 omq-train -n --set train.batch_size=1 \
    --set data.format=shards --set data.root=shards any.yaml
has err shards/val-0.tar "cut off"

# what the configuration must say
for key in size root mean std; do
    sed "s/$key: [^,}]*[,}]/x&/; s/x$key: [^,}]*,//; s/, x$key: [^,}]*}/}/" any.yaml >less.yaml
    expect 2 omq-train -n less.yaml
    has err "missing required key 'data.$key', which format folder needs"
done
expect 2 omq-train -n --set data.resize=7 any.yaml
has err "'data.resize' is 7, less than 'data.size'"
expect 2 omq-train -n --set data.format=cifar10 any.yaml
has err "'data.size' is for formats"
