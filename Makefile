# SPDX-License-Identifier: MIT
# omq: plain GNU make, one file, no recursion but for the fuzzers' own build.
#
#: make              the programs (build/bin/omq-*) and the library (build/libomq.a)
#: make check        all tests, two to three minutes
#: make check-all    and again under sanitizers, valgrind, other compilers and flags
#: make check-headers, check-style, check-includes
#: make bench        time of a joint training step, with shares
#: make fuzz         libFuzzer builds of tests/fuzz/* (needs clang)
#: make install      to PREFIX (/usr/local), below DESTDIR; also: make uninstall
#: make clean        removes build/
#:
#: Variables: CC AR CPPFLAGS CFLAGS LDFLAGS PREFIX DESTDIR BUILD (the folder built
#: to), V=1 (shows the commands).

PREFIX     ?= /usr/local
bindir     ?= $(PREFIX)/bin
libdir     ?= $(PREFIX)/lib
includedir ?= $(PREFIX)/include
datadir    ?= $(PREFIX)/share
mandir     ?= $(datadir)/man
docdir     ?= $(datadir)/doc/omq
compdir    ?= $(datadir)/bash-completion/completions
DESTDIR    ?=
CC         ?= cc
AR         ?= ar
INSTALL    ?= install
CFLAGS     ?= -O3 -g
BUILD      ?= build

# Ours; CFLAGS stays the user's. No contraction: an epilogue is one fmaf, in
# the order it is written, on every machine. The prefix map keeps the place of
# the checkout out of the objects, so that two builds are the same bytes. The
# library may be linked into shared objects, where its calls stay its own.
OWN  := -std=c11 -Wall -Wextra -ffp-contract=off -fno-math-errno \
        -fPIC -fno-semantic-interposition \
        '-ffile-prefix-map=$(CURDIR)=.' -Ilib
LIBS := -lopenblas -lyaml -ljansson -ljpeg -lspng -lz -lm -lpthread

# Sources are found by sorted wildcards: adding a file needs no edit here.
LIB_SRC   := $(sort $(wildcard lib/*/*.c lib/kern/ref/*.c))
TOOLS     := $(patsubst tools/%.c,%,$(sort $(wildcard tools/omq-*.c)))
TOOL_SRC  := $(sort $(wildcard tools/tool*.c))
UNIT_SRC  := $(sort $(wildcard tests/unit/*.c))
GRAD_SRC  := $(sort $(wildcard tests/grad/*.c))
FUZZERS   := $(patsubst tests/fuzz/%/fuzz.c,%,$(sort $(wildcard tests/fuzz/*/fuzz.c)))
MAN       := $(sort $(wildcard man/*.[1-9]))
# What the gradient checks compile a second time, with double for real numbers.
GRAD_MODS := base conf kern kern/ref data ckpt quant nn
GRAD_LIB  := $(sort $(wildcard $(GRAD_MODS:%=lib/%/*.c)))

# One instruction set a file, by the file's suffix; never in CFLAGS, which
# users replace: if with -march=native, a file of AVX2 is not to become one of AVX-512.
# A compiler that has not got them builds the plain C kernels.
ISA_x86_avx2   := -mavx2 -mfma -mno-avx512f
ISA_x86_avxvnni := $(ISA_x86_avx2) -mavxvnni
ISA_x86_avx512 := $(ISA_x86_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl
ISA_x86_avx512vnni := $(ISA_x86_avx512) -mavx512vnni
ISA_x86_avx512vpopcntdq := $(ISA_x86_avx512vnni) -mavx512vpopcntdq -mavx512vbmi
ISA_x86_amx := $(ISA_x86_avx512vnni) -mamx-tile -mamx-int8
ISA_arm_dotprod := -march=armv8.2-a+dotprod
SIMD := x86
probe = $(shell scripts/probe-cc.sh $1 '$(CC)' $2)
ifneq ($(filter-out clean help uninstall,$(or $(MAKECMDGOALS),all)),)
ifneq ($(call probe,x86,$(ISA_x86_avx512vpopcntdq)),yes)
SIMD := $(if $(filter yes,$(call probe,arm,$(ISA_arm_dotprod))),arm,none)
else ifneq ($(call probe,x86,$(ISA_x86_amx) $(ISA_x86_avxvnni)),yes)
OWN     += -DOMQ_OLD_SIMD
ISA_x86_avxvnni := $(ISA_x86_avx2)
ISA_x86_amx := $(ISA_x86_avx512vnni)
endif
OWN     += $(if $(filter none,$(SIMD)),-DOMQ_NO_SIMD)
endif
SIMD_SRC := $(sort $(wildcard lib/kern/$(SIMD)/*.c))
ISA = $(ISA_$(SIMD)_$(lastword $(subst _, ,$(basename $(@F)))))

LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o) $(SIMD_SRC:%.c=$(BUILD)/%.o)
UNIT_OBJ := $(UNIT_SRC:%.c=$(BUILD)/%.o)
GRAD_OBJ := $(GRAD_LIB:%.c=$(BUILD)/double/%.o) $(GRAD_SRC:%.c=$(BUILD)/double/%.o) \
            $(BUILD)/double/tests/unit/main.o
IMAGE_OBJ := $(BUILD)/tests/image/main.o
SWAP_OBJ := $(BUILD)/tests/swap/swap.o
CHECKKERN_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/checkkern/*.c)))
TOOL_OBJ := $(TOOL_SRC:%.c=$(BUILD)/%.o)
FUZZ_OBJ := $(FUZZERS:%=$(BUILD)/tests/fuzz/%/fuzz.o) $(BUILD)/tests/fuzz/main.o
OBJ      := $(LIB_OBJ) $(UNIT_OBJ) $(GRAD_OBJ) $(TOOL_OBJ) $(TOOLS:%=$(BUILD)/tools/%.o) \
            $(FUZZ_OBJ) $(CHECKKERN_OBJ) $(IMAGE_OBJ) $(SWAP_OBJ)

BINS  := $(TOOLS:%=$(BUILD)/bin/%)
TESTS := $(BUILD)/unit $(BUILD)/grad $(BUILD)/checkkern $(BUILD)/image $(BUILD)/swap \
         $(FUZZERS:%=$(BUILD)/fuzz/%)

, := ,
Q   := $(if $(V),,@)
# Silent with V=1, which shows the commands, and with make -s.
say  = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@echo '  $1  $@')

all: $(BINS) $(BUILD)/libomq.a $(BUILD)/omq.pc
tests: all $(TESTS)
fuzzers: $(FUZZERS:%=$(BUILD)/fuzz/%)

# Files that change only when their text does: flags, so that others rebuild
# everything, and lists, so that a file that comes or goes is noticed.
quote = '$(subst ','\'',$1)'
define stamp
@mkdir -p $(@D)
@printf '%s\n' $1 >$@.new
@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
endef
$(BUILD)/flags: FORCE
	$(call stamp,$(call quote,$(CC) $(OWN) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)))
$(BUILD)/objects: FORCE
	$(call stamp,$(LIB_OBJ))
$(BUILD)/tests/unit/suites.h: FORCE
	$(call stamp,$(patsubst tests/unit/test_%.c,'SUITE(%)',$(filter tests/unit/test_%,$(UNIT_SRC))))
$(BUILD)/double/tests/unit/suites.h: FORCE
	$(call stamp,$(patsubst tests/grad/test_%.c,'SUITE(%)',$(filter tests/grad/test_%,$(GRAD_SRC))))

define compile
@mkdir -p $(@D)
$(call say,CC  )
$(Q)$(CC) $(OWN) $(DEFS) $(CPPFLAGS) -MMD -MP $(CFLAGS) $(ISA) -c -o $@ $<
endef
define link
@mkdir -p $(@D)
$(call say,LINK)
$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)
endef
$(BUILD)/%.o: %.c $(BUILD)/flags
	$(compile)
$(BUILD)/double/%.o: DEFS := -DOMQ_DOUBLE
$(BUILD)/double/%.o: %.c $(BUILD)/flags
	$(compile)

$(BUILD)/libomq.a: $(LIB_OBJ) $(BUILD)/objects
	$(call say,AR  )
	$(Q)rm -f $@ && $(AR) rcD $@ $(LIB_OBJ)

VERSION := $(shell sed -n 's/^.define OMQ_VERSION "\(.*\)"/\1/p' lib/omq.h)
$(BUILD)/omq.pc: lib/omq.pc.in FORCE
	$(call stamp,"$$(sed 's|@prefix@|$(PREFIX)|; s|@libdir@|$(libdir)|; s|@version@|$(VERSION)|; \
	    s|@includedir@|$(includedir)|; s|@libs@|$(LIBS)|; s|=$(PREFIX)/|=$${prefix}/|' $<)")

$(BINS): $(BUILD)/bin/%: $(BUILD)/tools/%.o $(TOOL_OBJ) $(BUILD)/libomq.a
	$(link)

# Tests. Both mains are tests/unit/main.c, each with its own list of suites.
CHECK_LIBS := -lcheck -lsubunit -lrt
$(BUILD)/unit $(BUILD)/grad: LIBS := $(CHECK_LIBS) $(LIBS)
# tests/unit/failalloc.c stands between our objects and the allocator.
$(BUILD)/unit: LIBS += $(addprefix -Wl$(,)--wrap=,malloc calloc realloc aligned_alloc strdup)
$(BUILD)/tests/unit/main.o: DEFS := -I$(BUILD)/tests/unit
$(BUILD)/tests/unit/main.o: $(BUILD)/tests/unit/suites.h
$(BUILD)/double/tests/unit/main.o: DEFS += -I$(BUILD)/double/tests/unit
$(BUILD)/double/tests/unit/main.o: $(BUILD)/double/tests/unit/suites.h
$(BUILD)/unit: $(UNIT_OBJ) $(BUILD)/libomq.a
	$(link)
$(BUILD)/grad: $(GRAD_OBJ)
	$(link)
$(BUILD)/checkkern: $(CHECKKERN_OBJ) $(BUILD)/libomq.a
	$(link)
$(BUILD)/swap: $(SWAP_OBJ) $(BUILD)/libomq.a
	$(link)
$(BUILD)/image: $(IMAGE_OBJ) $(BUILD)/libomq.a
	$(link)
# FUZZ_ENGINE=-fsanitize=fuzzer links clang's libFuzzer in place of the plain main.
FUZZ_MAIN := $(if $(FUZZ_ENGINE),,$(BUILD)/tests/fuzz/main.o)
$(BUILD)/fuzz/%: LIBS := $(FUZZ_ENGINE) $(LIBS)
$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%/fuzz.o $(FUZZ_MAIN) $(BUILD)/libomq.a
	$(link)

# The scripts build what they test, so that a build that fails is counted too. They make
# with the same jobs, hence the +, which make -n would follow.
CHECKS = $(if $(findstring n,$(firstword -$(MAKEFLAGS))),,+@MAKE='$(MAKE)' BUILD='$(BUILD)' \
         CC='$(CC)') scripts/run-checks
check:
	$(CHECKS).sh
check-all:
	$(CHECKS)-all.sh
check-headers:
	@scripts/check-headers.sh '$(CC)'
check-style check-includes:
	@scripts/$@.sh

bench: all
	@for config in configs/bench/*.yaml; do $(BUILD)/bin/omq-train --bench $$config || exit; done

FUZZ_SAN := address,undefined
fuzz:
	+$(Q)$(MAKE) BUILD=$(BUILD)/fuzzer CC=clang FUZZ_ENGINE=-fsanitize=fuzzer \
	    CFLAGS='-O1 -g -fsanitize=fuzzer-no-link,$(FUZZ_SAN)' LDFLAGS='-fsanitize=$(FUZZ_SAN)' fuzzers
	@echo "run, for example: $(BUILD)/fuzzer/fuzz/$(firstword $(FUZZERS)) -max_total_time=60" \
	    "FOLDER_FOR_FINDINGS tests/fuzz/$(firstword $(FUZZERS))/corpus"

DOCS := README.md CHANGES.md LICENSE examples/classify.c
PAGES := $(wildcard docs/*.md docs/*.svg)
# Elsewhere it would be below the current folder for one of the two, below / for the other.
prefix_check = $(if $(filter /%,$(PREFIX)),,$(error PREFIX is '$(PREFIX)': it must begin with /))\
    $(foreach v,PREFIX bindir libdir includedir docdir compdir mandir,\
        $(if $(filter 1,$(words $($v))),,$(error $v is '$($v)': it must be one word)))
manpage = $(mandir)/man$(subst .,,$(suffix $1))/$(notdir $1)
install: all
	$(prefix_check)
	$(INSTALL) -d $(foreach d,$(bindir) $(libdir)/pkgconfig $(includedir) $(docdir)/docs \
	    $(compdir),'$(DESTDIR)$d')
	$(INSTALL) -m 755 $(BINS) '$(DESTDIR)$(bindir)'
	$(INSTALL) -m 644 $(BUILD)/libomq.a '$(DESTDIR)$(libdir)'
	$(INSTALL) -m 644 $(BUILD)/omq.pc '$(DESTDIR)$(libdir)/pkgconfig'
	$(INSTALL) -m 644 lib/omq.h '$(DESTDIR)$(includedir)'
	$(INSTALL) -m 644 $(DOCS) '$(DESTDIR)$(docdir)'
	$(INSTALL) -m 644 $(PAGES) '$(DESTDIR)$(docdir)/docs'
	$(foreach m,$(MAN),$(INSTALL) -D -m 644 $m '$(DESTDIR)$(call manpage,$m)' &&) :
	$(foreach t,$(TOOLS),$(INSTALL) -m 644 completions/omq.bash '$(DESTDIR)$(compdir)/$t' &&) :

uninstall:
	$(prefix_check)
	cd '$(or $(DESTDIR),/)' && rm -f $(patsubst /%,%,$(TOOLS:%=$(bindir)/%) $(libdir)/libomq.a \
	    $(libdir)/pkgconfig/omq.pc $(includedir)/omq.h $(addprefix $(docdir)/,$(notdir $(DOCS))) \
	    $(PAGES:%=$(docdir)/%) $(foreach m,$(MAN),$(call manpage,$m)) \
	    $(TOOLS:%=$(compdir)/%))
	-rmdir '$(DESTDIR)$(docdir)/docs' '$(DESTDIR)$(docdir)'

clean:
	rm -rf $(BUILD)

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

.PHONY: all tests fuzzers check check-all check-headers check-style check-includes bench fuzz \
        install uninstall clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:
-include $(OBJ:.o=.d)
