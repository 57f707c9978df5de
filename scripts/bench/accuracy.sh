#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# accuracy.sh: the accuracy study. Trains each configuration of a table with
# several seeds, keeps a line of figures for each run, and reports mean and
# spread. --help has the options; one run is accuracy-run.sh, the report
# accuracy-report.awk.
set -u
export LC_ALL=C

me=accuracy.sh
here=$PWD
cd "$(dirname "$0")/../.." || exit 1
. scripts/bench/accuracy-run.sh || exit 1
train=${OMQ_BIN:-build/bin}/omq-train

jobs=1 seed_list='' table=configs/bench/method.tsv runs=runs/accuracy
results=docs/results/fashion-mnist.tsv
what=run compare=''
extra=()                                 # KEY=VALUE for every run
names=() seeds=()                        # what is chosen, in the table's order
declare -A config_of=() groups_of=() overrides_of=() digest_of=()

usage() {
    cat <<END
usage: $me [options] [NAME|GROUP]...
       $me -n|--report|--accept [options] [NAME|GROUP]...
       $me --compare A B [options]
       $me --curves [options] [NAME|GROUP]...

Trains each configuration of a table, or those with one of the names or in one
of the groups, with several seeds; appends a line of figures to a file for each
run that is complete; and prints mean and standard deviation over the seeds as
a Markdown table. What is in that file is not trained again, unless its settings
have changed. What was stopped, by Ctrl-C or otherwise, is continued by the next
call. Several calls may run at once. The first seed of all names comes first.

  -j JOBS       Runs at once (default 1). One run takes all processors, several
                take one each.
  -s SEEDS      Seeds, such as 1-5 or 1,3,7-9; without the option 1-3, and in a
                report all there are.
  -t TABLE      The table (default $table): a line each of
                name, groups with commas between (- is none), configuration
                file, and KEY=VALUE to set in it; # begins a comment.
  -o FOLDER     Where runs are kept, as NAME-sSEED (default $runs).
  -r FILE       The file of figures (default $results).
  -D FOLDER     Where the data set is, in place of the configurations' data.root.
  --set K=V     Set a key in every configuration, for trials: give them a file
                of figures of their own.
  --epochs N    The same as --set train.epochs=N.
  -n            Print what would be trained, continued or is done, and do nothing.
  --report      Print the report only.
  --compare A B Print what A is ahead of B at each width, with its standard error,
                paired by seed where both have it.
  --curves      Print the accuracy after each epoch that was measured, for curves.awk,
                from the folders of runs: stopped ones too.
  --accept      Take figures and stopped runs of other settings as those of the
                present ones: after a key was added whose default changes nothing.

In the report, configurations of one width each that are called STEM-N are one
row, STEM. OMQ_BIN is the folder of omq-train (default build/bin).

Exit status: 0 all is done, 1 some runs failed, 2 usage, 75 stopped by a signal.
END
}

say() { echo "$me: $*" >&2; }

usage_error() {
    say "$*"
    say "try '$me --help'"
    exit 2
}

# ---- options, table ----

is_count() { [[ $1 =~ ^[1-9][0-9]{0,5}$ ]]; }

# Seeds of '1,3-5' to the array.
parse_seeds() {
    local part parts
    IFS=, read -ra parts <<<"$1"
    for part in "${parts[@]}"; do
        [[ $part =~ ^([0-9]{1,6})(-([0-9]{1,6}))?$ ]] ||
            usage_error "-s takes seeds such as 1-5 or 1,3, not '$1'"
        mapfile -t -O ${#seeds[@]} seeds < \
            <(seq "$((10#${BASH_REMATCH[1]}))" "$((10#${BASH_REMATCH[3]:-${BASH_REMATCH[1]}}))")
    done
    [ ${#seeds[@]} -gt 0 ] || usage_error "there is no seed in '$1'"
}

# A path that was given by the caller, from where he stands.
path() { case $1 in /*) echo "$1" ;; *) echo "$here/$1" ;; esac; }

parse_options() {
    while [ $# -gt 0 ]; do
        case $1 in
        -j | -s | -t | -o | -r | -D | --set | --epochs)
            [ $# -ge 2 ] || usage_error "$1 needs a value"
            case $1 in
            -j) is_count "$2" || usage_error "-j takes a number of runs, not '$2'"; jobs=$2 ;;
            -s) parse_seeds "$2"; seed_list=$2 ;;
            -t) table=$(path "$2") ;;
            -o) runs=$(path "$2") ;;
            -r) results=$(path "$2") ;;
            -D) extra+=("data.root=$(path "$2")") ;;
            --set) extra+=("$2") ;;
            --epochs) extra+=("train.epochs=$2") ;;
            esac
            shift ;;
        --compare)
            [ $# -ge 3 ] || usage_error "--compare needs two names"
            what=report compare="$2 $3"
            shift 2 ;;
        -n) what=show ;;
        --report | --accept | --curves) what=${1#--} ;;
        -h | --help) usage; exit 0 ;;
        -*) usage_error "unknown option '$1'" ;;
        *) words+=("$1") ;;
        esac
        shift
    done
    [ ${#seeds[@]} -gt 0 ] || parse_seeds 1-3
}

# table_line WHERE NAME GROUPS CONFIG [KEY=VALUE...]
table_line() {
    local where=$1 name=${2-} set
    [ $# -ge 4 ] || usage_error "$where: a line is name, groups, configuration, KEY=VALUE..."
    [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] ||
        usage_error "$where: a name has letters, digits, '.', '_' and '-', unlike '$name'"
    [ -z "${config_of[$name]-}" ] || usage_error "$where: '$name' is there twice"
    for set in "${@:5}"; do
        [[ $set == [a-z]*=* ]] || usage_error "$where: '$set' is not KEY=VALUE"
    done
    config_of[$name]=$4 groups_of[$name]=",$3," overrides_of[$name]="${*:5}"
    all+=("$name")
}

read_table() {
    local n=0 line fields
    [ -r "$table" ] || usage_error "cannot read the table '$table'"
    while IFS= read -r line || [ -n "$line" ]; do
        n=$((n + 1))
        read -ra fields <<<"${line%%#*}"
        [ ${#fields[@]} -eq 0 ] || table_line "$table:$n" "${fields[@]}"
    done <"$table"
    [ ${#all[@]} -gt 0 ] || usage_error "the table '$table' is empty"
}

# Those that the words name, in the table's order; all without any.
choose() {
    local name word used='' chosen
    for name in "${all[@]}"; do
        chosen=''
        for word in "$@"; do
            [[ $name == "$word" || ${groups_of[$name]} == *",$word,"* ]] || continue
            used+=" $word "
            chosen=yes
        done
        [ -z "$chosen" ] || names+=("$name")
    done
    for word in "$@"; do
        [[ $used == *" $word "* ]] ||
            usage_error "'$word' is neither a name nor a group of '$table'"
    done
    [ $# -gt 0 ] || names=("${all[@]}")
}

# ---- settings and their digest ----

# The commit of the source, "-dirty" if the programs' own files are not as in it.
source_commit() {
    local commit
    commit=$(git rev-parse --short HEAD 2>/dev/null) || { echo unknown; return; }
    git diff --quiet HEAD -- lib tools Makefile 2>/dev/null || commit+=-dirty
    echo "$commit"
}

# set_options NAME: the options of omq-train for it, to the array sets.
set_options() {
    local set overrides
    sets=()
    read -ra overrides <<<"${overrides_of[$1]}"
    for set in "${overrides[@]}" "${extra[@]}"; do
        sets+=(--set "$set")
    done
}

# A configuration as lines 'train.lr: 0.1', without what says where and how fast
# it is trained; sorted, so that the order of keys does not matter.
flatten() {
    awk '{
            depth = (match($0, /[^ ]/) - 1) / 2
            key = $1
            sub(/:$/, "", key)
            full = depth > 0 ? section[depth - 1] "." key : key
            section[depth] = full
            value = $0
            if (sub(/^ *[^ ]*: /, "", value) &&
                full !~ /^(output_dir|seed|threads|data\.root)$/)
                print full ": " value
        }' | sort
}

# Settings of each chosen name, to $work/NAME, and their digest; those that
# cannot be used are reported, and have none.
resolve() {
    local name sets
    for name in "${names[@]}"; do
        set_options "$name"
        if "$train" --dump-config "${sets[@]}" "${config_of[$name]}" \
            >"$work/dump" 2>"$work/err"; then
            flatten <"$work/dump" >"$work/$name"
            digest_of[$name]=$(sha256sum <"$work/$name" | cut -c 1-12)
        else
            say "'$name' cannot be trained:"
            sed 's/^/    /' "$work/err" >&2
            failed=1
        fi
    done
}

# changes OLD NEW: what differs, a key a line.
changes() {
    awk -F ': ' '{ value = substr($0, length($1) + 3) }
        NR == FNR { old[$1] = value; next }
        !($1 in old) { print "    " $1 ": new, " value }
        $1 in old && old[$1] != value { print "    " $1 ": " old[$1] " -> " value }
        { delete old[$1] }
        END { for (key in old) print "    " key ": was " old[key] }' "$1" "$2"
}

# ---- all runs ----

# Says of figures or runs of other settings what has changed, where that is known.
tell_stale() {
    local dir=$runs/$1-s$2
    case $3 in
    again) say "the figures of '$1' seed $2 are of other settings: trained again" ;;
    other) say "the stopped run of '$1' seed $2 is of other settings: begun again" ;;
    *) return 0 ;;
    esac
    [ ! -e "$dir/settings" ] || changes "$dir/settings" "$work/$1" >&2
}

# Takes the exit status of one run that ends; an interrupted wait takes none.
reap() {
    local pid='' status=0
    wait -n -p pid "${!running[@]}" || status=$?
    [ -n "${pid-}" ] || return 0 # wait unsets it
    unset "running[$pid]"
    [ $status -eq 0 ] || [ $status -eq 75 ] || failed=1
    [ $status -ne 75 ] || stopping=1
}

on_signal() {
    stopping=1
    [ ${#running[@]} -eq 0 ] || kill -TERM "${!running[@]}" 2>/dev/null
}

# Each name and seed: its state, name and seed, a line each.
list_states() {
    local name seed
    for seed in "${seeds[@]}"; do
        for name in "${names[@]}"; do
            [ -z "${digest_of[$name]-}" ] || echo "$(state "$name" "$seed") $name $seed"
        done
    done
}

run_all() {
    local state name seed n=0 total
    list_states | grep -v '^done ' >"$work/todo"
    total=$(wc -l <"$work/todo")
    trap on_signal INT TERM HUP
    while read -r state name seed <&7; do
        while [ ${#running[@]} -ge "$jobs" ]; do
            reap
        done
        [ -z "$stopping" ] || break
        n=$((n + 1))
        tell_stale "$name" "$seed" "$state"
        say "run $n of $total: $name, seed $seed"
        run_one "$name" "$seed" 7<&- &
        running[$!]=1
        [ -z "$stopping" ] || on_signal # it came between the two lines above
    done 7<"$work/todo"
    while [ ${#running[@]} -gt 0 ]; do
        reap
    done
}

show() {
    local state name seed
    while read -r state name seed; do
        tell_stale "$name" "$seed" "$state"
        printf '%s\t%s\t%s\n' "$state" "$name" "$seed"
    done < <(list_states)
}

# Gives figures and stopped runs the digest and settings of today.
accept() {
    local state name seed line
    while read -r state name seed; do
        [ "$state" = again ] || [ "$state" = other ] || continue
        line=$(awk -F '\t' -v n="$name" -v s="$seed" -v d="${digest_of[$name]}" \
            'BEGIN { OFS = FS } $1 == n && $2 == s { $13 = d; print }' "$results" 2>/dev/null)
        [ -z "$line" ] || put_result "$name" "$seed" "$line" || exit 1
        [ ! -e "$runs/$name-s$seed/settings" ] || cp "$work/$name" "$runs/$name-s$seed/settings"
        say "'$name' seed $seed is taken as one of the present settings"
    done < <(list_states)
}

# A line of the picture for each seed, which is named where there are several.
curves() {
    local name seed of label
    printf 'label\tprecision\tepoch\ttop1\n'
    for name in "${names[@]}"; do
        of=()
        for seed in "${seeds[@]}"; do
            [ ! -e "$runs/$name-s$seed/metrics.csv" ] || of+=("$seed")
        done
        for seed in "${of[@]}"; do
            label=$name
            [ ${#of[@]} -eq 1 ] || label="$name, seed $seed"
            awk -F , -v OFS='\t' -v label="$label" \
                'NR > 1 && $7 != "" { print label, $4, $2, $7 }' \
                "$runs/$name-s$seed/metrics.csv"
        done
    done
}

report() {
    local name
    for name in "${names[@]}"; do
        printf '%s\t%s\n' "$name" "${digest_of[$name]-}"
    done >"$work/names"
    [ -e "$results" ] || { say "there are no figures: no '$results'"; exit 1; }
    awk -f scripts/bench/accuracy-report.awk -v compare="$compare" \
        -v seeds="${seed_list:+ ${seeds[*]} }" "$work/names" "$results"
}

words=() all=() failed=0 stopping=''
declare -A running=() # processes of run_one
parse_options "$@"
read_table
choose "${words[@]}"
[ -x "$train" ] || { say "there is no '$train': run make first"; exit 1; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
resolve
threads=1
[ "$jobs" -gt 1 ] || threads=$(nproc)
version=$("$train" --version | sed -n '1s/.* //p')
commit=$(source_commit)

case $what in
show) show ;;
report) report; exit ;; # a configuration that cannot be trained has its figures
curves) curves ;;
accept) accept ;;
run)
    run_all
    [ -z "$stopping" ] || exit 75
    report || failed=1
    ;;
esac
exit $failed
