# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# From a network that was trained in floating point to fewer bits, without training:
# the accuracy stays near.
ln -s "$OMQ_SRC/data" .
sed 's/^bits:.*/bits: [32]/; s/epochs: 8/epochs: 2/; s/lr: 0.4/lr: 0.2/' \
    "$OMQ_SRC/configs/quickstart.yaml" >float.yaml
expect 0 omq-train -q --set output_dir=float --set data.train_limit=1000 --set model.width=0.25 \
    --set train.batch_size=32 --set train.calibration_images=128 float.yaml
expect 0 omq-train --recalibrate --bits 8,6,5,4 -o all.omq float/model.omq
has err "w8a8 calibrated after w32a32"
expect 0 omq-eval all.omq
awk '
    NR == 1 { next }
    NR == 2 { exact = $2; if (exact < 50) { print "the float network has learned little"; exit 1 } }
    $1 == "w8a8" && $2 < exact - 1 || $1 == "w6a6" && $2 < exact - 2 ||
    $1 == "w5a5" && $2 < exact - 4 || $1 == "w4a4" && $2 < exact - 8 {
        print $1 " has " $2 " %, the float network " exact " %"
        exit 1
    }' out || fail "calibration lost accuracy"

# A stop leaves the file that was there.
cp all.omq kept.omq
omq-train --recalibrate --bits w4a8,w6a8,w3a3,w3a4,w3a8,w2a4,w2a8 -o all.omq \
    all.omq >out 2>err &
pid=$!
wait_for $pid err "w4a8 calibrated"
kill -TERM $pid
ended $pid 75
has err "nothing was written"
cmp all.omq kept.omq || fail "a stop changed the model"
[ -z "$(find . -name '*.tmp*' -o -name '.*.omq*')" ] || fail "something was left: $(ls -A)"
