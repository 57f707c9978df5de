#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-install.sh BUILD: installs to an empty folder, builds and runs programs
# against what is there, and uninstalls: nothing may be left, nor where the folder's name
# has a blank.
set -eu
cd "$(dirname "$0")/.."
build=$1 cc=${CC:-cc}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
root=$dir/root prefix=/opt/omq

# Not the jobs of the make above, if there is one: this is a make of its own.
unset MAKEFLAGS MAKELEVEL
make -s BUILD="$build" CC="$cc" DESTDIR="$root" PREFIX=$prefix install
for f in bin/omq-train bin/omq-eval bin/omq-run bin/omq-switch bin/omq-export \
    lib/libomq.a lib/pkgconfig/omq.pc include/omq.h share/man/man1/omq-train.1 \
    share/man/man1/omq-export.1 share/man/man3/libomq.3 share/man/man5/omq-format.5 \
    share/doc/omq/README.md share/doc/omq/docs/method.md share/doc/omq/classify.c \
    share/bash-completion/completions/omq-eval share/bash-completion/completions/omq-run; do
    [ -f "$root$prefix/$f" ] || { echo "make install does not install $f"; exit 1; }
done
"$root$prefix/bin/omq-eval" --version >/dev/null

# $cc unquoted: it may hold words.
# shellcheck disable=SC2086
if command -v pkg-config >/dev/null; then
    export PKG_CONFIG_PATH=$root$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
    read -ra flags < <(pkg-config --cflags --libs omq)
    cat >"$dir/use.c" <<'END'
#include <omq.h>
#include <string.h>
int main(void) { return strcmp(omq_version(), OMQ_VERSION) != 0; }
END
    $cc -o "$dir/use" "$dir/use.c" "${flags[@]}"
    "$dir/use" || { echo "the installed header and library are of different versions"; exit 1; }
    # A plugin of another program: the library within a shared object.
    echo '#include <omq.h>
int open_it(struct omq_model **m) { return omq_model_open(m, "-", 0, 0); }' >"$dir/plugin.c"
    $cc -shared -fPIC -o "$dir/plugin.so" "$dir/plugin.c" "${flags[@]}" ||
        { echo "the library cannot be linked into a shared object"; exit 1; }
    [ "$(pkg-config --modversion omq)" = "$(sed -n 's/^.define OMQ_VERSION "\(.*\)"/\1/p' \
        lib/omq.h)" ] || { echo "omq.pc has another version than omq.h"; exit 1; }

    # The example, as its first lines say, against what omq-run says.
    $cc -std=c11 -Wall -Wextra -Werror -o "$dir/classify" \
        "$root$prefix/share/doc/omq/classify.c" "${flags[@]}"
    export PATH=$root$prefix/bin:$PATH
    cat >"$dir/tiny.yaml" <<END
output_dir: $dir/run
bits: [8, 2]
data:
  format: synthetic
  synthetic: {height: 16, width: 16, channels: 1, classes: 4, train: 32, test: 8}
  mean: [0.5]
  std: [0.25]
model: {arch: lenet5, width: 0.25}
train: {epochs: 1, batch_size: 16}
END
    omq-train -q "$dir/tiny.yaml"
    head -c $((256 * 6)) "$root$prefix/bin/omq-run" >"$dir/frames"
    for bits in 8 2; do
        omq-run --bits $bits "$dir/run/model.omq" <"$dir/frames" |
            awk -v OFS='\t' '{ print NR - 1, $2, $2, $4 }' >"$dir/$bits"
    done
    { sed -n 1,4p "$dir/8"; sed -n 5,6p "$dir/2"; } >"$dir/want"
    "$dir/classify" "$dir/run/model.omq" 4 2 <"$dir/frames" >"$dir/have"
    diff "$dir/want" "$dir/have" || { echo "classify.c and omq-run disagree"; exit 1; }
    ! "$dir/classify" "$dir/run/model.omq" 0 5 <"$dir/frames" 2>"$dir/err" ||
        { echo "classify.c takes a precision that is not there"; exit 1; }
    grep -q "has no precision '5'" "$dir/err" || { cat "$dir/err"; exit 1; }
    ! head -c 300 "$dir/frames" | "$dir/classify" "$dir/run/model.omq" >/dev/null 2>"$dir/err" ||
        { echo "classify.c takes a part of a frame"; exit 1; }
    grep -q "the last frame is cut off" "$dir/err" || { cat "$dir/err"; exit 1; }
    ! "$dir/classify" "$dir/run/model.omq" 1x 2 <"$dir/frames" 2>/dev/null ||
        { echo "classify.c takes '1x' for a number"; exit 1; }
fi

make -s BUILD="$build" CC="$cc" DESTDIR="$root" PREFIX=$prefix uninstall
root="$root/a blank"
make -s BUILD="$build" CC="$cc" DESTDIR="$root" PREFIX=$prefix install
"$root$prefix/bin/omq-eval" --version >/dev/null
make -s BUILD="$build" CC="$cc" DESTDIR="$root" PREFIX=$prefix uninstall
root=${root%/*}
make -s BUILD="$build" CC="$cc" # omq.pc as it was
! make -s BUILD="$build" CC="$cc" DESTDIR="$root" PREFIX=opt uninstall 2>"$dir/err" ||
    { echo "make uninstall takes a PREFIX that is no whole path"; exit 1; }
grep -q "it must begin with /" "$dir/err" || { cat "$dir/err"; exit 1; }
left=$(find "$root" ! -type d)
[ -z "$left" ] || { printf 'make uninstall leaves:\n%s\n' "$left"; exit 1; }
command -v pkg-config >/dev/null || {
    echo "installed and uninstalled, but not used: pkg-config is not installed"
    exit 77
}
echo "installed, used and uninstalled"
