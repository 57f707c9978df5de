# SPDX-License-Identifier: MIT
# shellcheck shell=bash
pid= # which follow sets
# Governors, on recorded traces and on the run itself.
need python3
tiny_model
M=run/model.omq
traces=$OMQ_SRC/tests/data
awk 'BEGIN {
    print "t_s,temp_c"
    for (t = 0; t <= 50; t++)
        print t "," (t < 10 ? 70 : t < 20 ? 80 : 60)
}' >warm.csv
expect 0 omq-run -g thermal:75 --simulate warm.csv $M
cut -f 1-3 out | diff - <(printf '%s\t%s\t%s\n' 12.000 w8a8 w4a8 15.000 w4a8 w2a2 \
    30.000 w2a2 w4a8 41.000 w4a8 w8a8) || fail "switches"
has out "thermal: 80 C, over 75 C for 2 s"
has err "51 samples over 50.0 s, 4 switches" \
    "w8a8: 42.0 % of the time" "w4a8: 28.0 %" "w2a2: 30.0 %"
cp out text
# With blanks it is the same table.
expect 0 omq-run -g thermal:75 --simulate <(sed 's/,/ , /' warm.csv) $M
cmp out text
expect 0 omq-run -g battery:30 --simulate - $M <warm.csv
has err "warning: the governor changes nothing: 'standard input' has no battery_percent"
expect 1 omq-run -g manual --simulate - $M <<<t_s
has err "'standard input' has no samples"
expect 1 omq-run -g manual --simulate - $M <&-
has err "cannot read 'standard input'"
expect 0 omq-run -q -g thermal:75C --json --simulate - $M <warm.csv
empty err
python3 - out text <<'END'
import json, sys

rows = [json.loads(line) for line in open(sys.argv[1])]
text = [line.rstrip("\n").split("\t") for line in open(sys.argv[2])]
assert all(set(r) == {"t_s", "from", "to", "reason"} for r in rows)
assert [["%.3f" % r["t_s"], r["from"], r["to"], r["reason"]] for r in rows] == text, rows
END
# Whether latency switches depends on what was measured; what it says does not.
awk 'BEGIN { print "t_s,batch_ms"; for (i = 0; i < 300; i++) print i / 5 "," 50 }' >slow.csv
expect 0 omq-run -g latency:5ms --simulate slow.csv $M
has err "300 samples over 59.8 s"
! grep -vP '^[0-9.]+\tw[0-9]a[0-9]\tw[0-9]a[0-9]\tlatency: ' out || fail "$(<out)"
expect 0 env OMQ_CPU=ref omq-run -g latency:0.01ms --floor w4a8 --simulate slow.csv $M
has err "warning: the governor cannot keep to that here: w"
for spec in latency:5:drift battery:30:battery load:80:missing thermal:70:thermal; do
    expect 0 omq-run -q --governor "${spec%:*}" --simulate "$traces/governor-${spec##*:}.csv" $M
done
# A trace without what the governor goes by, which is not the same as one that is quiet.
for spec in latency:5:batch_ms battery:30:battery_percent load:80:load_percent; do
    expect 0 omq-run -q -g "${spec%:*}" --simulate warm.csv $M
    echo "omq-run: warning: the governor changes nothing: 'warm.csv' has no ${spec##*:}" | cmp - err
done
expect 0 omq-run -q -g manual --simulate warm.csv $M
empty err
# Floors: a precision, an accuracy, none that is high enough.
expect 0 omq-run -g thermal:75 --floor w4a8 --simulate warm.csv $M
[ "$(wc -l <out)" -eq 2 ] || fail "--floor: $(<out)"
has_not out w2a2
expect 0 omq-run -g thermal:75 --floor top1:0 --simulate warm.csv $M
cmp out text
expect 2 omq-run -g thermal:75 --floor top1:100.1 --simulate warm.csv $M
expect 2 omq-run -g thermal:75 --floor 5 --simulate warm.csv $M
has err "5"
# What cannot be used.
for spec in fast latency latency: latency:x latency:-1 battery:200 thermal:75F; do
    expect 2 omq-run -g "$spec" --simulate warm.csv $M
    empty out
done
expect 2 omq-run -g fast --simulate warm.csv $M
has err "unknown governor 'fast'; there are manual, latency:MS"
printf 't_s,temp_c\n0,70\n1,hot\n' >bad.csv
expect 1 omq-run -g thermal:75 --simulate bad.csv $M
empty out
has err "bad.csv" 3
expect 1 omq-run -g thermal:75 --simulate missing.csv $M
expect 1 omq-run -g thermal:75 --simulate /dev/null $M

# Live: a target that nothing can reach ends at the lowest precision it may use,
# one that all reach stays at the best, and every image is answered.
make_raw one 144
make_raw many $((144 * 400))
expect 0 omq-run -g latency:60000 $M <many
[ "$(cut -f 4 out | sort | uniq -c | tr -s ' ')" = " 400 w8a8" ] || fail "$(cut -f 4 out | uniq -c)"
expect 0 omq-run -g latency:0.01 --floor w4a8 -t 1 $M <many
[ "$(wc -l <out)" -eq 400 ] || fail "not all answered"
! cut -f 4 out | grep -q w2a2 || fail "below the floor"
# manual changes nothing, not at the start either, but for the floor.
expect 0 omq-run -g manual --bits 2 $M <one
grep -q 'w2a2$' out || fail "manual: $(<out)"
expect 0 omq-run -g manual --bits 2 --floor w4a8 $M <one
grep -q 'w8a8$' out || fail "manual: $(<out)"
# A governor rests while what omq-switch has set is none that it may choose, and says it once.
expect 0 omq-train -q --recalibrate --profile 'mix 8 conv1=2' -o profiled.omq $M
follow -g latency:60000 --floor w4a8 profiled.omq
for bits in 2 8 mix; do
    expect 0 omq-switch --bits $bits --wait profiled.omq
    frame $((n = ${n:--1} + 1))
    frame $((n += 1))
done
followed 0
grep -F rests said | diff - <(
    rests="omq-run: the governor rests while" sets="omq-switch --bits sets another"
    echo "$rests w2a2 is set, which is below its floor: $sets"
    echo "$rests mix is set, which is a profile: $sets"
) || fail "$(<said)"
# Where there is no sensor, that is said once, when a second has passed.
if ! cat /sys/class/thermal/thermal_zone*/temp >/dev/null 2>&1; then
    follow -g thermal:75 $M
    frame 0
    sleep 1.1
    frame 1
    sleep 1.1
    frame 2
    followed 0
    [ "$(grep -c 'changes nothing: no sensor here gives temp_c' said)" -eq 1 ] ||
        fail "$(<said)"
fi
# A governor and the switch together.
follow -g manual $M
frame 0
expect 0 omq-switch --bits 2 --wait $M
frame 1
cp $M new
mv new $M # its word is set: it goes on there
wait_for "$pid" said "was replaced"
frame 2
followed 0
[ "$(cut -f 4 answers | tr '\n' ' ')" = "w8a8 w2a2 w2a2 " ] || fail "$(<answers)"
