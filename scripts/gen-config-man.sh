#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the list of keys of lib/conf/schema.c into man/omq-config.5, between
# its two markers. A unit test fails while the page and the table differ.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cat > "$dir/print.c" <<'EOF'
#include "conf/conf.h"
int main(void) { omq_config_print_mdoc(stdout); return 0; }
EOF
${CC:-cc} -std=c11 -Ilib -o "$dir/print" "$dir/print.c" lib/conf/*.c lib/base/*.c \
    -lyaml -lm -lpthread
"$dir/print" > "$dir/keys"
sed -e '/^\.\\" begin keys/r '"$dir/keys" \
    -e '/^\.\\" begin keys/,/^\.\\" end keys/{/^\.\\" \(begin\|end\) keys/!d;}' \
    man/omq-config.5 > "$dir/page"
cat "$dir/page" > man/omq-config.5
