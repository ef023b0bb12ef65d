# stox: what can be made. `make help` lists it.

GO          ?= go
BIN         := bin
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS     := -s -w -X github.com/stoxgw/stox/internal/version.version=$(VERSION)
STATICCHECK := $(BIN)/staticcheck
STATICCHECK_VERSION := v0.8.2
NFPM        := $(BIN)/nfpm
NFPM_VERSION := v2.43.0
# What builds container images: the first of these that is here.
ENGINE      ?= $(firstword $(foreach e,podman buildah docker,$(if $(shell command -v $(e)),$(e))) podman)
FUZZTIME    ?= 60s
COUNT       ?= 1
# The whole of `make test` has 15 minutes on two cores; a test that hangs must not use them up.
TIMEOUT     := 8m

.DEFAULT_GOAL := build
.PHONY: help build package release release-test container install-test demo go-check test test-long check unit allocations bench interop browser chaos chaos-long soak soak-long soak-fast presence-load accounts-load torture interop-report pictures generate fuzz needs tidy-check fmt-check clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build: ## bin/stox, statically linked
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/stox ./cmd/stox

package: $(NFPM) ## dist/: Debian package and archive of this tree, for this machine
	$(GO) run ./contrib/release -arch $$($(GO) env GOARCH)

release: $(NFPM) ## dist/: packages, archives, SBOM and SHA256SUMS of this commit, for amd64 and arm64
	$(GO) run ./contrib/release -clean

container: ## the container image localhost/stox, by podman, buildah or docker (ENGINE=)
	$(GO) run ./contrib/release -image $$($(GO) env GOARCH) -out dist/container
	$(ENGINE) build $(if $(filter %docker,$(ENGINE)),,--format docker) -t localhost/stox -f dist/container/Containerfile dist/container

demo: go-check ## Prosody, stox and a SIP phone on this machine; ONCE=1 ends by itself
	@ONCE=$(ONCE) $(GO) run ./test/demo

# Go 1.26 or later; GOTOOLCHAIN=local, since what is wanted is the Go that is here.
go-check:
	@v=$$(GOTOOLCHAIN=local $(GO) env GOVERSION 2>/dev/null | sed 's/^go//'); \
	case "$$v" in \
	'') echo "Go is missing: install Go 1.26 or later, see https://go.dev/doc/install"; exit 1;; \
	1.[0-9].*|1.1[0-9]*|1.2[0-5]*) echo "Go $$v is too old: install Go 1.26 or later, see https://go.dev/doc/install"; exit 1;; \
	esac

test: go-check needs check unit allocations interop browser chaos soak ## everything CI runs (15 minutes at most)

test-long: release-test install-test chaos-long soak-long soak-fast fuzz ## what takes longer: packages, chaos, ten minutes of load, and each parser fuzzed for FUZZTIME

check: fmt-check tidy-check $(STATICCHECK) ## gofmt, vet, staticcheck, go.mod tidy
	$(GO) vet -tags interop,soak,browser,release ./...
	$(GO) vet -tags install ./test/docs
	$(STATICCHECK) -tags interop,soak,browser,release ./...
	$(STATICCHECK) -tags install ./test/docs

fmt-check:
	@out=$$(gofmt -l .); [ -z "$$out" ] || { echo "not gofmt-ed:"; echo "$$out"; exit 1; }

tidy-check:
	$(GO) mod tidy -diff
	$(GO) mod verify

unit: ## unit tests and fuzz seeds with the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout $(TIMEOUT) ./...
# With the race detector the sockets are used as everybody does (rawio_linux.go of both).
	$(GO) test -count 1 -timeout $(TIMEOUT) -run 'Batch|Links|Mmsg|Nobody|Piece|Push|Quoted|Refus|Untaken|Writes|Reads|Stream|Transports' ./component ./sipside

# Without the race detector, which makes allocations of its own.
allocations: ## what a message may cost in allocations
	$(GO) test -count 1 -timeout $(TIMEOUT) ./test/bench

bench: go-check ## what a message costs: the whole daemon in one process, and each hot function (COUNT=)
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) -timeout 60m ./mapping ./component ./sipside/... ./internal/bridge ./internal/store ./internal/hist
	$(GO) test -run '^$$' -bench . -count $(COUNT) -timeout 60m ./test/bench

# They wait for servers more than they work: four at a time, also on two cores.
interop: ## real servers and phones, started by the tests in private directories
	CGO_ENABLED=1 $(GO) test -race -timeout $(TIMEOUT) -tags interop -count 1 -parallel 4 ./test/interop/... ./test/docs/...

browser: ## the status page in Chromium: axe, keyboard, without JavaScript, hostile text
	$(GO) test -timeout $(TIMEOUT) -tags browser -count 1 ./test/browser

release-test: $(NFPM) ## what make release makes of the last commit: the same bytes in two directories, and lintian
	$(GO) run ./test/needs lintian
	$(GO) test -tags release -count 1 -v -timeout 40m ./contrib/release

install-test: package ## a clean Debian: install the package and do what docs/getting-started.md says (as root)
	$(GO) test -tags install -count 1 -v -timeout 30m ./test/docs

CHAOS := CGO_ENABLED=1 $(GO) run -race ./test/chaos $(if $(SEED),-seed $(SEED)) $(if $(RUN),-run '$(RUN)')

chaos: go-check ## break what stox depends on, and account for every message (SEED=, RUN=scenarios)
	$(CHAOS)

chaos-long: go-check ## the same for four minutes, harder, and with a disk that fails
	$(CHAOS) -long

torture: go-check ## play the messages of RFC 4475 (RFC4475=DIR, wsinv.dat and so on), write their section of docs/interop.md
	@[ -n "$(RFC4475)" ] || { echo "RFC4475=DIR says where the messages are: wsinv.dat, intmeth.dat and so on"; exit 2; }
	$(GO) run ./test/torture "$(RFC4475)"

# Without the race detector: it is memory that is looked at, of the daemon as it is installed.
SOAK := $(GO) test -tags soak -count 1 -v

soak: go-check ## a minute of steady load: each message answered and delivered once, memory flat
	$(SOAK) -timeout $(TIMEOUT) -skip '$(LOAD)' ./test/soak -args -for 1m

soak-long: go-check ## the same for ten minutes
	$(SOAK) -timeout 20m -skip '$(LOAD)' ./test/soak -args -for 10m

soak-fast: go-check ## five minutes of 5,000 messages a second from SIP: memory flat
	$(SOAK) -timeout 20m -skip '$(LOAD)' ./test/soak -args -for 5m -sip 5000 -xmpp 0

# The paces of the daemon make it take eleven minutes.
LOAD := ^Test(Presence|Accounts)Load$$

presence-load: go-check ## ten thousand subscriptions to presence: memory, CPU at rest, time to rebuild (eleven minutes)
	$(SOAK) -timeout 30m -run '^TestPresenceLoad$$' ./test/soak

accounts-load: go-check ## a thousand SIP accounts of users: memory, CPU at rest, how they are registered (six minutes)
	$(SOAK) -timeout 30m -run '^TestAccountsLoad$$' ./test/soak

interop-report: ## write docs/interop.md and the tables of docs/troubleshooting.md anew
	CGO_ENABLED=1 $(GO) test -race -timeout $(TIMEOUT) -tags interop -count 1 ./test/interop -update-report
	CGO_ENABLED=1 $(GO) test -race -timeout $(TIMEOUT) -tags interop -count 1 ./test/docs -update

pictures: ## draw the pictures of the documentation: what a client and a browser show
	$(GO) test -timeout $(TIMEOUT) -tags interop -count 1 ./test/interop -run 'OnTheScreen$$' -update-pictures
	$(GO) test -timeout $(TIMEOUT) -tags browser -count 1 ./test/browser -run '^TestPictures$$' -update-pictures

generate: ## write the configuration reference and the man pages anew
	$(GO) generate ./...

# FuzzAccepted of internal/cli puts whole daemons together, and so has SQLite instrumented with
# the rest: its first build takes minutes before FUZZTIME begins.
fuzz: ## every fuzz target for FUZZTIME each
	@set -e; for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$pkg; \
		done; done

needs: ## install what the tests need (Debian packages: as root or by sudo)
	$(GO) run ./test/needs

$(NFPM):
	GOBIN=$(CURDIR)/$(BIN) $(GO) install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)

$(STATICCHECK):
	GOBIN=$(CURDIR)/$(BIN) $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)

clean: ## remove what was built
	rm -rf $(BIN) dist
