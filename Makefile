# What a person does here: make test, make demo. Everything else is for those who change the code.

GO          ?= go
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10m
# Fuzz targets at a time; empty: one for each processor.
FUZZJOBS    ?=
SOAKTIME    ?= 1h
PROFILES    ?= dist/profiles
SCREENSHOTS ?= dist/screenshots
# For radload bench: what is written where, unless you say BENCH="--only freeradius,redis --runs 1" or the like; see
# radload bench --help.
BENCH       ?= --results cmd/radload/RESULTS.md --plot cmd/radload/latency.svg

# Programs that the tests start: real servers and real clients. See `make peers`.
PEERS = slapd ldap-utils redis-server freeradius-utils oathtool libpam-radius-auth libpam-wrapper pamtester \
	radsecproxy freeradius freeradius-ldap freeradius-redis python3-pyrad chromium fonts-noto-cjk strace
# What Go needs beside itself for the race detector.
TOOLS = gcc libc6-dev

# What is measured is measured alone, whatever -j says.
.NOTPARALLEL:
.PHONY: test check unit quick gate gate-record allocations profile peers screenshots demo fuzz soak bench build clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

test: peers check unit ## install what the tests need, then run everything

check: ## formatting, go vet, staticcheck, tidy module file
	@test -z "$$(gofmt -l cmd radius directory otp enroll metrics configs)" || { gofmt -l cmd radius directory otp enroll metrics configs; echo "error: run gofmt -w on these files" >&2; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) vet -tags 'quick gate soak' ./cmd/...
	$(GO) run $(STATICCHECK) ./...

unit: gate quick allocations ## every test, with the race detector, against real servers
	$(GO) test -race -timeout 20m ./...

quick: ## how soon the app shows a code, on a phone four times slower: measured alone
	$(GO) test -count=1 -tags quick -run TestQuick ./cmd/otpgate

gate: ## what a login costs, in units of an echoed datagram, against what was written down: measured alone
	$(GO) test -count=1 -tags gate -run '^TestGate' -v ./cmd/radload

gate-record: ## write down what a login costs now: on a machine with nothing else to do
	$(GO) test -count=1 -tags gate -run '^TestGate$$' -v ./cmd/radload -record

allocations: ## what the steps of a login allocate, without the race detector
	$(GO) test -count=1 -run '^TestAllocations$$' $$(git grep -l 'func TestAllocations' -- '*_test.go' | xargs -n1 dirname | sed 's,^,./,')

profile: ## profiles of a node under load: processor and memory, with the functions that take most, in $(PROFILES)
	$(GO) test -count=1 -tags gate -run '^TestProfile$$' -v ./cmd/radload -into $(abspath $(PROFILES))

screenshots: ## pictures of every screen and page, in three languages, light and dark, 412 and 320 px
	@mkdir -p $(SCREENSHOTS)
	OTPGATE_SCREENSHOTS=$(abspath $(SCREENSHOTS)) $(GO) test -count=1 -timeout 20m -run 'TestScripts(English|Chinese|Portuguese)' ./cmd/otpgate
	@echo "pictures: $(SCREENSHOTS)"

peers: ## install the servers and clients that the tests start (Debian, as root or with sudo)
	@sh .ci/peers $(PEERS) $(TOOLS)
	@sh .ci/axe

demo: ## watch a login pass and its replay fail
	$(GO) run ./cmd/otpgate demo

fuzz: ## every fuzz target for FUZZTIME (default 10m each), FUZZJOBS at a time
	@GO="$(GO)" FUZZJOBS="$(FUZZJOBS)" sh .ci/fuzz $(FUZZTIME)

soak: ## everything that lasts: logins while nodes and peers are killed, for SOAKTIME (default 1h) each
	@GO="$(GO)" sh .ci/soak $(SOAKTIME)

bench: peers build ## measure otpgate and FreeRADIUS doing the same job: about an hour, on a machine with nothing else to do
	CGO_ENABLED=0 $(GO) build -trimpath -o radload ./cmd/radload
	./radload bench $(BENCH)

build: ## the static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o otpgate ./cmd/otpgate

clean: ## remove what build made
	rm -f otpgate radload
