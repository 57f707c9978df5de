# SPDX-License-Identifier: MIT
# shellcheck shell=bash
pid= # which follow sets
# omq-switch reaches a running omq-run, which goes on as if nothing had happened.
need python3
tiny_model
make_raw one 144
M=run/model.omq
follow $M
stat -c %a omq | grep -qx 700 || fail "others can see the folder"
omq-switch --watch $M >watched 3>&- &
watcher=$!
frame 0
frame 1
expect 0 omq-switch --bits 2 --wait $M # though no frame comes
empty out
frame 2
expect 0 omq-switch --status $M
awk -v pid="$pid" 'NR == 1 { ok = $1 == "pid" && $2 == "precision" && $3 == "state" }
    NR == 2 { ok = ok && $1 == pid && $2 == "w2a2" && $6 == 1 && $7 == "omq-switch" }
    END { exit !(ok && NR == 2) }' out || fail "status: $(<out)"
[ "$(omq-switch --get $M)" = w2a2 ] || fail "--get"
expect 0 omq-switch --wait --bits w4a8 --json $M
grep -q '^{"precision":"w4a8",.*"active":true}$' out || fail "$(<out)"
frame 3
until omq-switch --status --json $M | grep -q '"waiting":true,"batches":4,'; do
    sleep 0.05
done
omq-switch --status --json $M >out
python3 - out "$pid" <<'END'
import json, sys, time

row, = [json.loads(line) for line in open(sys.argv[1])]
assert set(row) == {"pid", "precision", "waiting", "batches", "images", "switches", "reason",
                    "updated_ms"}, row
assert row["pid"] == int(sys.argv[2]) and row["precision"] == "w4a8"
assert row["images"] == 4 and row["switches"] == 2 and row["reason"] == "omq-switch"
assert abs(row["updated_ms"] / 1000 - time.time()) < 60
END
# The same precision again is no switch; one that is not there is refused.
expect 0 omq-switch --bits w4a8 --wait $M
expect 2 omq-switch --bits 3 $M
has err "no precision '3'"
frame 4
followed 0
[ "$(cut -f 4 answers | tr '\n' ' ')" = "w8a8 w8a8 w2a2 w4a8 w4a8 " ] || fail "$(<answers)"
cmp said - <<'END'
omq-run: w8a8 -> w2a2: omq-switch
omq-run: w2a2 -> w4a8: omq-switch
END
# Each answer is the one that this precision gives.
for bits in 8 2 w4a8; do
    omq-run --bits $bits $M <one | cut -f 2- >>want
done
cut -f 2- answers | uniq | diff want - || fail "answers differ"

# Nobody is left, and that was seen.
wait_for $watcher watched "$pid  ended"
kill -TERM $watcher
ended $watcher 0
seen=$(awk -v pid="$pid" '$1 == pid { print $2 }' watched | tr '\n' ' ')
[ "$seen" = "w8a8 w2a2 w4a8 ended " ] || fail "watched: $(<watched)"
expect 0 omq-switch --status $M
[ "$(wc -l <out)" -eq 1 ] || fail "somebody is there: $(<out)"
expect 0 omq-switch --status --json $M
empty out
[ -z "$(ls -A omq)" ] || fail "left: $(ls -A omq)"
expect 0 omq-switch --bits 8 --wait $M # nobody to wait for

# One that cannot follow in time is named: stopped, it is.
follow $M
kill -STOP "$pid"
SECONDS=0
expect 1 omq-switch --bits 2 --wait --timeout 2 $M
has err "process $pid still runs w8a8"
[[ $SECONDS -ge 2 && $SECONDS -lt 8 ]] || fail "--timeout 2 took $SECONDS s"
kill -CONT "$pid"
expect 0 omq-switch --bits 2 --wait $M
# So does one whose frame comes byte by byte.
python3 -c 'import sys, time
for byte in open("one", "rb").read():
    sys.stdout.buffer.write(bytes([byte]))
    sys.stdout.flush()
    time.sleep(0.03)' >&3 &
drip=$!
sleep 0.2
expect 0 omq-switch --bits 8 --wait --timeout 2 $M
kill -0 $drip || fail "the frame was whole already"
ended $drip 0
expect 0 omq-switch --bits 2 --wait $M
# Killed, it leaves a file that nobody is deceived by.
kill -KILL "$pid"
wait "$pid" || :
exec 3>&-
[ -n "$(ls -A omq)" ] || fail "no file to be found"
expect 0 omq-switch --bits 8 --wait $M
[ -z "$(ls -A omq)" ] || fail "left: $(ls -A omq)"

# A folder that cannot be used any more is told once, not at each update.
follow $M
until rm -r omq && : 2>/dev/null >omq; do # it is made anew if it is gone
    sleep 0.01
done
frame 0
wait_for "$pid" said "omq-switch --status does not see this process: "
sleep 1.2
frame 1
followed 0
[ "$(wc -l <said)" -eq 1 ] || fail "$(<said)"
rm omq
mkdir -m 700 omq

# While frames keep coming that do not fill a batch yet, the word is followed as well.
follow --batch 4000 $M
while :; do cat one; sleep 0.02; done >&3 &
writer=$!
expect 0 omq-switch --bits 2 --wait --timeout 5 $M
kill $writer
wait $writer || :
followed 0
[ "$(cut -f 4 answers | sort -u)" = w2a2 ] || fail "$(<answers)"

# A folder that is open to others is not used: the run goes on without.
chmod 777 omq
omq-run -f $M <one >out 2>err || fail "$(<err)"
has err "omq-switch --status does not see this process: "
[ "$(wc -l <out)" -eq 1 ] || fail "no answer"
expect 0 omq-run -q -f $M <one
empty err
