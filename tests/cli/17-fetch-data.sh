# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# fetch-data.sh from a folder: what is missing or another file is named, and nothing is left.
fetch=$OMQ_SRC/scripts/fetch-data.sh
file=train-images-idx3-ubyte.gz
mkdir files
expect 1 "$fetch" --from files mnist into
has err "there is no 'files/$file'"
echo other >files/$file
expect 1 "$fetch" --from files mnist into
has err "'files/$file' is not the file that was expected: its SHA-256 is "
[ -z "$(find into -type f)" ] || fail "left: $(find into -type f)"
expect 2 "$fetch" --from files nothing
expect 2 "$fetch" ''
has err "which data set? There are: fashion-mnist mnist"
