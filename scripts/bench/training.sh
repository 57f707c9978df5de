#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# training.sh: the speed of a joint training step of widths 8, 4, 2 and 1 against
# PyTorch's. --help has the options.
set -u
export LC_ALL=C
here=$PWD
cd "$(dirname "$0")/../.." || exit 1
. scripts/bench/peers.sh || exit 1

me=training.sh
bin=${OMQ_BIN:-build/bin}
peer='' rounds=3 threads='2' level='' names='lenet5 resnet20 resnet18'

usage() {
    cat <<END
usage: $me -p PEERS [options] [NETWORK]...

Times a step of omq and of PyTorch in turns, ROUNDS times each, and prints a
Markdown table of the medians over the rounds, of PyTorch's best setting, and how
many times faster omq is. Networks are those of configs/bench: $names.
A machine that does anything else meanwhile gives figures that mean nothing.

  -p PEERS    Folder with pytorch_joint_step.py.
  -t THREADS  Thread counts, such as "1 2" (default "$threads").
  -n ROUNDS   (default $rounds)
  -c LEVEL    avx2 or avx512vnni: omq and PyTorch are capped to it.
  -f          The fastest of the rounds, not the median, and of a round PyTorch's fastest
              step and omq's 10th percentile: where others use the machine too, and only
              now and then leave it to itself.

OMQ_BIN is the folder of omq-train (default build/bin), PYTHON the Python that has PyTorch
(default /usr/bin/python3).
END
}

case ${1:-} in --help) usage; exit 0 ;; esac
while getopts p:t:n:c:fh opt; do
    case $opt in
    p) peer=$(path "$OPTARG")/pytorch_joint_step.py ;;
    t) threads=$OPTARG ;;
    n) rounds=$OPTARG ;;
    c) level=$OPTARG ;;
    f) fastest=1 ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || names=$*
[ -f "$peer" ] || { echo "$me: -p must name the peer's folder" >&2; exit 2; }
set_level "$level"
for name in $names; do
    [ -f "configs/bench/$name.yaml" ] || { echo "$me: no network '$name'" >&2; exit 2; }
done

steps_of() { case $1 in lenet5) echo 20 ;; resnet20) echo 6 ;; *) echo 3 ;; esac; }

# run_omq NAME THREADS: milliseconds.
run_omq() {
    local line
    line=$(env "${omq_env[@]}" "$bin/omq-train" --bench --json \
        --steps "$(steps_of "$1")" --set "threads=$2" --set train.batches=shared \
        "configs/bench/$1.yaml") || exit 1
    field "$line" kernel >"$rows/kernel"
    time_of omq "$line" "$([ -n "$fastest" ] && echo ms_p10 || echo step_ms)"
}

# run_torch NAME THREADS CHANNELS_LAST: milliseconds.
run_torch() {
    local net=$1 line
    [ "$net" != lenet5 ] || net=lenet
    line=$(env "${dnnl_env[@]}" "$python" "$peer" --model "$net" \
        --mode joint --bits 8,4,2,1 --fq builtin --threads "$2" --channels-last "$3" \
        --steps "$(steps_of "$1")" --warmup 2)
    time_of PyTorch "$line" "$([ -n "$fastest" ] && echo min_ms || echo step_ms)"
}

# compare NAME THREADS: one row. Of PyTorch, the better of its two layouts.
compare() {
    local i layout omq torch
    for ((i = 0; i < rounds; i++)); do
        run_omq "$1" "$2" >>"$rows/omq"
        for layout in 0 1; do
            run_torch "$1" "$2" $layout >>"$rows/torch$layout"
        done
    done
    omq=$(of_rounds <"$rows/omq")
    torch=$(for layout in 0 1; do of_rounds <"$rows/torch$layout"; done | sort -g | head -n 1)
    awk -v name="$1" -v t="$2" -v a="$omq" -v b="$torch" 'BEGIN {
        printf "| %s | %d | %.1f | %.1f | %.2fx |\n", name, t, a, b, b / a }'
    rm -f "$rows"/omq "$rows"/torch*
}

rows=$(mktemp -d) || exit 1
trap 'rm -rf "$rows"' EXIT
echo "| network | threads | omq, ms a step | PyTorch, ms a step | omq is |"
echo "|---|---|---|---|---|"
for t in $threads; do
    for name in $names; do
        compare "$name" "$t"
    done
done
echo
machine "$(cat "$rows/kernel")"
