# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# All problems of a configuration at once, with their places, and status 2.
cat >bad.yaml <<'END'
output_dir: run
sed: 1
bits: [8, 9]
data: {format: synthetic}
model: {arch: resnet8}
train:
  epochs: many
  epochs: 3
  lr: 1000
END
for option in --dry-run --dump-config --quiet; do
    expect 2 omq-train $option bad.yaml
    empty out
    has err "bad.yaml:2:1: error: " "'sed'" "did you mean 'seed'?" "bad.yaml:3:" "bad.yaml:7:" \
        "bad.yaml:8:3: error: " "bad.yaml:9:"
    [ "$(grep -c '^bad.yaml:[0-9]*:[0-9]*: error: ' err)" -ge 5 ] || fail "not all problems"
    [ ! -e run ] || fail "something was created"
done
# Terminals are safe from what a file says.
printf 'output_dir: run\n"\\e[31mx": 1\n' >escape.yaml
expect 2 omq-train --dry-run escape.yaml
has_not err "$(printf '\033')"
# A file that is not there is a failure, not a wrong use.
expect 1 omq-train --dry-run missing.yaml
has err missing.yaml "No such file"
[ "$(wc -l <err)" -eq 1 ] || fail "more than one line"
# The same from standard input.
expect 2 omq-train --dry-run - <bad.yaml
has err ":2:1: error: "
