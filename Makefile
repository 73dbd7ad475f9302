# Slipway's one way to do each thing. `make` lists the targets.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MASTERS ?= 3
NODES   ?= 3

# The exact toolchain of what ends up on a node: the agent is baked into the OS layer, so it
# must be the same bytes on every machine. Components name theirs in imagebuild/component.
NODE_TOOLCHAIN := go1.26.7

# Debian packages that building, running and testing need. The one list.
PACKAGES := systemd-container debootstrap ignition haproxy nftables iptables iproute2 \
	conntrack ipset ebtables ethtool socat kmod procps util-linux ca-certificates curl jq git gcc libc6-dev

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

GO        := go
NODE_GO   := env GOTOOLCHAIN=$(NODE_TOOLCHAIN) CGO_ENABLED=0 GOFLAGS= go
LDFLAGS   := -s -w -buildid=
BUILD     := build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

# Tests that change the machine (name spaces, mounts, containers) are in packages that say so
# with the build tag "integration" or by skipping in short mode; they never run side by side.
TEST_FLAGS := -timeout 30m
SUMMARY    := $(GO) run ./test/summary

.PHONY: help
help: ## list the targets
	@echo 'Slipway: builds Kubernetes node images and launches clusters from them.'; echo
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 26
	@echo; echo 'make up MASTERS=1 NODES=1 makes a smaller cluster.'

.PHONY: deps
deps: ## install the Debian packages that are missing (needs root)
	@missing=(); for p in $(PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing+=($$p); done; \
	if [ $${#missing[@]} -gt 0 ]; then \
	  echo "deps: installing $${missing[*]}"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends $${missing[@]} >/dev/null; \
	fi
	@command -v $(GO) >/dev/null || { echo 'deps: Go is missing: install Go 1.26 or later from go.dev/dl' >&2; exit 1; }

.PHONY: build
build: ## build bin/slipway, bin/slipwayd, bin/slipway-agent, bin/slipway-import
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) $(BUILD) -o bin/ ./cmd/slipway ./cmd/slipwayd
	$(NODE_GO) $(BUILD) -o bin/ ./cmd/slipway-agent ./cmd/slipway-import

.PHONY: up
up: deps build ## bring the whole system up and create a cluster (MASTERS=3 NODES=3)
	bin/slipway up --masters $(MASTERS) --nodes $(NODES)

.PHONY: down
down: ## delete everything that up made, but not the build cache
	@if [ -x bin/slipway ]; then bin/slipway down; else mkdir -p bin && CGO_ENABLED=0 $(GO) $(BUILD) -o bin/ ./cmd/slipway && bin/slipway down; fi

.PHONY: test
test: deps ## everything that decides whether a change may land
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory test-unit test-integration e2e race

.PHONY: test-unit
test-unit: ## unit tests
	@$(GO) test -json -short -p 2 $(TEST_FLAGS) ./... | $(SUMMARY) unit

.PHONY: test-integration
test-integration: deps ## tests against the real thing, one package at a time (needs root)
	@$(GO) test -json -p 1 $(TEST_FLAGS) $$($(GO) list ./... | grep -v '/test/e2e') | $(SUMMARY) integration

.PHONY: e2e
e2e: deps build ## create a 1+1 cluster through the API, use it, delete it (needs root)
	@$(GO) test -json -p 1 -tags e2e $(TEST_FLAGS) ./test/e2e/... | $(SUMMARY) e2e

RACE := ./agent/... ./controlplane/... ./cmd/...
.PHONY: race
race: ## the race detector on what is concurrent
	@$(GO) test -json -race -short -p 2 $(TEST_FLAGS) $(RACE) | $(SUMMARY) race

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, govulncheck
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "lint: not gofmt'ed: $$bad" >&2; exit 1; }
	@$(GO) vet ./...
	@$(GO) run $(STATICCHECK) ./...
	@out=$$($(GO) run $(GOVULNCHECK) ./... 2>&1) && echo 'lint: govulncheck found nothing' || { \
	  if grep -qE 'vuln.go.dev|dial tcp|no such host|403|proxyconnect' <<<"$$out"; then echo 'lint: govulncheck skipped: its database cannot be reached from here'; \
	  else echo "$$out" >&2; exit 1; fi; }
	@echo 'lint: ok'

.PHONY: bench-cluster
bench-cluster: deps build ## three creations of 3+3 and of 1+1: medians by phase
	$(GO) run ./bench/cluster

FUZZTIME ?= 20s
.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (20s)
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz: $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; done; done

.PHONY: clean
clean: ## remove bin/ (the build cache stays; see docs/operating.md)
	rm -rf bin
