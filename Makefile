# weft: build, test, lint, bench. One file; see docs/architecture.md for the layers.
#   make                 build/weft            make SAN=address,undefined   the same under build/san-*
#   make test            everything that CI runs
#   make fault           files that fail, kills, power loss (docs/testing.md)
#   make fuzz            libFuzzer on what is read, FUZZ_SECONDS=600 each; FUZZ='spec pack' chooses
#   make quickstart      a real experiment, start to table        V=1: show whole commands
SAN      ?=
comma    := ,
VARIANT  := $(if $(SAN),san-$(subst $(comma),-,$(SAN)),release)
OBJ      := build/$(VARIANT)
CC       ?= cc
PKGS     := yaml-0.1 hwloc jansson libzstd libcrypto libcurl libarchive libjpeg libpng16 libwebp libxml-2.0 matio
WERROR   ?= $(if $(CI),-Werror)
CFLAGS   ?= -O3 -march=native -g
CFLAGS_  := -std=c11 -D_GNU_SOURCE -I. -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=fast \
            -Wall -Wextra -Wshadow -Wpedantic -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wno-unused-parameter \
            $(WERROR) $(shell pkg-config --cflags $(PKGS) 2>/dev/null) -include tests/lint/banned.h \
            $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all -O1)
LDLIBS   := $(filter-out -lcurl -lmatio -lhdf5,$(shell pkg-config --libs $(PKGS) 2>/dev/null)) -lblis -lunistring -lm -lpthread -fopenmp $(if $(SAN),-fsanitize=$(SAN))

LIB_SRC  := $(filter-out engine/cli/main.c,$(wildcard base/*.c cache/*.c stages/*.c stages/*/*.c engine/*/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(OBJ)/%.o)
TEST_SRC := $(wildcard tests/unit/test_*.c tests/ops/test_*.c tests/sched/test_*.c tests/store/test_*.c \
              tests/fault/test_*.c tests/fuzz/test_*.c tests/golden/test_*.c)
TEST_BIN := $(TEST_SRC:%.c=$(OBJ)/%)
BENCH_BIN:= $(patsubst %.c,$(OBJ)/%,$(wildcard tests/bench/bench_*.c))
FAULTY   := $(OBJ)/weft-faulty
DEBS     := gcc make pkg-config libyaml-dev libhwloc-dev libblis-openmp-dev libjansson-dev libzstd-dev zstd \
            libssl-dev libcurl4-openssl-dev libarchive-dev libjpeg-dev libpng-dev libwebp-dev libunistring-dev \
            libxml2-dev libmatio-dev libcmocka-dev clang-format python3 python3-jsonschema python3-yaml graphviz mandoc zsh \
            fish tmux

Q        := $(if $(V),,@)
say       = $(if $(V),,@echo "  $(1) $@")

PREFIX   ?= /usr/local
DESTDIR  ?=
.PHONY: docs install fuzz all test test-oracle check-san quickstart lint format bench deps clean tests fault
.SECONDARY:
.DELETE_ON_ERROR:
all: $(if $(SAN),$(OBJ)/weft,build/weft)

# Always: what `make SAN=...` built must not stand here, nor an older one.
build/weft: $(OBJ)/weft FORCE
	@ln -sfn release/weft $@
FORCE:
$(OBJ)/weft: $(OBJ)/engine/cli/main.o $(OBJ)/libweft.a
	$(call say,link)
	$(Q)$(CC) -o $@ $^ $(LDLIBS)
$(OBJ)/libweft.a: $(LIB_OBJ)
	@rm -f $@
	@ar rcs $@ $^
$(OBJ)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,cc)
	$(Q)$(CC) $(CFLAGS) $(CFLAGS_) -MMD -MP -c -o $@ $<
# main.c knows the commit: it alone is compiled anew when that changes.
COMMIT   := $(shell git describe --always --dirty --abbrev=12 2>/dev/null)
COMMITTED:= $(shell git log -1 --format=%cs 2>/dev/null)
ifneq ($(COMMIT),)
$(OBJ)/engine/cli/main.o: CFLAGS_ += -DWEFT_COMMIT='"$(COMMIT)"' -DWEFT_COMMIT_DATE='"$(COMMITTED)"'
endif
$(shell mkdir -p $(OBJ) && echo '$(COMMIT)' | cmp -s - $(OBJ)/commit || echo '$(COMMIT)' >$(OBJ)/commit)
$(OBJ)/engine/cli/main.o: $(OBJ)/commit
$(OBJ)/tests/%: $(OBJ)/tests/%.o $(OBJ)/tests/golden/oracle.o $(OBJ)/libweft.a
	$(call say,link)
	$(Q)$(CC) -o $@ $^ -lcmocka $(LDLIBS)
$(OBJ)/stages/tensor/gemm.o: CFLAGS_ += -DINCLUDES_BLIS
$(FAULTY): $(OBJ)/tests/fault/faulty.o $(OBJ)/tests/fault/power.o $(OBJ)/libweft.a
	$(call say,link)
	$(Q)$(CC) -o $@ $^ $(LDLIBS)
tests: $(TEST_BIN) $(FAULTY) all

test: deps
	@sh tests/nginx.sh build/nginx
	@$(MAKE) --no-print-directory lint tests
	@sh tests/run.sh $(OBJ)
	@$(MAKE) --no-print-directory check-san
test-oracle: deps
	@$(MAKE) --no-print-directory tests
	@sh tests/run.sh $(OBJ) golden
check-san:
	@$(MAKE) --no-print-directory SAN=address,undefined tests
	@sh tests/run.sh build/san-address-undefined unit ops sched store fault fuzz
quickstart: deps
	@$(MAKE) --no-print-directory all
	build/weft run examples/quickstart.yaml
	build/weft show table
# The manual pages and the shells' completions, which derive from the rows of the commands.
DOCS     := $(addprefix build/docs/,weft.1 weft-experiment.5 weft.bash _weft weft.fish)
docs: $(DOCS)
build/docs/weft.1 build/docs/weft-experiment.5: build/docs/%: $(OBJ)/weft
	@mkdir -p $(@D)
	$(Q)$< man $* >$@
build/docs/weft.bash: WORDS := completion bash
build/docs/_weft:     WORDS := completion zsh
build/docs/weft.fish: WORDS := completion fish
build/docs/weft.bash build/docs/_weft build/docs/weft.fish: $(OBJ)/weft
	@mkdir -p $(@D)
	$(Q)$< $(WORDS) >$@
SHARE    := $(DESTDIR)$(PREFIX)/share
install: $(OBJ)/weft $(DOCS)
	install -D $(OBJ)/weft $(DESTDIR)$(PREFIX)/bin/weft
	install -D -m 644 build/docs/weft.1 $(SHARE)/man/man1/weft.1
	install -D -m 644 build/docs/weft-experiment.5 $(SHARE)/man/man5/weft-experiment.5
	install -D -m 644 build/docs/weft.bash $(SHARE)/bash-completion/completions/weft
	install -D -m 644 build/docs/_weft $(SHARE)/zsh/site-functions/_weft
	install -D -m 644 build/docs/weft.fish $(SHARE)/fish/vendor_completions.d/weft.fish
# Needs clang; nothing else does, so it is not among DEBS.
FUZZ_SAN := fuzzer-no-link,address,undefined
FUZZ_OBJ := build/san-$(subst $(comma),-,$(FUZZ_SAN))/tests/fuzz
FUZZ     ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz: deps
	@sh tests/deps.sh clang libomp-dev
	@$(MAKE) --no-print-directory CC=clang CFLAGS=-g SAN=$(FUZZ_SAN) $(FUZZ:%=$(FUZZ_OBJ)/fuzz_%)
	@sh tests/fuzz/run.sh $(FUZZ_OBJ) $(FUZZ)
$(OBJ)/tests/fuzz/fuzz_%: LDLIBS += -fsanitize=fuzzer
# Every fault at every call, kills, and many runs on one store: docs/testing.md.
fault: deps
	@$(MAKE) --no-print-directory all $(FAULTY)
	@sh tests/fault/run.sh $(OBJ)
lint:
	@sh tests/lint/lint.sh
format:
	clang-format -i $$(git ls-files '*.c' '*.h')
bench: deps
	@$(MAKE) --no-print-directory all $(BENCH_BIN)
	@sh tests/bench/run.sh $(OBJ)
# Installs the Debian packages that are missing; does nothing (and needs no root) when all are there.
deps:
	@sh tests/deps.sh $(DEBS)
clean:
	rm -rf build

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
