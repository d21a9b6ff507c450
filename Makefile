# SPDX-License-Identifier: Apache-2.0
# The front door. `make help` lists what there is. On a Debian 12 with the Swift toolchain, `make demo` and `make test`
# need nothing else: they install what is missing (as root; as another user they say what that is).

SWIFT ?= swift
DESTDIR ?=
PREFIX ?= /usr

# What is installed must not need the toolchain's own libraries.
# lld: the default linker repeats glibc's warning about mktemp, which the static Foundation holds but nothing here calls.
RELEASE = $(SWIFT) build -c release --static-swift-stdlib -Xswiftc -use-ld=lld -Xlinker -s

# Live traffic and deadlines do not go together with other tests: one at a time.
TEST = $(SWIFT) test --skip-build --no-parallel

# The sequences of `make soak`, by the seed of the first: other ones each time.
SEED ?= $(shell date +%s)
SEQUENCES ?= 1000

.PHONY: all build release test test-unit test-kernel test-kernels test-systemd testbed-lb testbed-udp soak demo bench bench-boot lint fmt install uninstall clean bootstrap help

all: build

## build        compile all, debug; warnings are errors
build: bootstrap
	$(SWIFT) build

## release      compile all, optimised, with the Swift runtime linked in
release: bootstrap
	$(RELEASE)

## test         all tests; those that need the kernel are skipped unless root runs them
test: bootstrap
	@[ "$$(id -u)" -eq 0 ] || echo 'make test: not root: the tests that need the kernel are skipped (sudo make test)'
	$(SWIFT) build --build-tests
	scripts/test.sh

## test-unit    the tests that touch neither the kernel nor the network; anybody may run them
test-unit: bootstrap
	$(SWIFT) build --build-tests
	SLUICE_NO_LAB=1 $(TEST)

## test-kernel  the tests that load, attach and send packets; root only
test-kernel: bootstrap
	@[ "$$(id -u)" -eq 0 ] || { echo 'make test-kernel: needs root'; exit 1; }
	$(SWIFT) build --build-tests
	$(TEST) --filter 'BPFTests|CoreTests|VolumetricDoSTests|L4LBTests|UDPRateLimitTests|EndToEndTests'

## test-kernels the same on Debian's kernels 6.1, 6.12 and the newest, in virtual machines; root only, on Debian, an hour
test-kernels: bootstrap
	@scripts/bootstrap.sh kernels
	$(SWIFT) build --build-tests
	Tests/Kernels/run.sh

## test-systemd the product installed in a container with systemd; BUILD=.build/debug takes that build; root only, on Debian
test-systemd: bootstrap
	@scripts/bootstrap.sh systemd
	Tests/Systemd/run.sh $(if $(BUILD),--build-dir '$(BUILD)')

## testbed-lb   the load balancer on real traffic: a client, an ECMP router, four edges in namespaces; root only, on Debian
testbed-lb: bootstrap
	@scripts/bootstrap.sh testbed
	$(SWIFT) build
	Tests/Testbed/run.sh

## testbed-udp  udp-ratelimit before a real DNS server that serves 30,000 addresses, one of them flooded; root only, on Debian
testbed-udp: bootstrap
	@scripts/bootstrap.sh testbed
	$(SWIFT) build
	Tests/Testbed/udp.sh

## soak         random sequences of changes, crashes and other people's deeds; root only; SEED=, SEQUENCES= to choose
soak: bootstrap
	@[ "$$(id -u)" -eq 0 ] || { echo 'make soak: needs root, for network namespaces and BPF'; exit 1; }
	$(SWIFT) build --build-tests
	SLUICE_SOAK_SEED=$(SEED) SLUICE_SOAK_SEQUENCES=$(SEQUENCES) $(TEST) --filter SoakTests

## demo         the tour on real packets, in a network namespace of its own; root only, leaves nothing behind
demo: bootstrap
	@[ "$$(id -u)" -eq 0 ] || { echo 'make demo: needs root, for network namespaces and BPF'; exit 1; }
	$(SWIFT) build
	.build/debug/sluice-demo

## bench        the figures, printed and as JSON in .build/bench.json; root only
bench: bootstrap
	@[ "$$(id -u)" -eq 0 ] || { echo 'make bench: needs root, for BPF'; exit 1; }
	$(RELEASE)
	.build/release/sluice-bench --json .build/bench.json

## bench-boot   from boot to filtering in that container, and where the time goes; root only, on Debian
bench-boot: bootstrap
	@scripts/bootstrap.sh systemd
	Tests/Systemd/run.sh --boot $(if $(BUILD),--build-dir '$(BUILD)')

## lint         formatters, shellcheck, who imports whom, licence headers
lint: bootstrap
	scripts/lint.sh

## fmt          format what a formatter can
fmt: bootstrap
	scripts/lint.sh --fix

## install      into DESTDIR and PREFIX (/usr): programs, plugins, units, completions, manual
install: release
	scripts/install.sh --destdir '$(DESTDIR)' --prefix '$(PREFIX)'

## uninstall    what install put there; chains, state and configuration stay
uninstall:
	scripts/install.sh --uninstall --destdir '$(DESTDIR)' --prefix '$(PREFIX)'

## clean        remove what was built
clean:
	$(SWIFT) package clean

## bootstrap    install the Debian packages that are missing
bootstrap:
	@scripts/bootstrap.sh

help:
	@sed -n 's/^## /make /p' Makefile
