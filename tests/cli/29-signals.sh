# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The second SIGINT ends a run at once, in the middle of a long step.
[ -r /proc/self/status ] || skip "no /proc"
caught() { # waits until the process handles SIGINT: bit 1 of a mask in hex
    until grep -qE '^SigCgt:.*[2367abef]$' "/proc/$1/status"; do
        sleep 0.01
    done
}

env --default-signal=INT true 2>/dev/null || skip "env cannot reset signals"
tiny_config >tiny.yaml
big=(--set data.synthetic.height=32 --set data.synthetic.width=32 --set model.width=2
    --set data.synthetic.train=256 --set train.batch_size=256
    --set 'bits=[8,7,6,5,4,3,2,1]')
env --default-signal=INT omq-train "${big[@]}" tiny.yaml >out 2>err &
pid=$!
caught $pid
kill -INT $pid
wait_for $pid err "Ctrl-C now stops at once"
sleep 0.1
kill -INT $pid
ended $pid 130
[ ! -e run/model.omq ] || fail "a model of half a training"

# A terminal that goes away costs no more than the step.
env --default-signal=HUP omq-train --set output_dir=gone --set train.epochs=9999 tiny.yaml \
    >out 2>err &
pid=$!
wait_for $pid err "epoch 1/9999"
kill -HUP $pid
ended $pid 75
[ -s gone/last.omq ] || fail "no checkpoint"

# A signal that the parent ignores stays ignored: jobs in the background of a script.
(trap '' INT; exec omq-train --set output_dir=kept --set train.epochs=9 tiny.yaml) >out 2>err &
pid=$!
wait_for $pid err "epoch 1/9"
kill -INT $pid
ended $pid 0
has_not err "finishing"
