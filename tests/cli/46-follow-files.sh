# SPDX-License-Identifier: MIT
# shellcheck shell=bash
pid= # which follow sets
# What can happen to the files of a model that runs: replaced, cut off, damaged.
tiny_model
make_raw one 144
expect 0 omq-train -q --set seed=8 --set output_dir=other tiny.yaml
sed 's/height: 12, width: 12/height: 16, width: 16/' tiny.yaml >large.yaml
expect 0 omq-train -q --set output_dir=large large.yaml
cp run/model.omq model.omq

# Another model of the same kind takes the name; it keeps the precision.
follow model.omq
frame 0
expect 0 omq-switch --bits 2 --wait model.omq
frame 1
mv other/model.omq model.omq
wait_for "$pid" said "'model.omq' was replaced; the new model runs at w2a2"
frame 2
expect 0 omq-switch --bits 8 --wait model.omq
frame 3
# A file that is no model does not.
cp tiny.yaml text
mv text model.omq
wait_for "$pid" said "going on with the model as it was"
frame 4
for _ in 1 2 3; do # it is still being written
    sleep 0.7
    echo >>model.omq
done
cp run/model.omq good
mv good model.omq
wait_for "$pid" said "runs at w8a8"
frame 5
followed 0
[ "$(cut -f 4 answers | tr '\n' ' ')" = "w8a8 w2a2 w2a2 w8a8 w8a8 w8a8 " ] || fail "$(<answers)"
[ "$(wc -l <said)" -eq 5 ] || fail "said more than once: $(<said)"
[ "$(sed -n 2p answers | cut -f 2-)" != "$(sed -n 3p answers | cut -f 2-)" ] || fail "the old model"

# One for larger images ends the run, before it is given an image of this size.
follow model.omq
frame 0
mv large/model.omq model.omq
wait_for "$pid" said "was replaced by a model for other images or classes"
ended "$pid" 1 # though frames could come
exec 3>&-
[ "$(wc -l <answers)" -eq 1 ] || fail "$(<answers)"
has_not said "not answered"
# What it has read of a batch is told.
cp run/model.omq model.omq
follow --batch 8 model.omq
cat one one one >&3
sleep 0.5
expect 0 omq-train -q --set output_dir=large --force large.yaml
mv large/model.omq model.omq
wait_for "$pid" said "images read but not answered: 3"
ended "$pid" 1
exec 3>&-

# One that the governor's floor leaves nothing of ends it too.
expect 0 omq-train -q --set 'bits=[2]' --set output_dir=low tiny.yaml
cp run/model.omq model.omq
follow -g latency:60000 --floor w4a8 model.omq
frame 0
mv low/model.omq model.omq
wait_for "$pid" said "was replaced by a model that the governor cannot begin on: start anew"
ended "$pid" 1
exec 3>&-
has said "unknown precision 'w4a8' for the floor"

# Cut off in place: said once, and the copy in memory goes on.
cp run/model.omq model.omq
follow model.omq
frame 0
truncate -s 40 model.omq
wait_for "$pid" said "'model.omq' was changed in place: going on with the model as it was"
wait_for "$pid" said "the file was cut off before its switch word"
frame 1
sleep 1.2 # another look at the name
frame 2
followed 0
[ "$(wc -l <said)" -eq 2 ] || fail "said more than once: $(<said)"
[ "$(cut -f 2- answers | uniq | wc -l)" -eq 1 ] || fail "$(<answers)"

# A damaged switch word: said once, when it has lasted; the next good one is followed.
cp run/model.omq model.omq
follow model.omq
frame 0
printf 'xxxx' | dd of=model.omq bs=1 seek=56 conv=notrunc status=none
wait_for "$pid" said "the switch word at byte 56 does not match its complement"
frame 1
expect 1 omq-switch model.omq
has err "set it again with omq-switch"
expect 0 omq-switch --bits 2 --wait model.omq
frame 2
[ "$(omq-switch --get model.omq)" = w2a2 ] || fail "not set again"
# w5a5, with its complement, which this model does not have.
printf '\005\005\000\000\372\372\377\377' | dd of=model.omq bs=1 seek=56 conv=notrunc status=none
wait_for "$pid" said "names a precision that the model does not have"
frame 3
# Damaged once more after a good one, it is told once more.
printf 'xxxx' | dd of=model.omq bs=1 seek=56 conv=notrunc status=none
sleep 1.5
frame 4
followed 0
[ "$(cut -f 4 answers | tr '\n' ' ')" = "w8a8 w8a8 w2a2 w2a2 w2a2 " ] || fail "$(<answers)"
[ "$(wc -l <said)" -eq 4 ] || fail "said more than once: $(<said)"
[ "$(grep -c "does not match its complement" said)" -eq 2 ] || fail "$(<said)"

# A control file serves a model that nobody may write.
cp run/model.omq model.omq
chmod 444 model.omq
cp model.omq before.omq
expect 1 omq-run --control control model.omq <one
has err "'control'"
[ ! -e control ] || fail "omq-run made it"
expect 0 omq-switch --control control --bits w4a8 model.omq
[ "$(stat -c %s control)" -eq 64 ] || fail "not 64 bytes"
[ "$(omq-switch --control control --get model.omq)" = w4a8 ] || fail "--get"
follow --control control model.omq
frame 0
expect 0 omq-switch --control control --bits 2 --wait model.omq
frame 1
followed 0
[ "$(cut -f 4 answers | tr '\n' ' ')" = "w4a8 w2a2 " ] || fail "$(<answers)"
cmp model.omq before.omq
expect 1 omq-switch --control tiny.yaml --bits 2 model.omq
has err "'tiny.yaml' is neither a model nor a control file"
expect 1 omq-run --control tiny.yaml model.omq <one
has err "'tiny.yaml' is neither a model nor a control file"
cmp tiny.yaml <(tiny_config)
# Without the option the model's own word counts, which was never set.
[ "$(omq-switch --get model.omq)" = w8a8 ] || fail "the model's own word"
