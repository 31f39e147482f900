# Overread. On a fresh Debian 12 machine with Go: `make demo` to try it,
# `make test` to check it. Both install what is missing (as root) or say what is.

SHELL         := /bin/bash
VERSION       ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOLANGCI_LINT := v2.15.0
GOVULNCHECK   := v1.9.0
CYCLONEDX     := v1.10.0
TOOLS         := $(CURDIR)/.overread/tools
FUZZ_TIME     ?= 20s
CRASH_ROUNDS  ?= 20
CASES         ?= 10000
PAGES         ?= 100000
FINALS        ?= 10000,100000,1000000
QUERIES       ?= 30000
ROUNDS        ?= 3000
PROPERTY      ?= 100000
TEST_FLAGS    ?=

.PHONY: help demo viewer test property lint vulncheck bench bench-pages bench-measures bench-search fuzz crash isolation test-web test-clients test-disclosure test-injection test-statistics test-timing test-validator test-web-short screens snapshots build release generate clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 24

demo: build ## PostgreSQL, sample cases, server, stand-in EHR and PACS; Ctrl-C stops everything
	@scripts/ensure postgresql orthanc
	bin/overread demo --data .overread/demo

viewer: build ## the OHIF viewer, by npm, into .overread/viewer: make demo and make test-web then have it too
	@scripts/ensure node
	bin/overread viewer install .overread/viewer

build: ## bin/overread
	go build -ldflags "-X main.version=$(VERSION)" -o bin/overread ./cmd/overread

release: ## bin/release: built twice and compared, with SBOM (CycloneDX) and checksums
	@scripts/release bin/release $(VERSION) $(CYCLONEDX) $(TOOLS)

# The go test runner's own lines come last: whoever reads the end sees the truth.
test: lint test-web-short ## vet, lint, all tests with the race detector
	@scripts/ensure postgresql gcc curl pgbouncer orthanc
	scripts/gotest $(TEST_FLAGS) ./...

property: ## PROPERTY (100,000) random cases, judged by the checker of the simulation: nobody reads their own, unlicensed or unveiled; no deadline is early, late or twice
	OVERREAD_PROPERTY_CASES=$(PROPERTY) GOGC=300 go test ./workflow/simulation -count 1 -timeout 60m -v -run 'NoReaderReads|TheCheckerFinds'

test-validator: ## the official HL7 validator judges what we publish and emit, offline
	@scripts/ensure postgresql java
	@scripts/validator

snapshots: ## those of our profiles, by the official Java tooling
	@scripts/ensure java
	@scripts/validator snapshots

lint: ## go vet and golangci-lint (import rules included)
	go vet ./...
	@scripts/golangci-lint $(GOLANGCI_LINT) $(TOOLS)

test-clients: build ## fhir-kit-client, fhirclient and the HAPI FHIR client against a running server
	@scripts/ensure postgresql node java
	@scripts/test-clients bin/overread

test-injection: ## every page, letter and narrative with hostile texts in it, shown to Chromium: nothing may run, load or break its policy
	@scripts/ensure postgresql chromium
	OVERREAD_BROWSER="$$(command -v chromium || command -v chromium-browser || command -v google-chrome)" go test ./cmd/overread -count 1 -timeout 30m -v -run WhatIsWrittenInARecord | grep -v '"time":'

test-statistics: ## every figure of measure/ by scipy, statsmodels and irrCAC, of thousands of inputs (UPDATE=1 keeps answers for make test); six studies as 12,041 cases, made anew
	@scripts/ensure python postgresql
	@UPDATE=$(UPDATE) scripts/test-statistics
	set -o pipefail; OVERREAD_REBUILD=1 go test ./cmd/overread -count 1 -timeout 30m -v -run TheWholeSystemSays | grep -v '"time":'

test-disclosure: ## an auditor who asks everything and a solver that attacks every small count, of which make test runs a third; all pages of more strata than an answer lists
	@scripts/ensure postgresql
	OVERREAD_ATTACK=whole go test ./fhir -count 1 -timeout 60m -v -run 'AnAuditorWho|MoreStrataThan' | grep -v '"time":'

test-timing: ## does the time of an answer tell that something is hidden? ROUNDS (3000) questions of each kind
	@scripts/ensure postgresql
	OVERREAD_TIMING=$(ROUNDS) go test ./fhir -count 1 -timeout 60m -v -run TheTimeOfATotal

test-web: build ## a real browser works at a running server as each kind of person; axe-core judges every page in both themes and languages
	@scripts/ensure postgresql node curl chromium orthanc
	@scripts/test-browser bin/overread

test-web-short: build # what make test runs of it
	@scripts/ensure postgresql node curl chromium orthanc
	@SHORT=1 scripts/test-browser bin/overread

screens: build ## pictures of every page, into docs/screens (OVERREAD_SHOTS=DIR make test-web: of every step, theme and width)
	@scripts/ensure postgresql node curl chromium orthanc
	OVERREAD_SCREENS=$(CURDIR)/docs/screens TESTS=screens.mjs scripts/test-browser bin/overread

vulncheck: ## known vulnerabilities, where their database can be reached
	@scripts/vulncheck $(GOVULNCHECK) $(TOOLS)

bench: ## benchmarks, orders a second among them (docs/performance.md)
	@scripts/ensure postgresql
	go test -run '^$$' -bench . -benchmem ./...

bench-pages: ## every page of every role at a hospital with PAGES (100000) cases, in a private PostgreSQL in $TMPDIR: time, CPU, bytes
	@scripts/ensure postgresql
	OVERREAD_PAGES=$(PAGES) go test ./cmd/overread -run '^$$' -bench BenchmarkPages -benchtime 10x -timeout 120m

bench-measures: ## counts of FINALS (10000,100000,1000000) cases by two dimensions, alone and over HTTP, in a private PostgreSQL
	@scripts/ensure postgresql
	OVERREAD_FINALS=$(FINALS) go test ./measure/facts -run '^$$' -bench Count -benchtime 5x -timeout 60m
	OVERREAD_FINALS=$(FINALS) go test ./fhir -run '^$$' -bench MeasureHTTP -benchtime 5x -timeout 60m

bench-search: ## searches over CASES (10000) cases, in a private PostgreSQL in $TMPDIR
	@scripts/ensure postgresql
	OVERREAD_BENCH_CASES=$(CASES) go test ./fhir -run '^$$' -bench SearchAtScale -benchtime 1x -timeout 120m

fuzz: ## each fuzz target for FUZZ_TIME (20s)
	@scripts/ensure postgresql
	@scripts/fuzz $(FUZZ_TIME)

crash: ## the stories under kill -9, CRASH_ROUNDS (20) times each
	@scripts/ensure postgresql orthanc
	OVERREAD_CRASH_ROUNDS=$(CRASH_ROUNDS) go test -count 1 -timeout 60m -v -run Kill ./cmd/overread

isolation: ## QUERIES (30000) requests of one tenant while another is empty, full, or writing
	@scripts/ensure postgresql
	OVERREAD_ISOLATION_QUERIES=$(QUERIES) go test -count 1 -timeout 120m -v -run 'TestAnswersAreTheSame|TwoEmptyWorlds|TheIsolationTest' ./fhir

generate: ## what is generated: docs/states.md and golden files
	go generate ./...

clean: ## the binary; the demo's data stays (rm -rf .overread/demo)
	rm -rf bin
