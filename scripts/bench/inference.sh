#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# inference.sh: the speed of omq-run against ONNX Runtime and PyTorch, int8, on
# ResNet-20 (32x32) and ResNet-18 (224x224). --help has the options.
set -u
export LC_ALL=C
here=$PWD
cd "$(dirname "$0")/../.." || exit 1
. scripts/bench/peers.sh || exit 1

me=inference.sh
bin=${OMQ_BIN:-build/bin}
peers='' ort='' work=runs/inference rounds=3 seconds=2 threads='1 2' level=''

usage() {
    cat <<END
usage: $me -p PEERS [options]

Times omq and its peers in turns, ROUNDS times each, and prints a Markdown table
of the medians over the rounds, and how many times faster omq is than each. A
machine that does anything else meanwhile gives figures that mean nothing.

  -p PEERS    Folder with make_onnx.py, ort_int8.js and pytorch_int8.py.
  -r ORT      Folder with node_modules/onnxruntime-node, or "python" where Python has
              ONNX Runtime; without the option, no ONNX Runtime.
  -t THREADS  Thread counts, such as "1 2" (default "$threads").
  -n ROUNDS   (default $rounds)
  -s SECONDS  For each figure of a round (default $seconds).
  -c LEVEL    avx2 or avx512vnni: omq and PyTorch are capped to it.
  -f          The fastest of the rounds, not the median: where others use the machine
              too, and only now and then leave it to itself.
  -o FOLDER   Models are kept there (default $work).

OMQ_BIN is the folder of omq-run (default build/bin), PYTHON the Python that has PyTorch
(default /usr/bin/python3).
END
}

case ${1:-} in --help) usage; exit 0 ;; esac
while getopts p:r:t:n:s:c:o:fh opt; do
    case $opt in
    p) peers=$(path "$OPTARG") ;;
    r) ort=$OPTARG; [ "$ort" = python ] || ort=$(path "$ort") ;;
    t) threads=$OPTARG ;;
    n) rounds=$OPTARG ;;
    s) seconds=$OPTARG ;;
    c) level=$OPTARG ;;
    o) work=$(path "$OPTARG") ;;
    f) fastest=1 ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done
[ -f "$peers/pytorch_int8.py" ] || { echo "$me: -p must name the peers' folder" >&2; exit 2; }
set_level "$level"

# Untrained networks: speed does not depend on what the weights are.
make_models() {
    local net
    mkdir -p "$work" || exit 1
    for net in resnet20 resnet18; do
        [ -f "$work/$net/model.omq" ] || "$bin/omq-train" -q --force \
            --set data.synthetic.train=128 --set data.synthetic.test=16 \
            --set "output_dir=$work/$net" "configs/bench/$net.yaml" || exit 1
    done
    [ -z "$ort" ] || [ -f "$work/resnet18_int8.onnx" ] ||
        "$python" "$peers/make_onnx.py" --out "$work" >/dev/null || exit 1
}

# run_omq NET BATCH THREADS BITS: milliseconds.
run_omq() {
    local line
    line=$(env "${omq_env[@]}" "$bin/omq-run" --bench --json -t "$3" --batch "$2" --bits "$4" \
        --time $((seconds * 1000)) "$work/$1/model.omq") || exit 1
    field "$line" kernel >"$work/kernel"
    time_of omq "$line" ms
}

side_of() { case $1 in resnet18) echo 224 ;; *) echo 32 ;; esac; }

run_ort() {
    if [ -z "$ort" ] || [ -n "$level" ]; then
        echo nan
        return
    fi
    if [ "$ort" = python ]; then
        time_of "ONNX Runtime" "$("$python" scripts/bench/ort_int8.py "$work/$1_int8.onnx" \
            "$2" "$3" "$seconds" "$(side_of "$1")")" median_ms
        return
    fi
    time_of "ONNX Runtime" "$(node "$peers/ort_int8.js" --ort "$ort" \
        --model "$work/$1_int8.onnx" --batch "$2" --threads "$3" --seconds "$seconds" \
        --load 1)" median_ms
}

run_torch() {
    time_of PyTorch "$(env "${dnnl_env[@]}" "$python" "$peers/pytorch_int8.py" --model "$1" \
        --kind int8 --engine onednn --batch "$2" --threads "$3" --seconds "$seconds")" median_ms
}

# compare NET BATCH THREADS: one row.
compare() {
    local i who
    for ((i = 0; i < rounds; i++)); do
        for who in 8 1; do
            run_omq "$1" "$2" "$3" $who >>"$rows/omq$who"
        done
        run_ort "$1" "$2" "$3" >>"$rows/ort"
        run_torch "$1" "$2" "$3" >>"$rows/torch"
    done
    {
        echo "$1 $2 $3"
        for who in omq8 omq1 ort torch; do of_rounds <"$rows/$who"; done
    } | paste -sd' ' | awk '{
        printf "| %s | %d | %d | %.3f | %.3f |", $1, $2, $3, $4, $5
        for (i = 6; i <= 7; i++)
            if ($i == "nan") printf " | |"; else printf " %.3f | %.2fx |", $i, $i / $4
        print "" }'
    rm -f "$rows"/*
}

make_models
rows=$(mktemp -d) || exit 1
trap 'rm -rf "$rows"' EXIT
echo "| network | batch | threads | omq w8a8, ms | omq w1a1, ms | ONNX Runtime, ms | omq is |" \
    "PyTorch, ms | omq is |"
echo "|---|---|---|---|---|---|---|---|---|"
for t in $threads; do
    compare resnet20 1 "$t"
    compare resnet20 128 "$t"
    compare resnet18 1 "$t"
    compare resnet18 16 "$t"
done
echo
machine "$(cat "$work/kernel")"
