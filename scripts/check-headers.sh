#!/bin/sh
# SPDX-License-Identifier: MIT
# check-headers.sh [CC]: every header compiles alone; omq.h as C++ too, where
# there is a C++ compiler. Templates, which are included in parts with macros
# set, are called *template.h and are not headers.
cd "$(dirname "$0")/.." || exit 1
cc=${1:-cc}
status=0
n=0

# $cc unquoted: it may hold words.
# shellcheck disable=SC2086
try() {
    printf '#include "%s"\n' "$h" | $cc "$@" -Wall -Wextra -Werror -Ilib -fsyntax-only - ||
        { echo "$h: does not compile alone ($*)"; status=1; }
    n=$((n + 1))
}

for h in $(find lib tools tests -name '*.h' ! -name '*template.h' | LC_ALL=C sort); do
    try -x c -std=c11
done
if command -v c++ >/dev/null; then
    h=lib/omq.h cc=c++
    try -x c++ -std=c++98 -pedantic
fi
[ $status -ne 0 ] || echo "$n headers compile alone"
exit $status
