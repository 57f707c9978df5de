# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Ctrl-C ends omq-run between batches, and while it waits for a frame.
env --default-signal=INT true 2>/dev/null || skip "env cannot reset signals"
need python3
tiny_model
make_raw frames $((144 * 2 + 56))
mkfifo input

# start OPTION...: with two frames and a part of the third, and no end in sight.
start() {
    rm -f out
    env --default-signal=INT omq-run "$@" run/model.omq <input >out 2>err 3>&- &
    pid=$!
    exec 3>input
    cat frames >&3
}

for signal in INT TERM; do
    start
    wait_for $pid out '-[1]'
    kill -$signal $pid
    ended $pid 0
    exec 3>&-
    [ "$(wc -l <out)" -eq 2 ] || fail "$signal: $(<out)"
    empty err
done
# A bench ends at once.
rm out
env --default-signal=INT omq-run --bench --bits 2,8 --time 300000 run/model.omq >out 2>err &
pid=$!
sleep 0.5
kill -INT $pid
ended $pid 130
# So does the wait for a model.
env --default-signal=TERM omq-run - frames <input >out 2>err 3>&- &
pid=$!
exec 3>input
head -c 20 run/model.omq >&3
sleep 0.3
kill -TERM $pid
ended $pid 143
exec 3>&-
# A batch that is not full yet is answered too.
start --batch 8
drained() { # whether all that was written to the FIFO has been read
    python3 -c 'import array, fcntl, termios
n = array.array("i", [0])
fcntl.ioctl(3, termios.FIONREAD, n)
raise SystemExit(n[0] != 0)'
}
until drained; do
    sleep 0.01
done
kill -INT $pid
ended $pid 0
exec 3>&-
empty err
[ "$(wc -l <out)" -eq 2 ] || fail "$(<out)"
# Ignored, it stays ignored: a job in the background of a script.
rm out
(trap '' INT; exec omq-run run/model.omq) <input >out 2>err 3>&- &
pid=$!
exec 3>input
head -c 144 frames >&3
wait_for $pid out '-[0]'
kill -INT $pid
sleep 0.3
head -c 144 frames >&3
wait_for $pid out '-[1]'
exec 3>&-
ended $pid 0
# A reader that goes away ends what has nothing to write.
mkfifo seen
omq-run run/model.omq <input >seen 2>err 3>&- &
pid=$!
exec 3>input
head -n 0 seen
ended $pid 0
exec 3>&-
omq-switch --watch run/model.omq 2>err | head -n 1 >out
empty err
# --watch ends with what it has printed.
rm out
env --default-signal=INT omq-switch --watch run/model.omq >out 2>err &
pid=$!
wait_for $pid out precision
kill -INT $pid
ended $pid 0
empty err
# A reader that is slow gets what was answered, whole.
mkfifo pipe
make_raw many $((144 * 6000))
env --default-signal=TERM omq-run run/model.omq <many >pipe 2>err &
pid=$!
exec 4<pipe
sleep 1 # the pipe is full by now
kill -TERM $pid
sleep 0.2
cat <&4 >out
exec 4<&-
ended $pid 0
empty err
[ "$(awk 'NF != 4' out | wc -l)" -eq 0 ] || fail "a line is cut off: $(tail -n 1 out)"
