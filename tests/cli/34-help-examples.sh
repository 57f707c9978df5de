# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The examples of --help are accepted as they are printed.
set -o pipefail
[ -e "$OMQ_SRC/configs/quickstart.yaml" ] || skip "no configs/quickstart.yaml"
ln -s "$OMQ_SRC/configs" "$OMQ_SRC/data" .
expect 0 omq-train --help
grep '^  omq-train' out >examples
while read -r command; do
    # As a dry run, which an example may already be.
    eval "$command --dry-run" </dev/null >/dev/null || fail "$command"
done <examples
tiny_model
mkdir -p runs/quickstart
cp run/model.omq runs/quickstart
make_png image.png 12 12 1
for tool in omq-eval omq-run omq-switch omq-export; do
    expect 0 $tool --help
    grep "^  $tool" out >examples
    while read -r command; do
        [[ $command != *--bench* ]] || command+=" --time 20" # milliseconds are enough here
        command=${command/%| head/| cat} # which leaves before all is written
        eval "$command" </dev/null >/dev/null || fail "$command"
    done <examples
done
