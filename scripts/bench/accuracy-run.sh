# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # settings are the sourcing script's
# Sourced by accuracy.sh: one run of the study, from its state to its line of
# figures. A run is the folder $runs/NAME-sSEED: omq-train's files and
#
#   settings    what it is a run of; see flatten()
#   usage       CPU and wall seconds and threads, a line each call
#   log         what omq-train said
#   lock        empty
#
# The last is locked as long as somebody trains there. What was stopped is
# continued if it is of the present settings, else begun again. Of accuracy.sh
# it takes say(), set_options() and the settings: config_of, digest_of, commit,
# results, runs, threads, train, version, and $work/NAME.

# ---- the state of a run ----

# The digest of the figures of NAME SEED; empty: there are none.
result_digest() {
    [ ! -e "$results" ] ||
        awk -F '\t' -v n="$1" -v s="$2" '$1 == n && $2 == s { d = $13 } END { print d }' "$results"
}

# state NAME SEED: done; again: with figures of other settings; other: a stopped
# run of other settings; continue; or train.
state() {
    local digest dir=$runs/$1-s$2
    digest=$(result_digest "$1" "$2")
    if [ "$digest" = "${digest_of[$1]}" ]; then
        echo "done"
    elif [ -e "$dir/last.omq" ] && cmp -s "$work/$1" "$dir/settings"; then
        echo "continue"
    elif [ -n "$digest" ]; then
        echo "again"
    elif [ -e "$dir/last.omq" ]; then
        echo "other"
    else
        echo "train"
    fi
}

# ---- the file of figures ----

columns='name	seed	split	top1	images_per_s	cpu_s	wall_s	threads	epochs	date	version	commit	digest'

# put_result NAME SEED LINE: replaces what is there of that name and seed. The
# folder is what is locked: the file is renamed.
put_result() (
    new=$results.$BASHPID.new
    mkdir -p "$(dirname "$results")" && exec 9<"$(dirname "$results")" && flock 9 || exit 1
    {
        if [ -e "$results" ]; then
            awk -F '\t' -v n="$1" -v s="$2" '$1 != n || $2 != s' "$results"
        else
            printf '%s\n' "$columns"
        fi && printf '%s\n' "$3"
    } >"$new" && mv -f "$new" "$results" && exit 0
    rm -f "$new"
    exit 1
)

# The last epoch in a run's metrics.csv: split, accuracies, images a second and
# number, with tabs between; fails if that is not epoch $2, or without accuracies.
last_epoch() {
    awk -F, -v epochs="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        $at["epoch"] != epoch { epoch = $at["epoch"]; list = ""; missing = 0 }
        {
            list = list (list == "" ? "" : " ") $at["precision"] "=" $at["top1"]
            missing += $at["top1"] == ""
            split_name = $at["split"]
            if ($at["images_per_s"] > 0) speed = $at["images_per_s"]
        }
        END {
            if (epoch != epochs || missing) exit 1
            printf "%s\t%s\t%.0f\t%d\n", split_name, list, speed, epoch
        }' "$1"
}

# record NAME SEED: the figures of a complete run.
record() {
    local name=$1 seed=$2 dir=$runs/$1-s$2 epochs figures used split top1 speed done_epochs
    # how many there are, with those of views, the program knows: "epoch 3/3  loss ..."
    epochs=$(sed -n 's,^epoch [0-9]*/\([0-9]*\) .*,\1,p' "$dir/log" | tail -n 1)
    figures=$(last_epoch "$dir/metrics.csv" "$epochs") || {
        say "'$dir/metrics.csv' has no accuracies of the last epoch, $epochs: remove its folder"
        return 1
    }
    IFS=$'\t' read -r split top1 speed done_epochs <<<"$figures"
    # CPU and wall time of all calls that could end, threads of the last
    used=$(awk -F '\t' '{ cpu += $1; wall += $2; threads = $3 }
        END { printf "%.1f\t%.1f\t%d", cpu, wall, threads }' "$dir/usage")
    put_result "$name" "$seed" "$(printf '%s\t' "$name" "$seed" "$split" "$top1" "$speed" "$used" \
        "$done_epochs" "$(date -u +%F)" "$version" "$commit" "${digest_of[$name]}" |
        sed 's/\t$//')" || { say "cannot write '$results'"; return 1; }
    say "'$name' seed $seed is done: $top1"
}

# ---- a run ----

# begin NAME DIR: a folder for a new run, without what an older one left.
begin() {
    rm -f "$2"/{model,last,best}.omq "$2"/metrics.{csv,jsonl} "$2"/{usage,log} &&
        cp "$work/$1" "$2/settings"
}

# usage_line START: CPU and wall seconds of this process's children, and threads.
usage_line() {
    times >"$dir/times"
    awk -v start="$1" -v end="$EPOCHREALTIME" -v threads="$threads" '
        NR == 2 { for (i = 1; i <= 2; i++) { split($i, t, /[ms]/); cpu += 60 * t[1] + t[2] } }
        END { printf "%.2f\t%.2f\t%d\n", cpu, end - start, threads }' "$dir/times"
    rm -f "$dir/times"
}

# train_in DIR NAME SEED OPTION...: to the end, or until a SIGTERM, which is passed
# on. The lock passes to omq-train, and holds as long as that runs.
train_in() {
    local dir=$1 name=$2 seed=$3 sets child='' status=0 start=$EPOCHREALTIME
    shift 3
    set_options "$name"
    trap 'stopped=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM
    "$train" "$@" "${sets[@]}" --set "output_dir=$dir" --set "seed=$seed" \
        --set "threads=$threads" "${config_of[$name]}" >>"$dir/log" 2>&1 &
    child=$!
    [ -z "$stopped" ] || kill -TERM "$child" 2>/dev/null
    while :; do
        wait "$child"
        status=$?
        kill -0 "$child" 2>/dev/null || break # a signal ends wait before the child does
    done
    trap '' TERM # what follows is short
    usage_line "$start" >>"$dir/usage"
    return $status
}

# run_one NAME SEED, in a process of its own. Exit status 0, 1, or 75 if stopped.
run_one() {
    local name=$1 seed=$2 dir=$runs/$1-s$2 state status=0 stopped=''
    trap '' INT HUP # a terminal sends them to all; the parent makes SIGTERM of them
    if ! mkdir -p "$dir" || ! exec 8>>"$dir/lock"; then
        say "cannot make '$dir'"
        return 1
    fi
    flock -n 8 || {
        say "'$name' seed $seed is being trained by another call, and left to it"
        return 0
    }
    state=$(state "$name" "$seed") # another call may just have changed it
    [ "$state" != "done" ] || return 0
    if [ "$state" = "continue" ]; then
        train_in "$dir" "$name" "$seed" --resume || status=$?
    else
        begin "$name" "$dir" || return 1
        train_in "$dir" "$name" "$seed" --force || status=$?
    fi
    if [ -e "$dir/model.omq" ]; then
        record "$name" "$seed"
    elif [ -n "$stopped" ] || [ $status -eq 75 ]; then
        say "'$name' seed $seed is stopped; the next call continues it"
        return 75
    else
        say "'$name' seed $seed failed with exit status $status; '$dir/log' ends in:"
        tail -n 3 "$dir/log" | sed 's/^/    /' >&2
        return 1
    fi
}
