# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The accuracy study's runner on a tiny table: what is done is not done again,
# what was stopped is continued, and the report has the right figures.
need flock sha256sum setsid
env --default-signal=INT true 2>/dev/null || skip "env cannot reset signals"
accuracy=("$OMQ_SRC/scripts/bench/accuracy.sh" -t table.tsv -o runs -r results/tiny.tsv)

cat >tiny.yaml <<'END'
output_dir: run
bits: [8, 2]
data:
  format: synthetic
  synthetic: {height: 16, width: 16, channels: 1, classes: 4, train: 96, test: 40}
  mean: [0.5]
  std: [0.25]
model: {arch: lenet5, width: 0.25}
train: {epochs: 1, batch_size: 16, widths_per_step: 0}
END
cat >table.tsv <<END
# a tiny study
joint	both	$PWD/tiny.yaml
broken	bad	$PWD/tiny.yaml	train.lr=fast
one-8	both,one	$PWD/tiny.yaml	bits=[8]
one-2	one	$PWD/tiny.yaml	bits=[2] train.lr=0.05 # why
slow	-	$PWD/tiny.yaml	train.epochs=200
views	-	$PWD/tiny.yaml	quant.view_max_bits=2 train.views_last=2
END

# The study's own table can be used.
expect 0 "$OMQ_SRC/scripts/bench/accuracy.sh" -n -r "$PWD/none.tsv" -o "$PWD/none"
has out "train"
# The figures of the studies are of the settings that their tables have; where a key was
# added whose default changes nothing, --accept says so.
for study in method:fashion-mnist cifar10:cifar10-resnet20 one-bit:one-bit; do
    expect 0 "$OMQ_SRC/scripts/bench/accuracy.sh" -t "$OMQ_SRC/configs/bench/${study%:*}.tsv" \
        -r "$OMQ_SRC/docs/results/${study#*:}.tsv" --report
    has_not out "of other settings"
done

# Two configurations, two seeds, and one that cannot be trained.
expect 1 "${accuracy[@]}" -j 2 -s 1-2 both bad
has err "'broken' cannot be trained:" "wrong type for 'train.lr'" "run 4 of 4: one-8, seed 2"
has out "| joint | 2 | " "| one-8 | 2 | " "All on test images."
[ "$(wc -l <results/tiny.tsv)" -eq 5 ] || fail "not four figures and a head"
epoch=$(tail -n 1 runs/joint-s2/metrics.csv | cut -d , -f 4,7 | tr , =)
grep -P '^joint\t2\ttest\tw8a8=[0-9.]+ w2a2=[0-9.]+\t' results/tiny.tsv | grep -qF "$epoch" ||
    fail "figures are not those of the last epoch"

# Nothing is left to do.
cp results/tiny.tsv first
expect 0 "${accuracy[@]}" -s 1-2 both
empty err
cmp first results/tiny.tsv
expect 0 "${accuracy[@]}" -s 1-2 -n both
[ "$(grep -c "^done" out)" -eq 4 ] || fail "not done: $(<out)"

# The accuracy after each epoch, here one.
expect 0 "${accuracy[@]}" --curves -s 2 joint
grep -qF "joint	${epoch%=*}	1	${epoch#*=}" out || fail "no curve: $(<out)"
[ "$(wc -l <out)" -eq 3 ] || fail "not two figures and a head: $(<out)"
expect 0 "${accuracy[@]}" --curves -s 1-2 joint
grep -qF "joint, seed 2	${epoch%=*}	1	${epoch#*=}" out || fail "seeds share a line: $(<out)"

# A run of stages has more epochs than train.epochs: the figures are of the last one.
expect 0 "${accuracy[@]}" -r views.tsv -s 1 views
has err "'views' seed 1 is done"
[ "$(awk -F '\t' 'END { print $9 }' views.tsv)" = 3 ] || fail "not three epochs: $(<views.tsv)"

# Another width is one more run, in the same row. The report, by hand:
expect 0 "${accuracy[@]}" -s 1 one-2
awk -F '\t' 'BEGIN {
        OFS = FS
        top1["joint", 1] = "w8a8=90 w2a2=80"; top1["joint", 2] = "w8a8=91 w2a2=82"
        top1["one-8", 1] = "w8a8=89"; top1["one-8", 2] = "w8a8=89"; top1["one-2", 1] = "w2a2=78"
    }
    NR > 1 { $4 = top1[$1, $2]; $6 = 90 } { print }' results/tiny.tsv >known
mv known results/tiny.tsv
expect 0 "${accuracy[@]}" --report both one
has_not out "They were trained by"
awk -F '\t' -v OFS='\t' '$1 == "one-2" { $12 = "other" } { print }' results/tiny.tsv >other.tsv
expect 0 "${accuracy[@]}" -r other.tsv --compare joint one
has out "They were trained by the programs of 2 commits"
expect 0 "${accuracy[@]}" --report both one
has out "| name | seeds | mean | 8 | 2 | CPU min |" \
    "| joint | 2 | 85.75 ± 1.06 | 90.50 ± 0.71 | 81.00 ± 1.41 | 1.5 |" \
    "| one | 1-2 | 83.50 | 89.00 ± 0.00 | 78.00 | 3.0 |"
expect 0 "${accuracy[@]}" --report -s 2 joint
has out "| joint | 1 | 86.50 | 91.00 | 82.00 | 1.5 |"
expect 0 "${accuracy[@]}" --compare joint one
has out "| 8 | 90.50 ± 0.71 | 89.00 ± 0.00 | +1.50 | 0.50 | 2 paired |" \
    "| 2 | 81.00 ± 1.41 | 78.00 | +2.00 | - | 1 paired |" \
    "| mean | 85.75 ± 1.06 | 83.50 | +1.50 | - | 1 paired |"
expect 1 "${accuracy[@]}" --compare joint nothing
has err "there are no figures of 'nothing'"

# Figures of other settings are seen, and can be accepted or made again.
sed -i '/^joint/ s/$/\ttrain.lr=0.02/' table.tsv
expect 0 "${accuracy[@]}" --report joint
has out "| joint * |" "of other settings"
expect 0 "${accuracy[@]}" -n -s 1 joint
has err "figures of 'joint' seed 1 are of other settings" "train.lr: 0.1 -> 0.02"
expect 0 "${accuracy[@]}" --accept -s 2 joint
expect 0 "${accuracy[@]}" -s 1-2 joint
has err "run 1 of 1: joint, seed 1"
has results/tiny.tsv "w8a8=91 w2a2=82"
has_not results/tiny.tsv "w8a8=90 w2a2=80"

# Stopped by a signal, killed, and still the same bytes as in one go.
process() { # of omq-train itself
    grep -ls "output_dir=$PWD/runs/slow-s[3]" /proc/[0-9]*/cmdline | cut -d / -f 3
}
expect 0 omq-train -q --set train.epochs=200 --set seed=3 --set threads=1 tiny.yaml
env --default-signal=INT setsid "${accuracy[@]}" -s 3 -j 2 slow >last.out 2>last.err &
pid=$!
wait_for $pid runs/slow-s3/log "epoch 3/200"
expect 0 "${accuracy[@]}" -s 3 slow -n # the run's lock is no hindrance
kill -INT -- -$pid # as Ctrl-C: to all processes
ended $pid 75
has last.err "'slow' seed 3 is stopped; the next call continues it"
has_not results/tiny.tsv slow
expect 0 "${accuracy[@]}" -s 3 -n slow
has out "continue	slow	3"
lines=$(wc -l <runs/slow-s3/log) # the log goes on, and may be far already
"${accuracy[@]}" -s 3 -j 2 slow >last.out 2>last.err &
pid=$!
until [ "$(wc -l <runs/slow-s3/log)" -gt $((lines + 3)) ]; do
    kill -0 $pid || fail "the second call ended before it trained"
    sleep 0.01
done
kill -KILL "$(process)"
ended $pid 1
has last.err "'slow' seed 3 failed with exit status 137"
expect 0 "${accuracy[@]}" -s 3 -j 2 slow
cmp run/model.omq runs/slow-s3/model.omq
[ "$(grep -c "epoch 200/200" runs/slow-s3/log)" -eq 1 ] || fail "not one end"

# What cannot be used.
expect 2 "${accuracy[@]}" --wrong
expect 2 "${accuracy[@]}" -s 1-x
has err "-s takes seeds such as 1-5 or 1,3, not '1-x'"
expect 2 "${accuracy[@]}" nowhere
has err "'nowhere' is neither a name nor a group"
printf 'a\tb\n' >table.tsv
expect 2 "${accuracy[@]}"
has err "table.tsv:1: a line is name, groups, configuration"
