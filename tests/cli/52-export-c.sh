# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Format c: compiles without a warning, alone or beside a program of one's own, and
# answers as the model does.
need cc
tiny_model --set 'bits=[8,2,1,{w: 4, a: 8}]'
make_raw images $((40 * 144))

# answers PROGRAM [PRECISION]: those of the program are omq-run's at the precision.
answers() {
    omq-run --bits "${2:-8}" run/model.omq <images | cut -f 2,3 >want
    expect 0 "$@" <images
    empty err
    [ "$(wc -l <want)" -eq 40 ] || fail "not 40 answers"
    cut -f 2,3 out | diff want - || fail "$*"
}

# What the man page promises, with no library at all.
omq-export --format c --main --bits 2 run/model.omq | cc -x c -O2 -o net -
answers ./net w2a2

# All precisions in two files, of which the first is enough.
expect 0 omq-export --main -o all.c run/model.omq
empty out
warnings=(-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Werror)
cc "${warnings[@]}" -O2 -o all all.c
for precision in w8a8 w2a2 w1a1 w4a8; do
    answers ./all $precision
done
answers ./all
for word in 8 2 1; do
    answers ./all $word
done
for word in w3a3 3 "" 88 fast; do
    expect 1 ./all "$word" <images
    empty out
    has err "all: no precision '$word'" "default: 8 2 1 w4a8"
done
expect 1 ./all -x <images
has err "all: no option '-x'" "usage: all [-l] [PRECISION] <images"
expect 1 ./all 8 2 <images
has err "more than one precision" "usage: all"
for word in --help -h; do
    expect 0 ./all $word
    empty err
    has out "usage: all [-l] [PRECISION] <images" "12 x 12 x 1 bytes" "default: 8 2 1 w4a8"
done
expect 1 bash -c "./all --help >/dev/full"
has err "cannot write"
expect 0 ./all -l 2 <images
cp out logits
expect 0 ./all -l w2a2 <images
cmp out logits
[ "$(awk 'NF == 4' logits | wc -l)" -eq 40 ] || fail "not four logits of 40 images"
head -c 200 images | expect 1 ./all
has err 'not complete'
[ "$(wc -l <out)" -eq 1 ] || fail "not one answer"
if command -v clang >/dev/null; then
    # Tables of structs have padding; macros of the interface are for others; the rest
    # is younger than C99, or of compilers that know them.
    clang -std=c99 -Weverything -Werror -Wno-padded -Wno-unused-macros -Wno-unknown-warning-option \
        -Wno-declaration-after-statement -Wno-unsafe-buffer-usage -O2 -c all.c
fi

# An int of 16 bits, as an MSP430's, for which clang knows what is lost; and a double of 32,
# as an AVR's, where the floats would not be the same.
if clang --target=msp430 -x c -fsyntax-only - </dev/null 2>err; then
    mkdir small
    cat >small/string.h <<'END'
#include <stddef.h>
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
int strcmp(const char *, const char *);
END
    for options in "" --integer; do
        # shellcheck disable=SC2086 # no word, or one
        expect 0 omq-export $options -o moves.c "$OMQ_SRC/tests/data/moves.omq"
        clang --target=msp430 -ffreestanding -Ismall "${warnings[@]}" -Wsign-conversion \
            -fsyntax-only moves.c
    done
    expect 0 omq-export -o moves.c "$OMQ_SRC/tests/data/moves.omq"
    expect 1 clang --target=avr -ffreestanding -Ismall -fsyntax-only moves.c
    has err 'doubles of IEEE 754'
fi

# The interface, from a program of one's own.
expect 0 omq-export -o my-net.c --name own --bits 8,1,w4a8 run/model.omq
cat >main.c <<'END'
#include <stdio.h>
#include "my-net.h"
static uint32_t arena[(OWN_ARENA_BYTES + 3) / 4];
int main(void)
{
    uint8_t pixels[OWN_HEIGHT * OWN_WIDTH * OWN_CHANNELS];
    float logits[OWN_CLASSES];

    if (OWN_PRECISIONS != 3 || own_set_bits(4) == 0 || own_set_bits(0) == 0 ||
        own_set_precision("w2a2") == 0 || own_set_precision("w4a8") != 0 || own_set_bits(1) != 0)
        return 1;
    while (fread(pixels, sizeof(pixels), 1, stdin) == 1)
        printf("%d\n", own_run(pixels, logits, arena));
    return 0;
}
END
cc "${warnings[@]}" -O2 -o own main.c my-net.c
./own <images >got
omq-run --bits 1 run/model.omq <images | cut -f 2 | diff - got || fail "a program of one's own"

# Without a float unit: nothing but a last code may differ, which noise may show.
expect 0 omq-export --integer --main -o whole.c run/model.omq
! grep -qE 'float|double' <(sed '/a program: images/,$d' whole.c) || fail "floats among integers"
cc "${warnings[@]}" -O2 -o whole whole.c
omq-run run/model.omq <images | cut -f 2 >want
expect 0 ./whole <images
cut -f 2 out >got
[ "$(wc -l <got)" -eq 40 ] || fail "not 40 answers"
differ=$(diff want got | grep -c '^>' || true)
[ "$differ" -le 1 ] || fail "$differ of 40 answers differ with --integer"

# The same bytes again.
expect 0 omq-export --main -o - --name all --format c run/model.omq
cmp out all.c || fail "not the same bytes"
