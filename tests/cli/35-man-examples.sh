# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Every line of the man pages' examples that begins with a prompt is run. The training
# that several pages begin with is run in the first of them; the others get its folder.
[ -e "$OMQ_SRC/configs/quickstart.yaml" ] || skip "no configs/quickstart.yaml"
short="omq-train --force --set train.epochs=1 --set data.train_limit=300 \\
    --set train.widths_per_step=0 --set output_dir=runs/try \\
    configs/quickstart.yaml"
for page in omq-eval.1 omq.7 omq-train.1 omq-run.1 omq-switch.1 omq-export.1; do
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
    text=$(<$page/examples)
    if [ $page = omq-eval.1 ]; then
        [[ $text == "$short"* ]] || fail "$page does not begin with the short training"
    else
        echo "${text//"${short/try/tour}"/cp -r ../trained runs\/tour}" >$page/examples
        text=$(<$page/examples)
        echo "${text//"$short"/cp -r ../trained runs\/try}" >$page/examples
        mkdir $page/runs
    fi
    (cd $page && bash -eux -o pipefail ./examples) || fail "$page"
    [ -e trained ] || cp -r $page/runs/try trained
done
