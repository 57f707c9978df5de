# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Every line of the man pages' examples that begins with a prompt is run.
[ -e "$OMQ_SRC/configs/quickstart.yaml" ] || skip "no configs/quickstart.yaml"
for page in omq.7 omq-train.1 omq-eval.1 omq-run.1 omq-switch.1 omq-export.1; do
    mkdir $page
    awk '
        /^\.Sh/ { examples = /EXAMPLES/ }
        /^\.(Bd|Ed)/ { literal = /Bd -literal/; more = 0; next }
        !examples || !literal { next }
        /^\$ / { sub(/^\$ /, ""); more = 1 }
        more { gsub(/\\e/, "\\"); gsub(/\\-/, "-"); print; more = /\\$/ }
    ' "$OMQ_SRC/man/$page" >$page/examples
    [ -s $page/examples ] || fail "$page has no examples"
    ln -s "$OMQ_SRC/configs" "$OMQ_SRC/data" $page
    (cd $page && bash -eux -o pipefail ./examples) || fail "$page"
done
