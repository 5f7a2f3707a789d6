# Makefile -- builds the runtime, the Lua module and the program; runs tests, checks, demo.
#
# Sources are found by globbing: a new file under runtime/ or lua/ needs no edit here.  Nothing is asked
# of the system while this file is read, so that `make test` and `make demo` can install what is missing
# first (mk/deps.sh).  Every product lies under BUILD.
#
#   make                       build/neap, build/libneap.{so,a}, build/lua/ (what require "neap" loads)
#   make test [T=pattern]      all tests, or those whose file or name matches a Lua pattern
#   make check                 the slow half: sanitizers, hostile build, valgrind, statistics, BLAS flavours
#   make planted | faults | stubs      faults put in on purpose, and stubs of public functions, each caught by a test
#   make bench [ONLY=workload] [THREADS=1,2] [RUNS=7] [BUSY=1] [PEER=no]     beside PyTorch, if make bench-deps was run;
#                              and Stan, if make bench-deps STAN=yes was
#   make bench-rbm [MINUTES=20] | bench-moons [THREADS=1,2] [SEEDS=1,2] [ONLY=method]    what long trainings reach, and when
#   make demo | deps | clean
#   make install PREFIX=/usr/local DESTDIR=
#   make SANITIZER=address|undefined|thread [target]      in a build folder of its own
#   make hostile               assertions on, tiny tiles, failing allocations, collection at every allocation

VERSION := 0.1.0
SOVERSION := 0
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
LUA_V := 5.4
LUA ?= lua5.4

SANITIZER ?=
HOSTILE ?=
comma := ,
ROOT := build
VARIANT := $(strip $(subst $(comma),-,$(SANITIZER))$(if $(HOSTILE),hostile))
BUILD ?= $(ROOT)$(if $(VARIANT),/$(VARIANT))

# ---- flags: CFLAGS and LDFLAGS are the user's, ALL_* are ours

CFLAGS ?= -O2 -g
WERROR ?= -Werror
LUA_CFLAGS ?= -I/usr/include/lua$(LUA_V)
# The program holds all of Lua and exports it, so that C modules find its symbols as they do in lua5.4.
LUA_LIBS ?= -Wl,--whole-archive -l:liblua$(LUA_V).a -Wl,--no-whole-archive
LIBS ?= -lopenblas -lsleef -ljansson -lpng -lz -lpthread -lm -ldl

# gcc's sanitizers hide from it that variables are set.
MODE_FLAGS := $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer -fno-sanitize-recover=all -Wno-maybe-uninitialized)
MODE_FLAGS += $(if $(HOSTILE),-DNEAP_HOSTILE,-DNDEBUG)
ALL_CFLAGS = -std=gnu11 -Wall -Wextra $(WERROR) -fPIC -fvisibility=hidden -fno-semantic-interposition -pthread -D_GNU_SOURCE $(CFLAGS) $(MODE_FLAGS) \
             -Iruntime -I$(BUILD)/gen
ALL_LDFLAGS = $(filter -fsanitize=%,$(MODE_FLAGS)) -pthread -Wl,--as-needed $(LDFLAGS)

# V=1 shows whole commands.
say = @$(if $(V),set -x;,echo "  $(1) $(if $(2),$(2),$@)";)

# ---- sources

find = $(sort $(shell find $(1) -name '$(2)' 2>/dev/null))
PROGRAM_C := $(wildcard $(addprefix lua/,main.c options.c report.c library.c repl.c readline.c))
MODULE_C := $(filter-out $(PROGRAM_C),$(wildcard lua/*.c))
RUNTIME_C := $(filter-out runtime/gen/%,$(call find,runtime,*.c)) $(EXTRA_C)
# Files whose first line is "/* per-isa */" are compiled once per instruction set, with TILE_ISA set to its name.
ISA_C := $(if $(RUNTIME_C),$(shell awk 'FNR == 1 && /per-isa/ { print FILENAME } FNR > 1 { nextfile }' $(RUNTIME_C)))
PLAIN_C := $(filter-out $(ISA_C),$(RUNTIME_C))
ISAS := base $(if $(filter x86_64,$(shell uname -m)),avx2 avx512)
ISA_FLAGS := -O3 -fopenmp-simd -fno-math-errno -fno-trapping-math -fwrapv
ISA_base :=
ISA_avx2 := -mavx2 -mfma
ISA_avx512 := -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma -mprefer-vector-width=512

STDLIB := $(call find,stdlib,*.lua)
TEST_C := $(call find,tests,test_*.c)
TOOL_C := $(call find,tests,tool_*.c)
EXAMPLE_C := $(call find,examples,*.c)

# ---- objects and products

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
RUNTIME_O := $(call obj,$(PLAIN_C)) $(BUILD)/obj/gen/ops_gen.o \
             $(foreach i,$(ISAS),$(patsubst %.c,$(BUILD)/obj/%_$(i).o,$(ISA_C)))
MODULE_O := $(call obj,$(MODULE_C))
PROGRAM_O := $(call obj,$(PROGRAM_C))
GEN := $(BUILD)/gen/neap_ops.h
# stdlib/neap.lua is require "neap"; stdlib/neap/x.lua is require "neap.x".
LUA_LINKS := $(patsubst stdlib/%,$(BUILD)/lua/%,$(STDLIB))
TEST_BIN := $(patsubst %.c,$(BUILD)/%,$(TEST_C) $(TOOL_C))
EXAMPLE_BIN := $(patsubst %.c,$(BUILD)/%,$(EXAMPLE_C))

.PHONY: all demo test check bench bench-rbm bench-moons bench-deps install deps clean hostile planted faults stubs altered \
        test-run tests lib
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/neap lib $(BUILD)/lua/neap/core.so $(BUILD)/lua/neap/meta.lua
lib: $(BUILD)/libneap.so $(BUILD)/libneap.a $(BUILD)/libneap-lua.a
tests: all $(TEST_BIN) $(EXAMPLE_BIN)

# Rewritten only when the commands change; every object depends on it.
FLAGS_NOW := $(CC) $(ALL_CFLAGS) $(ISA_FLAGS) $(LUA_CFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' > $@
.PHONY: FORCE
FORCE:

# The op table becomes a header and a source of constructors.
$(BUILD)/gen/gen_ops: runtime/gen/gen_ops.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,cc ,$<) $(CC) -std=gnu11 -Wall -Wextra $(WERROR) $(CFLAGS) -Iruntime -MMD -MP -MF $@.d -MT $@ $< -o $@
# Files that come out as they were keep their time, so that a new row's cases rebuild little.
$(BUILD)/gen/made: $(BUILD)/gen/gen_ops
	@mkdir -p $(@D)/new
	@$< $(@D)/new
	@for f in $(@D)/new/*; do cmp -s $$f $(@D)/$${f##*/} || cp $$f $(@D)/; done; touch $@
$(BUILD)/gen/neap_ops.h $(BUILD)/gen/ops_gen.c &: $(BUILD)/gen/made ;
$(BUILD)/obj/gen/ops_gen.o: $(BUILD)/gen/ops_gen.c $(GEN) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,cc ,$<) $(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/obj/lua/%.o: lua/%.c $(BUILD)/flags | $(GEN)
	@mkdir -p $(@D)
	$(call say,cc ,$<) $(CC) $(ALL_CFLAGS) $(LUA_CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(GEN)
	@mkdir -p $(@D)
	$(call say,cc ,$<) $(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

define isa_rule
$(BUILD)/obj/%_$(1).o: %.c $(BUILD)/flags mk/sleef.sh | $(GEN)
	@mkdir -p $$(@D)
	$$(call say,cc ,$$< $(1)) $$(CC) $$(ALL_CFLAGS) $(ISA_FLAGS) $(ISA_$(1)) -DTILE_ISA=$(1) -MMD -MP -c $$< -o $$@
	@sh mk/sleef.sh $$@
endef
$(foreach i,$(ISAS),$(eval $(call isa_rule,$(i))))

$(BUILD)/libneap.so.$(SOVERSION): $(RUNTIME_O)
	$(call say,ld ) $(CC) -shared $(ALL_LDFLAGS) -Wl,-soname,$(@F) $(if $(SANITIZER),,-Wl$(comma)-z$(comma)defs) $^ -o $@ $(LIBS)
$(BUILD)/libneap.so: $(BUILD)/libneap.so.$(SOVERSION)
	@ln -sfn $(<F) $@
$(BUILD)/libneap.a: $(RUNTIME_O)
	$(call say,ar ) rm -f $@; $(AR) rcs $@ $^
$(BUILD)/libneap-lua.a: $(MODULE_O)
	$(call say,ar ) rm -f $@; $(AR) rcs $@ $^

# Holds the runtime itself and is not linked to liblua: any Lua 5.4 can load it.
$(BUILD)/lua/neap/core.so: $(MODULE_O) $(RUNTIME_O) mk/core.map $(LUA_LINKS)
	@mkdir -p $(@D)
	$(call say,ld ) $(CC) -shared $(ALL_LDFLAGS) -Wl,-Bsymbolic -Wl,--version-script=mk/core.map $(MODULE_O) $(RUNTIME_O) -o $@ $(LIBS)
$(BUILD)/neap: $(PROGRAM_O) $(MODULE_O) $(RUNTIME_O) $(LUA_LINKS)
	$(call say,ld ) $(CC) $(ALL_LDFLAGS) -Wl,-E $(PROGRAM_O) $(MODULE_O) $(RUNTIME_O) -o $@ $(LUA_LIBS) $(LIBS)
# Annotations for editors, from the op table.
$(BUILD)/lua/neap/meta.lua: mk/reference.lua $(BUILD)/neap
	$(call say,lua) $(BUILD)/neap $< annotations $@
$(BUILD)/lua/%.lua: stdlib/%.lua
	@mkdir -p $(@D); ln -sfr $< $@

# C tests see the runtime's inside, so they take the archives.
$(BUILD)/tests/%: tests/%.c $(BUILD)/libneap.a $(BUILD)/libneap-lua.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,cc ,$<) $(CC) $(filter-out -DNDEBUG,$(ALL_CFLAGS)) $(LUA_CFLAGS) -Itests -MMD -MP -MF $@.d -MT $@ $< -o $@ \
	  $(ALL_LDFLAGS) $(BUILD)/libneap-lua.a $(BUILD)/libneap.a -lcmocka -llua$(LUA_V) $(LIBS)
# Measures the machine, not neap.
$(BUILD)/tests/bench/tool_peak: tests/bench/tool_peak.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,cc ,$<) $(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d -MT $@ $< -o $@ $(ALL_LDFLAGS)
$(BUILD)/examples/%: examples/%.c $(BUILD)/libneap.a $(BUILD)/libneap-lua.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,cc ,$<) $(CC) $(ALL_CFLAGS) $(LUA_CFLAGS) -MMD -MP -MF $@.d -MT $@ $< -o $@ \
	  $(ALL_LDFLAGS) $(BUILD)/libneap-lua.a $(BUILD)/libneap.a -llua$(LUA_V) $(LIBS)

-include $(patsubst %.o,%.d,$(RUNTIME_O) $(MODULE_O) $(PROGRAM_O)) $(addsuffix .d,$(TEST_BIN) $(EXAMPLE_BIN)) \
         $(BUILD)/gen/gen_ops.d

# ---- what people type; each installs what it needs first, then starts make again, on all cores unless told otherwise

again = +$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

deps:
	@sh mk/deps.sh all
test:
	@sh mk/deps.sh test
	@$(again) tests
	@+$(MAKE) --no-print-directory test-run
test-run:
	@NEAP_BUILD='$(BUILD)' NEAP_SANITIZER='$(SANITIZER)' NEAP_HOSTILE='$(HOSTILE)' CC='$(CC)' \
	  $(LUA) tests/run.lua $(if $(CHECK),--check) $(ONLY) $(T)
check:
	@sh mk/deps.sh check
	@MAKE='$(MAKE)' sh mk/check.sh $(STAGES)
demo:
	@sh mk/deps.sh demo
	@$(again) all
	@mkdir -p demo
	@$(BUILD)/neap examples/demo.lua
BENCH_OPTIONS = $(if $(THREADS),--threads '$(THREADS)') $(if $(RUNS),--runs '$(RUNS)') $(if $(ONLY),--only '$(ONLY)') \
                $(if $(BUSY),--busy '$(BUSY)') $(if $(filter no,$(PEER)),--no-peer)
bench:
	@sh mk/deps.sh build
	@$(again) all $(BUILD)/tests/bench/tool_peak
	@$(BUILD)/neap tests/bench/run.lua --peak $(BUILD)/tests/bench/tool_peak --json $(BUILD)/bench.json \
	  --stan $(BUILD)/stan $(BENCH_OPTIONS)
# Twice MINUTES of training and some of measuring: an RBM beside scikit-learn's.
bench-rbm:
	@$(again) all
	@$(BUILD)/neap tests/bench/rbm/compare.lua $(or $(MINUTES),20)
# Six losses on two moons: some minutes for each seed and number of threads.
bench-moons:
	@sh mk/deps.sh build
	@$(again) all
	@$(BUILD)/neap tests/bench/moons/compare.lua $(if $(THREADS),threads='$(THREADS)') $(if $(SEEDS),seeds='$(SEEDS)') \
	  $(if $(ONLY),only='$(ONLY)') $(if $(STEPS),steps='$(STEPS)') $(if $(filter no,$(PEER)),peer=no)
bench-deps:
	@sh mk/deps.sh bench
	@$(if $(filter yes,$(STAN)),sh mk/deps.sh stan)
hostile:
	@+$(MAKE) --no-print-directory HOSTILE=1 test
# The program with one source replaced by its namesake in OUT.
altered: $(PROGRAM_O) $(MODULE_O) $(RUNTIME_O)
	@$(CC) $(ALL_CFLAGS) -I$(dir $(SOURCE)) -w -c $(OUT)/$(notdir $(SOURCE)) -o $(OUT)/altered.o
	@$(CC) $(ALL_LDFLAGS) -Wl,-E $(filter-out $(call obj,$(SOURCE)),$^) $(OUT)/altered.o -o $(OUT)/neap $(LUA_LIBS) $(LIBS)
	@ln -sfn $(abspath $(BUILD)/lua) $(OUT)/lua
# Faults in the passes of a program, each caught by a test.
faults:
	@$(again) all
	@MAKE='$(MAKE)' BUILD='$(BUILD)' $(LUA) tests/planted/run.lua $(if $(T),'$(T)')
# Stubs in the place of public functions of the Lua library, each noticed by a test.
stubs:
	@$(again) all
	@BUILD='$(BUILD)' $(LUA) tests/stubs/run.lua $(if $(T),'$(T)')
# A build whose op table holds rows with a fault each, which the sweep must find, and the row that the docs show.
planted:
	@mkdir -p $(ROOT)/planted/gen
	@sed -n '/^EW1(softsign/p' docs/design.md > $(ROOT)/planted/gen/documented.def
	@+$(MAKE) --no-print-directory BUILD=$(ROOT)/planted ISAS=base \
	  CFLAGS='-O1 -DNEAP_PLANT -DNEAP_BASE_ONLY -Itests/ops -I$(ROOT)/planted/gen' EXTRA_C=tests/ops/planted.c all
	@$(ROOT)/planted/neap tests/ops/planted.lua

install: all
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' VERSION='$(VERSION)' SOVERSION='$(SOVERSION)' \
	  LUA_V='$(LUA_V)' BUILD='$(BUILD)' sh mk/install.sh
clean:
	rm -rf $(ROOT) demo
