# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Every configuration that is shipped can be used.
cd "$OMQ_SRC" || exit
n=0
while read -r f; do
    omq-train --dump-config "$f" >/dev/null || fail "$f"
    n=$((n + 1))
done < <(find configs -name '*.yaml')
[ $n -gt 0 ] || fail "no configuration"
