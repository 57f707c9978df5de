# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # variables of the script that sources it
# Sourced by inference.sh and training.sh: what comparing with other programs takes.

fastest=''
python=${PYTHON:-/usr/bin/python3}

# set_level LEVEL: caps omq and oneDNN to it; of an empty one, to nothing. Then
# "${omq_env[@]}" and "${dnnl_env[@]}" are for env.
set_level() {
    omq_env=() dnnl_env=()
    case $1 in
    '') return ;;
    avx2) dnnl_env=(ONEDNN_MAX_CPU_ISA=AVX2) ;;
    avx512vnni) dnnl_env=(ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI) ;;
    *) echo "$me: unknown level '$1'; there are avx2 and avx512vnni" >&2; exit 2 ;;
    esac
    omq_env=("OMQ_CPU=$1")
}

# A path that was given by the caller, from where he stands.
path() { case $1 in /*) echo "$1" ;; *) echo "$here/$1" ;; esac; }

# field JSON NAME
field() { sed -n "s/.*\"$2\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" <<<"$1"; }

# time_of WHO JSON NAME: the field; without one there is nothing to compare.
time_of() {
    local value
    value=$(field "$2" "$3")
    [ -n "$value" ] || { echo "$me: $1 gave no time" >&2; exit 1; }
    echo "$value"
}

# Of numbers, a line each: their median; or the least, if fastest is set. nan, if they are.
of_rounds() {
    sort -g | awk -v fastest="$fastest" '{ v[NR] = $1 }
        END {
            if (fastest || v[1] == "nan") print v[1]
            else print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2
        }'
}

# machine KERNEL: what ran, and where.
machine() {
    echo "omq's kernels: $1; $(nproc) processors," \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
}
