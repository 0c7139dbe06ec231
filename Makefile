# multiprom: `make help` lists the targets.

GO       ?= go
BENCHES  ?= .
PACKAGES := ./...
TOOL     := $(GO) tool -modfile=tools/go.mod

.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## 4 workers, real requests, one true /metrics (ARGS="--kill --duration 10s")
	$(GO) run ./cmd/mpctl demo $(ARGS)

build: ## bin/mpctl
	$(GO) build -o bin/mpctl ./cmd/mpctl

test: ## all tests that need nothing but Go; those that need a real server skip with a reason
	$(TOOL) gotestsum --format pkgname -- -timeout 20m $(PACKAGES)

race: ## the same under the race detector
	$(GO) test -race -timeout 20m $(PACKAGES)

integration-deps: ## install the real servers (Debian, as root)
	./integration/install.sh

integration: integration-deps ## run the tests against the real servers, none skipped
	MULTIPROM_INTEGRATION=1 $(GO) test -count=1 ./integration/... ./internal/mpm/... ./internal/pyfile/...

integration-prometheus3: integration-deps ## remote write, OTLP and native histograms with a Prometheus 3, which is built first (2 minutes)
	GOBIN=$(CURDIR)/bin $(GO) install -tags remove_all_sd github.com/prometheus/prometheus/cmd/prometheus@v0.316.0
	MULTIPROM_PROMETHEUS3=$(CURDIR)/bin/prometheus MULTIPROM_INTEGRATION=1 $(GO) test -count=1 -v -run '^TestRemoteWrite|^TestPrometheusReadsNative|^TestPrometheus3' ./integration

oracle: ## what Prometheus' own parsers read, in a module of its own
	cd integration/oracle && $(GO) vet ./... && $(GO) test -count=1 ./...

collector: ## what a real OpenTelemetry Collector, in the process of the test, receives by OTLP, in a module of its own; its first build takes minutes
	cd integration/collector && $(GO) vet ./... && $(GO) test -count=1 ./...

browser: integration-deps ## the status page in Chromium, in a module of its own (Debian, as root)
	cd integration/browser && $(GO) vet ./... && MULTIPROM_INTEGRATION=1 $(GO) test -count=1 ./...

mixin: ## that the dashboard in deploy/mixin is what its command writes, in a module of its own
	cd deploy/mixin && $(GO) vet ./... && $(GO) test -count=1 ./...

reference: ## write docs/reference.md: metrics, flags, variables, exit codes
	$(GO) test -count=1 -run '^TestReference$$' ./cmd/mpctl -update

deploy: ## Kubernetes, Compose, systemd, supervisord and Prometheus files, read by what reads them, in a module of its own
	cd deploy && $(GO) vet ./... && $(GO) test -count=1 ./...

packages: ## binaries, deb, rpm, OCI image, bills of materials and checksums into dist/ (ARGS="--version 1.2.3")
	cd deploy/package && $(GO) run . $(ARGS)

packages-test: ## the same twice from two folders, byte for byte, unpacked and started
	cd deploy/package && $(GO) vet ./... && $(GO) test -count=1 -timeout 30m ./...

packages-chroot: ## the deb in a fresh Debian without Go: gunicorn's merged metrics (Debian, as root, after make packages)
	deploy/package/chroot.sh

packages-systemd: ## the deb's unit under a systemd that boots in namespaces, with gunicorn as app.service (Debian, as root, after make packages)
	deploy/package/systemd.sh

examples: ## the handler in net/http, chi, gin, echo, fasthttp and Fiber, in a module of its own
	cd examples && $(GO) vet ./... && $(GO) test -count=1 ./...

compat: ## client_golang, fasthttp and Fiber, linted and tested, in a module of its own
	cd compat && $(GO) vet ./... && GOOS=darwin $(GO) vet ./... && GOOS=windows $(GO) build ./...
	cd compat && $(GO) tool -modfile=../tools/go.mod staticcheck ./...
	cd compat && $(GO) test -count=1 -timeout 30m ./...

peer-suites: ## client_golang's own tests and those of six libraries on compat/prom (ARGS="--suite client_golang")
	cd compat && $(GO) run ./peersuites $(ARGS)

lint: ## gofmt, vet on three systems, staticcheck, the workflow file, go.mod files that are tidy
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "gofmt -w needed:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet $(PACKAGES)
	GOOS=darwin $(GO) vet $(PACKAGES)
	GOOS=windows $(GO) vet $(PACKAGES)
	$(TOOL) staticcheck $(PACKAGES)
	$(TOOL) actionlint -shellcheck= -pyflakes=
	@for mod in $$(git ls-files '*go.mod'); do (cd $$(dirname $$mod) && $(GO) mod tidy -diff) || { echo "go mod tidy needed: $$mod"; exit 1; }; done

api: ## write docs/api.txt: what the packages export, a line each
	$(GO) test -count=1 -run '^TestAPI$$' -v ./internal/policy -update

bench: ## ours beside client_golang and the machine's floor: every row with a goal, one table (ARGS="--run update")
	cd bench && $(GO) run . $(ARGS)

bench-full: ## all rows, OpenTelemetry and VictoriaMetrics/metrics too; writes docs/performance/bench.md
	cd bench && $(GO) run . --full --report ../docs/performance/bench.md $(ARGS)

bench-scale: ## cost against processes, series and files, in 3 minutes and 8 GB; writes and draws docs/performance/scale.csv
	cd bench && $(GO) run . --scale ../docs/performance/scale.csv $(ARGS)
	$(MAKE) bench-plots

bench-plots: ## draw docs/performance/scale.csv again: the plots and the table beside it
	cd bench && $(GO) run . --plots ../docs/performance/scale.csv

bench-test: ## that each row of the benchmarks runs, in a module of its own
	cd bench && $(GO) vet ./... && $(GO) test -count=1 ./...

bench-packages: ## Go's benchmarks inside the packages
	$(GO) test -run '^$$' -bench '$(BENCHES)' -benchmem ./internal/mpm ./multiproc ./aggregate ./exposition

bench-python: ## ours and client_python's collector on the same directories, in memory
	TMPDIR=/dev/shm $(GO) test -run '^$$' -bench 'Python$$' ./integration

bench-compat: ## client_golang's metrics and compat/prom's, side by side
	cd compat && $(GO) test -run '^$$' -bench '$(BENCHES)' -benchmem ./prom

# The go command sometimes takes its own deadline for a failure of the target. One that hangs does so each time.
fuzz: ## each fuzz target for FUZZTIME (default 20s)
	@for pkg in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
		for try in 1 2 3; do \
			out=$$($(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $${FUZZTIME:-20s} -fuzzminimizetime 20x $$pkg 2>&1) && ok=yes || ok=no; \
			echo "$$out"; [ $$ok = no ] && echo "$$out" | grep -q '^    context deadline exceeded$$' || break; \
		done; [ $$ok = yes ] || exit 1; done; done

soak: ## 8 minutes of the demo with kills, reloads, compacting and scrapes
	MULTIPROM_SOAK_SECONDS=480 $(GO) test -count=1 -timeout 9m -v -run '^TestSoak$$' ./integration

soak-crash: ## compactors killed at every step: 1,000 random schedules
	MULTIPROM_SCHEDULES=1000 $(GO) test -count=1 -timeout 9m -v -run '^TestCompactorKilledAtEveryStep$$|^TestRandomSchedules$$' ./aggregate
	MULTIPROM_SCHEDULES=1000 $(GO) test -count=1 -timeout 9m -v -run '^TestRandomPythonDirectories$$' ./aggregate

soak-native: ## 1,500 processes with native histograms, killed while they count
	MULTIPROM_SCHEDULES=1500 $(GO) test -count=1 -timeout 60m -v -run '^TestKilledNativeWriters$$' ./integration

model: ## the protocols of series that come and go, explored exhaustively in larger systems
	MULTIPROM_MODEL_SIZE=2 $(GO) test -count=1 -timeout 60m -v ./internal/model

soak-churn: ## series that come and go: 8 minutes with kills and compacting, 1,000 kills, 1,000 schedules of expiry, each store, 10 million series
	MULTIPROM_SOAK_SECONDS=480 $(GO) test -count=1 -timeout 9m -v -run '^TestChurnSoak$$' ./integration
	MULTIPROM_SCHEDULES=1000 $(GO) test -count=1 -timeout 60m -v -run '^TestChurnOfKilledWorkers$$' ./integration
	MULTIPROM_SCHEDULES=1000 $(GO) test -count=1 -timeout 60m -v -run '^TestRevivals$$' ./integration
	MULTIPROM_EXPIRE=1000000 $(GO) test -count=1 -timeout 60m -v -run '^TestManySeriesExpire$$' ./integration
	MULTIPROM_SCHEDULES=100 $(GO) test -count=1 -timeout 60m -v -run '^TestKilledAfterEveryStore$$' ./internal/mpm
	MULTIPROM_CHURN=10000000 $(GO) test -count=1 -timeout 60m -v -run '^TestSpaceIsBounded$$' ./internal/mpm
	MULTIPROM_CHURN=1000000 $(GO) test -count=1 -timeout 60m -v -run '^TestReaderOfABusyWriter$$' ./internal/mpm

soak-record: ## a recorder that is killed 100 times
	MULTIPROM_SCHEDULES=100 $(GO) test -count=1 -timeout 9m -v -run '^TestKilled$$' ./internal/record

soak-exits: ## senders with a queue, killed 200 times; three machines, one without a link for a minute (Debian, as root)
	MULTIPROM_SCHEDULES=200 $(GO) test -count=1 -timeout 20m -v -run '^TestKilledSender$$' ./bridge/internal/send
	MULTIPROM_INTEGRATION=1 MULTIPROM_OUTAGE=1m $(GO) test -count=1 -timeout 10m -v -run '^TestThreeMachines$$' ./integration

soak-recycle: ## 20,000 short-lived workers, 16 at a time
	MULTIPROM_RECYCLED=20000 $(GO) test -count=1 -timeout 9m -v -run '^TestRecycledWorkers$$' ./integration

soak-python: ## 26,000 files of recycled workers of client_python, compacted
	MULTIPROM_RECYCLED_PYTHON=2364 $(GO) test -count=1 -timeout 9m -v -run '^TestRecycledPythonWorkers$$' ./integration

soak-python-native: ## 1,200 workers of gunicorn, uWSGI and Celery that write native files, killed while they count
	MULTIPROM_PYTHON_KILLS=170 $(GO) test -count=1 -timeout 90m -v -run '^TestNativePythonFleets$$|^TestNativeCeleryKilled$$' ./integration

bench-python-writer: ## updates with native files beside prometheus_client's own, in turns (PYTHON=python3.13)
	$(or $(PYTHON),/usr/bin/python3) writers/python/tests/cost.py $(ARGS)

python-suites: ## prometheus_client's own tests with native files (CLIENT_PYTHON=a clone with tags, ARGS="--versions 0.25.0")
	python3 writers/python/tests/suites.py "$(CLIENT_PYTHON)" $(ARGS)

python-versions: ## the Python writer's own tests with other interpreters (PYTHONS="python3.13 python3.14t")
	@for p in $(PYTHONS); do MULTIPROM_PYTHON=$$(command -v $$p) $(GO) test -count=1 -v -run '^TestPythonWriter' ./integration || exit 1; done

clean: ## remove what make built
	rm -rf bin dist

.PHONY: help demo build test api race integration-deps integration integration-prometheus3 oracle collector browser mixin deploy packages packages-test packages-chroot packages-systemd reference examples compat peer-suites lint bench bench-full bench-scale bench-plots bench-test bench-packages bench-python bench-compat fuzz soak soak-crash soak-native soak-churn soak-exits model soak-record soak-recycle soak-python soak-python-native bench-python-writer python-suites python-versions clean
