# breakit: five small tools. The work is done by cargo and by the scripts that the recipes call.

PREFIX  ?= /usr/local
DESTDIR ?=
STRICT  ?=
TOOLS   := lxc-fleet partition slownet workload histcheck
BUILT   := $(or $(CARGO_TARGET_DIR),target)/release

SECONDS_EACH ?= 60

.PHONY: all demo quick check seams bench fuzz mutants deps deps-test completions install uninstall dist clean help

all: ## build the five tools
	cargo build --release $(if $(CI),--locked,)

demo: ## the whole run: a fleet, two databases, a partition, two verdicts
	@scripts/deps tools || true # where they cannot be had the demo says what it does instead
	@$(MAKE) --no-print-directory all
	scripts/demo $(BUILT)

quick: ## format, lints, unit tests and fast tests of the binaries: under a minute
	tests/check quick

check: ## everything, in namespaces and fleets too; STRICT=1 makes a skip a failure
	@scripts/deps tools tests || true # what cannot be had is skipped, and its reason told
	STRICT=$(STRICT) tests/check all

seams: ## show that a new thing is one file and one line: tests/seams/*.patch on a copy of the tree
	tests/seams/run

bench: all ## the benchmarks, side by side with what they are measured against
	benches/run $(BUILT)

mutants: ## changes to the code that no test notices (cargo-mutants; a build each): PARTS="zones linear/models"
	cargo mutants --package histcheck $(foreach part,$(PARTS),--file '**/$(part).rs' --file '**/$(part)/**')

fuzz: ## fuzz the readers of histories, SECONDS_EACH (60) a target; needs nightly and cargo-fuzz
	tools/histcheck/fuzz/run $(SECONDS_EACH)

deps: ## install the programs that the tools call (lxc, nftables, ...)
	scripts/deps tools

deps-test: ## install what only the tests call
	scripts/deps tests

completions: ## generate completions/ from the parsers
	BLESS=1 cargo test -q -p breakit-tests --test interfaces completions

install: all ## install into PREFIX (/usr/local), below DESTDIR
	scripts/install $(BUILT) "$(DESTDIR)$(PREFIX)"

uninstall: ## remove what make install installed
	scripts/uninstall "$(DESTDIR)$(PREFIX)"

dist: ## a source archive of the last commit
	git archive --format=tar.gz --prefix=breakit/ -o breakit.tar.gz HEAD

clean: ## remove all build results
	cargo clean

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14
