#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-install.sh BUILD: installs to an empty folder, builds a program against
# what is there, and uninstalls: nothing may be left.
set -eu
cd "$(dirname "$0")/.."
build=$1 cc=${CC:-cc}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Not the jobs of the make above, if there is one: this is a make of its own.
unset MAKEFLAGS MAKELEVEL
make -s BUILD="$build" CC="$cc" DESTDIR="$dir" PREFIX=/usr install
for f in bin/omq-train bin/omq-eval lib/libomq.a include/omq.h share/man/man1/omq-train.1 \
    share/man/man5/omq-format.5 share/doc/omq/README.md \
    share/bash-completion/completions/omq-eval; do
    [ -f "$dir/usr/$f" ] || { echo "make install does not install $f"; exit 1; }
done
cat >"$dir/use.c" <<'END'
#include <omq.h>
#include <string.h>
int main(void) { return strcmp(omq_version(), OMQ_VERSION) != 0; }
END
# $cc unquoted: it may hold words.
# shellcheck disable=SC2086
$cc -I"$dir/usr/include" -o "$dir/use" "$dir/use.c" "$dir/usr/lib/libomq.a" \
    -lopenblas -lyaml -ljansson -ljpeg -lspng -lz -lm -lpthread
"$dir/use" || { echo "the installed header and library are of different versions"; exit 1; }
"$dir/usr/bin/omq-eval" --version >"$dir/version"
rm "$dir/use" "$dir/use.c" "$dir/version"

make -s BUILD="$build" CC="$cc" DESTDIR="$dir" PREFIX=/usr uninstall
left=$(find "$dir" ! -type d)
[ -z "$left" ] || { printf 'make uninstall leaves:\n%s\n' "$left"; exit 1; }
echo "installed, used and uninstalled"
