# Slipway's one way to do each thing. `make` lists the targets.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MASTERS ?= 3
NODES   ?= 3

# Go and the tools of the tests need a home; a bare environment has none.
export HOME ?= $(shell getent passwd "$$(id -u)" | cut -d: -f6)

# The exact toolchain of what ends up on a node: the agent is baked into the OS layer, so it
# must be the same bytes on every machine. Components name theirs in imagebuild/component.
NODE_TOOLCHAIN := go1.26.7

# One toolchain and one way to compile for all: the tests run what is shipped, and what has been compiled for one is there for the others.
export GOTOOLCHAIN := $(NODE_TOOLCHAIN)
export CGO_ENABLED := 0
export GOFLAGS := -trimpath -buildvcs=false $(filter-out -trimpath -buildvcs=false,$(GOFLAGS))

# Debian packages that building and running need, and what the tests need beside them.
PACKAGES := systemd-container debootstrap ignition haproxy nftables iptables iproute2 \
	conntrack ipset ebtables ethtool socat kmod procps util-linux mount ca-certificates
TEST_PACKAGES := containerd runc python3-openstackclient python3-magnumclient python3-heatclient \
	docker-registry skopeo podman systemd bsdutils git gcc libc6-dev curl jq python3-os-apply-config python3-os-collect-config \
	xorriso genisoimage cpio xz-utils zstd gzip libblkid-dev cryptsetup-bin \
	ostree
# The peers that benchmarks run beside ours.
BENCH_PACKAGES := containerd podman skopeo buildah

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

GO        := go
LDFLAGS   := -s -w -buildid=
BUILD     := build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

# Packages whose tests change the machine: name spaces, mounts, containers, caches. They
# run one after the other, never beside each other.
MODULE      := slipway.build/slipway
INTEGRATION := agent/integration test/faults bench/hardening controlplane/cloud/local imagebuild ci cmd/slipway cmd/slipway-import
MATCH       := ^$(MODULE)/($(shell echo $(INTEGRATION) | tr ' ' '|'))(/|$$)
SEPARATE    := ^$(MODULE)/test/(e2e|acceptance)(/|$$)
# `make lint` vets with all of vet; go test would do a part of it again.
TEST_FLAGS  := -timeout 30m -vet=off
SUMMARY     := $(GO) run ./test/summary

.PHONY: help
help: ## list the targets
	@echo 'Slipway: builds Kubernetes node images and launches clusters from them.'; echo
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 26
	@echo; echo 'make up MASTERS=1 NODES=1 makes a smaller cluster.'

# $(call install,PACKAGES) installs the Debian packages that are missing.
define install
	@missing=(); for p in $(1); do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing+=($$p); done; \
	if [ $${#missing[@]} -gt 0 ]; then \
	  command -v apt-get >/dev/null || { echo "deps: this needs Debian 12 (missing: $${missing[*]})" >&2; exit 1; }; \
	  echo "deps: installing $${missing[*]}"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq; apt-get install -y -qq --no-install-recommends $${missing[@]} >/dev/null; \
	fi
endef

.PHONY: deps
deps: ## install the Debian packages that are missing (needs root)
	@command -v $(GO) >/dev/null || { echo 'deps: Go is missing: install Go 1.26 or later' >&2; exit 1; }
	$(call install,$(PACKAGES))

.PHONY: test-deps
test-deps: deps ## install what only tests need, too
	@# Debian starts what it installs, and its registry would take port 5000 from ours: tests start it by themselves.
	@unit=/etc/systemd/system/docker-registry.service; command -v docker-registry >/dev/null || [ -e $$unit ] || [ -L $$unit ] || \
	  { mkdir -p $${unit%/*}; ln -s /dev/null $$unit; echo 'deps: docker-registry.service is masked'; }
	$(call install,$(TEST_PACKAGES))

BIN ?= bin
.PHONY: build
build: ## build bin/slipway, bin/slipwayd, and what goes on nodes: slipway-agent, -exec, -import, -image-verifier
	@mkdir -p $(BIN)
	GOFLAGS= $(GO) $(BUILD) -o $(BIN)/ ./cmd/...

.PHONY: up
up: deps build ## bring the whole system up and create a cluster (MASTERS=3 NODES=3)
	bin/slipway up --masters $(MASTERS) --nodes $(NODES)

.PHONY: down
down: ## delete everything that up made, but not the build cache
	@if [ -x bin/slipway ]; then bin/slipway down; else mkdir -p bin && $(GO) $(BUILD) -o bin/ ./cmd/slipway && bin/slipway down; fi

.PHONY: test
test: test-deps ## everything that decides whether a change may land (needs root)
	@$(MAKE) --no-print-directory lint build
	@$(MAKE) --no-print-directory test-unit
	@# These tests wait a lot: what they leave of the processors compiles the images that they and the last ones need.
	@setsid sh -c 'echo 19 >/proc/self/autogroup; exec chrt -i 0 $(BIN)/slipway images build' >$(BIN)/images.log 2>&1 & images=$$!; \
	  trap 'kill $$images 2>/dev/null && wait $$images || true' EXIT; trap 'exit 130' INT TERM; \
	  $(MAKE) --no-print-directory test-integration && { wait $$images || tail -n 20 $(BIN)/images.log; }
	@$(MAKE) --no-print-directory race
	@$(MAKE) --no-print-directory e2e

.PHONY: test-unit
test-unit: ## unit tests and the house rules
	@umask 022; $(GO) test -json -p 2 $(TEST_FLAGS) $$($(GO) list ./... | grep -vE '$(MATCH)|$(SEPARATE)') | $(SUMMARY) unit

.PHONY: test-integration
test-integration: test-deps ## tests against the real thing, one package at a time (needs root)
	@umask 022; $(GO) test -json -p 1 $(TEST_FLAGS) $$($(GO) list ./... | grep -E '$(MATCH)') | $(SUMMARY) integration

.PHONY: race
race: ## the race detector on what is concurrent
	@umask 022; CGO_ENABLED=1 $(GO) test -json -race -short -p 2 $(TEST_FLAGS) $$($(GO) list ./agent/... ./controlplane/... | grep -vE '$(MATCH)') | $(SUMMARY) race

.PHONY: e2e
e2e: deps build ## create a 1+1 cluster through the API, use it, delete it (needs root)
	@bin/slipway images build
	@umask 022; $(GO) test -json -count=1 -tags e2e -timeout 60m ./test/e2e/... | $(SUMMARY) e2e

.PHONY: acceptance
acceptance: test-deps build ## what takes long or breaks things on purpose: half an hour (needs root)
	@bin/slipway images build
	@umask 022; $(GO) test -json -count=1 -tags acceptance -p 1 -timeout 90m ./test/acceptance/... | $(SUMMARY) acceptance

.PHONY: test-renewal
test-renewal: test-deps ## certificates of 60 s renewed under running components, with real systemd (needs root)
	@SLIPWAY_TEST_CERTIFICATE_LIFE=60s $(GO) test -count=1 -v -timeout 20m -run 'TestANodeFromFirstBootOn' ./agent/integration | grep -E 'renewal_test|^ *---|^(ok|FAIL)'

# FAULT_ARGS picks cases: FAULT_ARGS='-step "rename generations/NEW.tmp -> generations/NEW" -fault kill'
.PHONY: test-faults
test-faults: test-deps ## the fault matrix: every system call of a plan's application, killed, refused, cut off (needs root)
	@mkdir -p bin && rm -f bin/faults.txt
	@$(GO) test -count=1 -v -timeout 90m ./test/faults -full -summary $(CURDIR)/bin/faults.txt $(FAULT_ARGS)
	@cat bin/faults.txt

.PHONY: test-heat
test-heat: test-deps build ## Heat mode against a real Keystone and Heat of Debian's, in a container: ten minutes (needs root)
	@$(GO) test -tags heat -count=1 -v -timeout 60m -parallel 6 ./test/heat | grep -vE '^=== (RUN|PAUSE|CONT|NAME)'

# CONFORMANCE_ARGS: -parallel 4, -focus 'REGEXP' in place of -all, -keep; see docs/conformance.md.
CONFORMANCE_ARGS ?= -all
.PHONY: conformance
conformance: deps build ## Kubernetes' own conformance tests, all 446, on a 1+2 cluster: half an hour and more (needs root)
	$(GO) run ./ci/conformance/run $(CONFORMANCE_ARGS)

.PHONY: conformance-focus
conformance-focus: deps build ## a dozen and a half of the conformance tests on a 1+2 cluster: minutes (needs root)
	$(GO) run ./ci/conformance/run

# CI_ARGS are flags of `slipway ci run`: CI_ARGS='--only e2e', CI_ARGS='--strict --vulndb DIR'.
.PHONY: ci
ci: deps build ## the pipeline: build, prove, scan, boot a 1+1 cluster, test; report in bin/ci (needs root for the cluster)
	bin/slipway ci run $(CI_ARGS)

.PHONY: ci-pictures
ci-pictures: ## the report of make ci as a browser shows it, on a phone and on a desk (installs chromium)
	$(call install,chromium fonts-dejavu-core)
	@[ -f bin/ci/report.html ] || { echo 'ci-pictures: there is no report yet: run make ci' >&2; exit 1; }
	@echo '<body style="margin:0"><iframe src="report.html" style="width:390px;height:4000px;border:0"></iframe>' > bin/ci/phone.html
	@profile=$$(mktemp -d); trap 'rm -rf "$$profile" bin/ci/phone.html' EXIT; \
	shot() { chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$$profile" --window-size=$$2 --screenshot=bin/ci/$$3 "file://$(CURDIR)/bin/ci/$$1" 2>/dev/null; }; \
	shot phone.html 500,4000 phone.png; shot report.html 1280,3000 desk.png; ls -l bin/ci/*.png

.PHONY: test-vm
test-vm: test-deps ## boot the node OS once in an emulated machine: a kernel of its own, cgroup v2 only, SELinux enforcing; minutes (needs root)
	$(call install,qemu-system-x86 e2fsprogs kmod policycoreutils)
	@umask 022; $(GO) test -tags vm -count=1 -v -timeout 60m ./test/vm

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, govulncheck
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "lint: not gofmt'ed: $$bad" >&2; exit 1; }
	@$(GO) vet -tags 'e2e acceptance heat vm' ./...
	@$(GO) run $(STATICCHECK) -tags 'e2e acceptance heat vm' ./...
	@out=$$($(GO) run $(GOVULNCHECK) ./... 2>&1) && echo 'lint: govulncheck found nothing' || { \
	  if grep -qE 'dial tcp|no such host|i/o timeout|unexpected status|403 Forbidden|proxyconnect' <<<"$$out"; then echo 'lint: govulncheck skipped: it or its database cannot be fetched from here'; \
	  else echo "$$out" >&2; exit 1; fi; }
	@echo 'lint: ok'

.PHONY: images
images: build ## build every component image, both platforms, both forms: an hour or two on a machine that has none
	bin/slipway images build --all --platform all --gzip

.PHONY: bench-images
bench-images: build ## pack and push five component images beside buildah, all and then one changed (needs root)
	$(call install,$(BENCH_PACKAGES))
	$(GO) run ./bench/images

.PHONY: test-reproducible
test-reproducible: ## 100 packings under all that must not matter, and two compilations from nothing: ten minutes
	$(GO) run ./test/reproducible

.PHONY: bench-cluster
bench-cluster: deps build ## three creations of 3+3 and of 1+1: medians by phase
	$(GO) run ./bench/cluster

.PHONY: test-tamper
test-tamper: ## flip 10,000 bytes in the registry, on the wire and at rest: every one is refused, in minutes
	@$(GO) run ./test/tamper

.PHONY: bench-pull
bench-pull: deps build ## a verified pull beside containerd, podman and skopeo: ten minutes (needs root)
	$(call install,$(BENCH_PACKAGES))
	@bin/slipway images build
	@mkdir -p bin && GOFLAGS= $(GO) $(BUILD) -o bin/bench-pull ./bench/pull
	bin/bench-pull

AGENT_BENCH ?= -idle 10m -changes 50 -their-changes 30
.PHONY: bench-agent
bench-agent: test-deps build ## the agent beside Debian's os-collect-config: 40 minutes, two tens of them at rest (needs root)
	$(call install,python3-os-collect-config)
	$(GO) run ./bench/agent $(AGENT_BENCH)

.PHONY: bench-hardening
bench-hardening: test-deps build ## how components are isolated, beside podman with upstream's flags (needs root)
	$(call install,podman)
	@bin/slipway images build
	$(GO) run ./bench/hardening

.PHONY: bench-os
bench-os: deps build ## derive a node OS image from 400 layers, beside Debian's buildah: minutes (needs root)
	$(call install,buildah)
	$(GO) run ./bench/os

FUZZTIME ?= 20s
.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (20s)
	@for dir in $$(grep -rl --include=*_test.go '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -h '^func Fuzz' $$dir/*_test.go | sed 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/'); do \
	    echo "fuzz: $$dir $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$dir; done; done

.PHONY: clean
clean: ## remove bin/ (the build cache stays; see docs/operating.md)
	rm -rf bin
