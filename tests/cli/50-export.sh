# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What all formats share, on the one that needs no other program: choices, tars,
# pipes, names, and that a file is whole or as it was.
need python3 tar
tiny_model
M=run/model.omq

# The description, against what the other programs say.
expect 0 omq-export --bits 8,w4a8 -o model.json $M
empty out
empty err
expect 0 omq-switch --json $M
python3 - model.json out <<'END_OF_CHECK'
import json, sys

o = json.load(open(sys.argv[1]))
rows = {r["precision"]: r for r in map(json.loads, open(sys.argv[2]))}
assert o["name"] == "model" and o["input"] == [12, 12, 1] and o["n_classes"] == 4
assert o["mean"] == [0.5] and o["std"] == [0.25]
assert [p["name"] for p in o["precisions"]] == ["w8a8", "w4a8"]
for p in o["precisions"]:
    assert p["weight_bytes"] == rows[p["name"]]["weight_bytes"]
    assert abs(p["top1"] - rows[p["name"]]["top1"]) < 1e-3
    assert set(p["layer_bits"]) == {l["name"] for l in o["layers"]}
edges = {o["layers"][0]["name"], o["layers"][-1]["name"]}
for name, bits in o["precisions"][1]["layer_bits"].items():
    assert bits[0] == (8 if name in edges else 4), name
assert o["macs"] == sum(l["macs"] for l in o["layers"]) > 0
eight, four = o["precisions"]
assert eight["bit_operations"] == 64 * o["macs"] > four["bit_operations"] > 32 * o["macs"]
END_OF_CHECK

# By default all precisions where a file holds several; the name says the format.
expect 0 omq-export -o all.json $M
[ "$(grep -c '"bit_operations"' all.json)" -eq 3 ] || fail "not all precisions"
expect 0 omq-export --name other -o all.json $M
has all.json '"name": "other"'
expect 0 omq-export --format json $M
cp out piped
expect 0 omq-export --format json -o - - <$M
cmp out piped
[ "$(omq-export --format json $M | wc -c)" -eq "$(wc -c <piped)" ] || fail "a pipe"
expect 0 omq-export --list-formats
grep -q '^json  *\.json  *several  *what the model is' out || fail "$(<out)"
grep -q '^ncnn  *\.param \.bin  *one  *a graph' out || fail "$(<out)"
grep -q '^c  *\.c \.h  *several  *C99' out || fail "$(<out)"
awk 'NF < 4 { exit 1 }' out || fail "$(<out)"

# The same bytes at another time, from another place, with other kernels.
expect 0 omq-export --bits 8,2 --format json -o one.tar --name n $M
mkdir elsewhere
cp $M elsewhere/n.omq
sleep 1.1
(cd elsewhere && OMQ_CPU=ref TZ=Asia/Tokyo omq-export --bits 8,2 --format json -o n.tar n.omq)
cmp one.tar elsewhere/n.tar
[ "$(tar -tf one.tar | tr '\n' ' ')" = "n.json manifest.json " ] || fail "$(tar -tf one.tar)"
tar -xf one.tar
python3 - <<'END_OF_CHECK'
import json

m = json.load(open("manifest.json"))
assert m["format"] == "json" and m["omq"]
assert m["files"] == [{"file": "n.json", "precisions": ["w8a8", "w2a2"]}]
assert [p["name"] for p in json.load(open("n.json"))["precisions"]] == ["w8a8", "w2a2"]
END_OF_CHECK
expect 1 omq-export --format json -o manifest.tar $M
has err "two files of the tar would be called 'manifest.json'"

# Golden vectors: beside a file, and in a tar.
expect 0 omq-export --bits 2 --vectors 3 -o golden.json $M
[ "$(<err)" = "omq-export: w2a2 in 'golden.json' and 'golden_vectors.npz'" ] || fail "$(<err)"
expect 0 omq-export --bits 2 --vectors 3 -f json --name golden $M
[ "$(tar -tf out | tr '\n' ' ')" = "golden.json golden_vectors.npz manifest.json " ] ||
    fail "$(tar -tf out)"
tar -xOf out golden_vectors.npz | cmp - golden_vectors.npz
tar -xOf out golden.json | cmp - golden.json
expect 2 omq-export --vectors 0 -o golden.json $M
has err "--vectors"

# What nobody named is told: a precision, a second file, a tar; what was asked for is not.
while IFS='|' read -r options note; do
    # shellcheck disable=SC2086 # several words
    expect 0 omq-export $options $M
    [ "$(<err)" = "${note:+omq-export: $note}" ] || fail "$options: $(<err)"
    # shellcheck disable=SC2086
    expect 0 omq-export -q $options $M
    empty err
done <<'END_OF_NOTES'
-o n.onnx|w8a8 in 'n.onnx'; --bits chooses others
-f onnx|w8a8 on standard output; --bits chooses others
-b 2 -o n.onnx|
-o n.param|w2a2 in 'n.param' and 'n.bin'; --bits chooses others
-b 2 -o n.bin|w2a2 in 'n.param' and 'n.bin'
-b 2 -f ncnn|w2a2 on standard output, a tar
-b 2 -f ncnn -o n.tar|
-b 8,2 -f onnx -o n|w8a8, w2a2 in 'n', a tar
-o n.c|w8a8, w2a2, w4a8 in 'n.c' and 'n.h'
-o n.npz|
-f json|
END_OF_NOTES
expect 0 omq-export -b 2 -o n.omq $M
expect 0 omq-export -o n.onnx n.omq
empty err

# The model itself, by its own name and by others.
cp $M before.omq
ln -s run/model.omq link.json
ln $M hard.json
for f in $M ./$M link.json hard.json; do
    expect 2 omq-export --format json -o "$f" $M
    has err "'$f' is the model itself"
done
# shellcheck disable=SC2094 # reading and writing the same file is what is refused
expect 2 omq-export -b 2 -o $M - <$M
has err "'$M' is the model itself"
# shellcheck disable=SC2094
omq-export --format json $M 1<>$M 2>err && fail "standard output is the model"
has err "'standard output' is the model itself"
expect 0 omq-export -b 2 -o other.omq - <$M
expect 0 omq-export -o fresh.json -f json link.json
cmp $M before.omq

# A link stays; one to standard output, as /dev/stdout is, is written to.
mkdir links
ln -s ../target.json links/link.json
expect 0 omq-export -o links/link.json $M
[ -L links/link.json ] || fail "the link is gone"
cmp target.json links/link.json
ln -s /proc/self/fd/1 links/stdout.json
expect 0 omq-export --name target -o links/stdout.json $M
[ -L links/stdout.json ] || fail "the link is gone"
omq-export --name target -f json $M | cmp - out
ln -s /proc/self/fd/1 links/stdout.c
expect 0 omq-export --name target -b 2 -o links/stdout.c $M
[ ! -e links/stdout.h ] || fail "a file beside standard output"
omq-export --name target -f c -b 2 $M | cmp - out

# A pipe takes what standard output takes, and nothing is put beside it.
mkfifo pipe.c
cat pipe.c >piped &
expect 0 omq-export --name target -b 2 -o pipe.c $M
wait $!
omq-export --name target -f c -b 2 $M | cmp - piped
[ ! -e pipe.h ] || fail "a file beside a pipe"

# Whole or as it was.
echo good >old.json
expect 2 omq-export --bits 3 -o old.json $M
has err "no precision '3'" "w4a8"
expect 1 omq-export -o old.json missing.omq
has err missing.omq
head -c 1000 $M >cut.omq
expect 1 omq-export -o old.json cut.omq
has err cut.omq
set +e
(ulimit -f 0; omq-export -o old.json $M 2>&1) | cat >out
status=${PIPESTATUS[0]}
set -e
[ "$status" -eq 1 ] || fail "exit status $status"
has out old.json "File too large"
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked
    cp old.json locked
    chmod 555 locked
    expect 1 omq-export -o locked/old.json $M
    has err "locked/old.json" "Permission denied"
    [ "$(ls locked)" = old.json ] || fail "$(ls locked)"
    cmp old.json locked/old.json
fi
[ "$(<old.json)" = good ] || fail "an old file is gone"
expect 1 omq-export -o missing/a.json $M
has err "missing/a.json"
expect 1 bash -c "omq-export --format json $M >/dev/full"
has err "cannot write to standard output: No space left on device"
omq-export --format c $M 2>err | head -n 1 >out
empty err
[ -z "$(find . -name '*.json.*' -o -name '*.tmp*' -o -name '.*json*')" ] || fail "$(find .)"

# What is refused.
cp "$OMQ_SRC/tests/fuzz/model/corpus/base.omq" two.omq
expect 1 omq-export --bits 32 -f json two.omq
empty out
has err "cannot export 'w32a32': it is in floating point: choose one of integers"
expect 0 omq-export --bits mixed -f json two.omq
has out '"name": "mixed"'
for all in "" "-b all" "-b mixed,all"; do
    # shellcheck disable=SC2086 # several words
    expect 0 omq-export $all -f json two.omq
    has_not out w32a32
    [ "$(<err)" = "omq-export: without w32a32: formats hold precisions of integers" ] ||
        fail "$all: $(<err)"
done
expect 0 omq-export -q -b all -f json two.omq
empty err
expect 0 omq-export -b mixed -f json two.omq
empty err
expect 2 omq-export -f jsn $M
has err "unknown format 'jsn'; there are " json
expect 2 omq-export -o model.jsn $M
has err "the name 'model.jsn' does not say in what format: give --format; there are omq, "
expect 2 omq-export $M
has err "give --format, or an --output whose name ends like one; there are omq, npz, safetensors"
expect 2 omq-export -o a.json
has err MODEL
for option in "--style qonnx" --main --integer "--act-type s8" "--weight-type u8"; do
    # shellcheck disable=SC2086 # several words
    expect 2 omq-export $option -o a.json $M
    has err "format 'json' has no option ${option%% *}, which is for "
done
has err "which is for onnx, onnx-switch"
expect 2 omq-export --main -o a.json $M
has err "which is for c"
expect 2 omq-export --style qonnx -f onnx-switch $M
has err "format 'onnx-switch' has no style 'qonnx'; it has qcdq, exact"
expect 1 omq-export -o a.json run
has err "'run': cannot be read: Is a directory; give the .omq file in it"
[ ! -e a.json ] || fail "a.json"

# A terminal.
need script
script -qec true /dev/null >/dev/null 2>&1 </dev/null || skip "no pseudo-terminals here"
export SHELL=/bin/sh
script -qec "omq-export -f npz $M" /dev/null >typed </dev/null && fail "to a terminal"
has typed "standard output is a terminal: give -o FILE, a pipe, or --force"
has_not typed PK
script -qec "omq-export -f npz --force $M" /dev/null >typed </dev/null || fail "--force"
has typed PK
ln -s /dev/stdout links/name.npz
for name in /dev/stdout /dev/tty links/name.npz; do
    script -qec "omq-export -f npz -o $name $M" /dev/null >typed </dev/null && fail "to $name"
    has typed "'$name' is a terminal: give another file"
    has_not typed PK
done
script -qec "omq-export -f c --vectors 2 $M" /dev/null >typed </dev/null && fail "to a terminal"
has typed "standard output is a terminal"
script -qec "omq-export -f json $M" /dev/null >typed </dev/null || fail "text to a terminal"
has typed bit_operations
script -qec "omq-export -f c $M" /dev/null >typed </dev/null || fail "text to a terminal"
has typed model_run
script -qec "omq-export -f json -o a.json -" /dev/null >typed </dev/null && fail "from a terminal"
has typed "standard input is a terminal, not a model"
# A second operand is an output, or a precision, without its option.
expect 2 omq-export run/model.omq net.onnx
has err "one MODEL at a time; did you mean '-o net.onnx'?"
expect 2 omq-export run/model.omq w4a4
has err "one MODEL at a time; did you mean '--bits w4a4'?"
