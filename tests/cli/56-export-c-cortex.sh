# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Format c on a Cortex-M4, with and without its float unit, as qemu has one: the same
# logits as here.
need arm-none-eabi-gcc qemu-system-arm cc
[ "$(arm-none-eabi-gcc -print-file-name=rdimon.specs)" != rdimon.specs ] ||
    skip "newlib for arm-none-eabi is not installed"
tiny_model --set 'bits=[8,2,1]'
make_raw images $((3 * 144))
expect 0 omq-export --main -o net.c run/model.omq
cc -O2 -o net net.c

# --integer needs no float, nor what would stand for one.
expect 0 omq-export --integer -o whole.c run/model.omq
arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb -Os -c whole.c
! arm-none-eabi-nm -u whole.o | grep -E '__aeabi_([fd]|[a-z]+2)' || fail "floats among integers"

# The vectors, and the float unit switched on; then newlib's start, which speaks to qemu.
cat >start.c <<'END'
extern void _mainCRTStartup(void);
static void reset(void)
{
    *(volatile unsigned *)0xe000ed88 |= 0xf << 20;
    __asm volatile("dsb; isb");
    _mainCRTStartup();
}
__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))0x20400000, reset,
};
END
cat >board.ld <<'END'
ENTRY(_start)
MEMORY { rom : ORIGIN = 0, LENGTH = 4M  ram : ORIGIN = 0x20000000, LENGTH = 4M }
SECTIONS {
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) KEEP(*(.init)) KEEP(*(.fini)) } >rom
    .ARM.exidx : { __exidx_start = .; *(.ARM.exidx*) __exidx_end = .; } >rom
    .data : { *(.data*) . = ALIGN(4); } >ram
    .bss : { __bss_start__ = .; *(.bss*) *(COMMON) . = ALIGN(4); __bss_end__ = .; } >ram
    end = .;
    __end__ = .;
}
END
for unit in -mfloat-abi=soft '-mfloat-abi=hard -mfpu=fpv4-sp-d16'; do
    # shellcheck disable=SC2086 # words
    arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb $unit -std=c99 -pedantic -Wall -Wextra -Werror -Os \
        -c -o net.o net.c
    # shellcheck disable=SC2086
    arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb $unit --specs=rdimon.specs -T board.ld \
        -o net.elf net.o start.c
    for precision in w8a8 w2a2 w1a1; do
        ./net -l $precision <images >want
        expect 0 timeout 60 qemu-system-arm -M mps2-an386 -nographic -monitor none -serial none \
            -semihosting-config enable=on,target=native,arg=net,arg=-l,arg=$precision \
            -kernel net.elf <images
        [ "$(wc -l <out)" -eq 3 ] || fail "not three answers: $(<err)"
        diff want out || fail "$unit: other logits at $precision"
    done
done
