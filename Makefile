# What a person does here: make test, make demo. Everything else is for those who change the code.

GO          ?= go
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10m
SOAKTIME    ?= 10m
SCREENSHOTS ?= dist/screenshots
# More for radload bench, such as BENCH="--only freeradius,redis --runs 1"; see radload bench --help.
BENCH       ?=

# Programs that the tests start: real servers and real clients. See `make peers`.
PEERS = slapd ldap-utils redis-server freeradius-utils oathtool libpam-radius-auth libpam-wrapper pamtester \
	radsecproxy freeradius freeradius-ldap freeradius-redis python3-pyrad chromium fonts-noto-cjk
# What Go needs beside itself for the race detector.
TOOLS = gcc libc6-dev

.PHONY: test check unit quick peers screenshots demo fuzz soak bench build clean help

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

test: peers check unit ## install what the tests need, then run everything

check: ## formatting, go vet, staticcheck, tidy module file
	@test -z "$$(gofmt -l cmd radius directory otp enroll metrics configs)" || { gofmt -l cmd radius directory otp enroll metrics configs; echo "error: run gofmt -w on these files" >&2; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

unit: quick ## every test, with the race detector, against real servers
	$(GO) test -race -timeout 20m ./...

quick: ## how soon the app shows a code, on a phone four times slower: measured alone
	$(GO) test -count=1 -tags quick -run TestQuick ./cmd/otpgate

screenshots: ## pictures of every screen and page, in three languages, light and dark, 412 and 320 px
	@mkdir -p $(SCREENSHOTS)
	OTPGATE_SCREENSHOTS=$(abspath $(SCREENSHOTS)) $(GO) test -count=1 -timeout 20m -run 'TestScripts(English|Chinese|Portuguese)' ./cmd/otpgate
	@echo "pictures: $(SCREENSHOTS)"

peers: ## install the servers and clients that the tests start (Debian, as root or with sudo)
	@sh .ci/peers $(PEERS) $(TOOLS)
	@sh .ci/axe

demo: ## watch a login pass and its replay fail
	$(GO) run ./cmd/otpgate demo

fuzz: ## every fuzz target for FUZZTIME (default 10m each), one after the other
	@GO="$(GO)" sh .ci/fuzz $(FUZZTIME)

soak: ## logins while nodes are killed, for SOAKTIME (default 10m) with each store
	OTPGATE_SOAK=$(SOAKTIME) $(GO) test -race -count=1 -timeout 0 -v -run 'TestScripts.*/storm' ./cmd/otpgate

bench: peers build ## measure otpgate and FreeRADIUS doing the same job: about an hour, on a machine with nothing else to do
	CGO_ENABLED=0 $(GO) build -trimpath -o radload ./cmd/radload
	./radload bench $(BENCH)

build: ## the static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o otpgate ./cmd/otpgate

clean: ## remove what build made
	rm -f otpgate radload
