#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-style.sh: what a machine can see of the house style. Prints file:line
# and what to do; exit 1 if there is anything but a warning.
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C

mapfile -t sources < <(find lib tools tests -name '*.[ch]' | sort)
mapfile -t library < <(find lib -name '*.[ch]' | sort)
mapfile -t scripts < <({ echo .ci/run
    find scripts tests tools -name '*.sh' -o -name '*.py'; } | sort)
mapfile -t texts < <(find ./*.md Makefile man configs docs -type f \
    \( -name '*.md' -o -name '*.[1-9]' -o -name '*.yaml' -o -name Makefile \) 2>/dev/null | sort)
status=0

complain() {
    [ -z "$1" ] || { echo "$1"; status=1; }
}

# forbid WHAT PATTERN FILE...: no line may match, but for comment lines and lines of text.
forbid() {
    local what=$1 pattern=$2
    shift 2
    complain "$(grep -HnE "$pattern" "$@" /dev/null |
        grep -vE '^[^:]*:[0-9]+:[[:space:]]*(\*|/\*|//|")' | sed "s/\$/   <- $what/")"
}

call() { echo "(^|[^A-Za-z0-9_>.])($1)[[:space:]]*\\("; }

# Everywhere in C.
unsafe='atoi|atol|atoll|atof|strcpy|strcat|sprintf|vsprintf|strtok|gets|alloca'
forbid "unsafe: use the checked helpers" "$(call "$unsafe")" "${sources[@]}"
# In the library: it never ends the process, prints, or looks around.
mapfile -t no_bug < <(printf '%s\n' "${library[@]}" | grep -v '^lib/base/err\.c$')
ends='exit|_exit|_Exit|quick_exit|abort|assert'
forbid "the library never ends the process" "$(call "$ends")" "${no_bug[@]}"
forbid "the library never prints" "$(call 'printf|vprintf|puts|putchar|perror')" "${no_bug[@]}"
# (It may write a file called "-" to stdout, but not talk there.)
forbid "the library never prints" 'f(printf|puts|putc)\(.*stdout|[^A-Za-z0-9_]stderr' "${no_bug[@]}"
forbid "the library never reads the environment" "$(call 'getenv|secure_getenv|setenv|putenv')" \
    "${library[@]}"

# Form.
for f in "${sources[@]}"; do
    [[ $(head -n 1 "$f") == '/* SPDX-License-Identifier: MIT'* ]] ||
        complain "$f:1: begins with /* SPDX-License-Identifier: MIT */"
    n=$(wc -l <"$f")
    if [ "$n" -gt 1000 ]; then
        complain "$f: $n lines; above 1000 it is two files"
    elif [ "$n" -gt 600 ]; then
        echo "$f: warning: $n lines; above 600 think of two files"
    fi
done
for f in "${scripts[@]}" Makefile; do
    head -n 2 "$f" | grep -q '^# SPDX-License-Identifier: MIT$' ||
        complain "$f:1: has # SPDX-License-Identifier: MIT in its first two lines"
done
all=("${sources[@]}" "${scripts[@]}" "${texts[@]}")
complain "$(grep -Hn $'\t' "${sources[@]}" /dev/null | sed 's/$/   <- no tabs/')"
# Columns are characters, not bytes; addresses and checksums cannot be wrapped.
complain "$(LC_ALL=C.UTF-8 grep -HnE '^.{101}' "${sources[@]}" "${scripts[@]}" Makefile |
    grep -vE 'https?:|[0-9a-f]{32}' | sed 's/$/   <- at most 100 columns/')"
complain "$(grep -HnE '[[:space:]]+$' "${all[@]}" | sed 's/$/   <- spaces at the end/')"
complain "$(grep -HnE 'TO''DO|FIX''ME' "${all[@]}" | sed 's/$/   <- do it, or open an issue/')"
for f in "${all[@]}"; do
    [ -z "$(tail -c 1 "$f")" ] || complain "$f: ends without a newline"
done

[ $status -ne 0 ] || echo "${#all[@]} files are in style"
exit $status
