# SPDX-License-Identifier: MIT
# omq: plain GNU make. `make help` lists the targets.

PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
AR      ?= ar
CFLAGS  ?= -O3 -g
BUILD   ?= build

# Ours; CFLAGS stays the user's. No contraction: an epilogue is one fmaf, in
# the order it is written, on every machine.
OWN     := -std=c11 -Wall -Wextra -ffp-contract=off -fno-math-errno -Ilib
LIBS    := -lopenblas -lyaml -ljansson -lz -lm -lpthread

LIB_SRC  := $(sort $(wildcard lib/*/*.c lib/kern/*/*.c))
TOOLS    := $(patsubst tools/%.c,%,$(sort $(wildcard tools/omq-*.c)))
UNIT_SRC := $(sort $(wildcard tests/unit/*.c))

LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
BINS     := $(TOOLS:%=$(BUILD)/bin/%)

Q := $(if $(V),,@)

all: $(BINS) $(BUILD)/libomq.a

# One instruction set a file, by suffix; never in CFLAGS, which users replace.
$(BUILD)/%_avx2.o: ISA := -mavx2 -mfma
$(BUILD)/%_avx512.o: ISA := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mprefer-vector-width=512

# Rewritten only when the flags differ from the last build's.
FLAGS = $(CC) $(OWN) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC    $<')
	$(Q)$(CC) $(OWN) $(CPPFLAGS) -MMD -MP $(CFLAGS) $(ISA) -c -o $@ $<

$(BUILD)/libomq.a: $(LIB_OBJ)
	$(Q)rm -f $@ && $(AR) rcD $@ $^

$(BINS): $(BUILD)/bin/%: $(BUILD)/tools/%.o $(BUILD)/tools/tool.o $(BUILD)/libomq.a
	@mkdir -p $(@D)
	$(if $(V),,@echo '  LINK  $@')
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/unit: $(UNIT_SRC:%.c=$(BUILD)/%.o) $(BUILD)/libomq.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lcheck -lsubunit -lrt

clean:
	rm -rf $(BUILD)

.PHONY: all clean FORCE
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
