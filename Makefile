# Every task of the project; `make help` lists them. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest -q --durations=20
PARALLEL := -n $(WORKERS) --dist loadscope --no-loadscope-reorder

# Tests start processes by the hundred, which must not compile every module anew.
unexport PYTHONDONTWRITEBYTECODE
# To wait for a disk's syncs takes long; power failures are played, so memory shows the same.
MEMORY := $(shell test "$$(df -Pk /dev/shm 2>/dev/null | awk 'END {print $$4}')" -gt 6000000 2>/dev/null && echo /dev/shm)
test test-fast test-throttled properties durability gate matrix machine: export TMPDIR := $(or $(TMPDIR),$(MEMORY),/tmp)

CLIENTS := .clients

.PHONY: help setup ui page page-tail demo cluster run collected kernels test test-fast test-throttled properties programs clients durability gate hostile scenes first-start machine matrix kill9 kills import ray helm image packs kubernetes check fmt conformance conformance-cluster bench soak proto wheel clean clean-kernels

help: ## List the tasks
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | expand -t 18

setup: $(STAMP) ## Create .venv and install everything, the tests' needs too

$(STAMP): pyproject.toml tests/clients/node/package.json
	@$(PYTHON) -c 'import sys; sys.exit("Narfi needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# Python 3.11's takes half a minute of CPU to list what it has installed; modules are compiled when they are used
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --no-compile -e '.[dev]'
	@if command -v npm >/dev/null; then npm install --prefix tests/clients/node --no-audit --no-fund --silent --ignore-scripts && $(MAKE) --silent ui/node_modules/.installed || echo "npm could not install: tests of Node clients and of building the page will be skipped"; else echo "no npm: tests of Node clients and of building the page will be skipped"; fi
	@touch $@

ui: ui/node_modules/.installed ## Check and build the page into ui/dist (needs Node; ui/dist is committed)
	cd ui && ./node_modules/.bin/tsc --noEmit && node build.mjs

ui/node_modules/.installed: ui/package-lock.json
	cd ui && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

demo: setup ## Real programs, the agent, the server, LogQL answers; then stop
	$(BIN)/python examples/demo/demo.py

cluster: setup ## PostgreSQL, an S3 server, ingesters, queriers, a compactor; an ingester is killed, no line is lost
	$(BIN)/python -m tests.servers.cluster_demo

run: setup ## The same, but keep serving until Ctrl-C
	$(BIN)/python examples/demo/demo.py --keep-running

collected: setup ## Compile all tests once: else each worker does (25 s of CPU)
	$(BIN)/python -m pytest --collect-only -qq >/dev/null

kernels: setup ## Compile all kernels once, as `make test` does when they are not there (80 s of CPU)
	$(BIN)/python -c 'from narfi.core.kernels import modules, warming; modules.import_all(); warming.warm_up()'

test: setup ## All tests but those of `make durability` and `make check`, on several workers (WORKERS=0: one after another)
	$(PYTEST) $(PARALLEL) -m 'not durability' --ignore=tests/architecture

durability: setup ## Slow lane, run by CI: a fault at every call of the write path and of upkeep, the state machine, schedules of threads, the runbooks
	$(PYTEST) $(PARALLEL) -m durability

gate: setup ## What the two above run, in one: no worker waits for the end of one to begin the other
	$(PYTEST) $(PARALLEL) --ignore=tests/architecture

test-fast: setup ## Tests that take no seconds (under a minute once kernels are cached)
	$(PYTEST) $(PARALLEL) -m 'not slow'

properties: setup ## Slow lane: each property with all of its random examples, of which the gate asks a quarter (a quarter of an hour)
	NARFI_TEST_PROFILE=deep $(PYTEST) $(PARALLEL) -m 'not durability and (hypothesis or every_value)'

test-throttled: setup ## Slow lane: all tests with a quarter of the processors; a clock in a test shows
	$(BIN)/python -m tests.throttled $(PYTEST) $(PARALLEL)

programs: ## Debian's rsyslog, syslog-ng, systemd-journal-remote, Prometheus, Alertmanager, Chromium for the tests, unpacked into .clients
	sh tests/clients/programs.sh $(CLIENTS)

clients: setup programs ## Slow lane: Promtail, logcli, loki-canary, OpenTelemetry Collector; built by Go (15 minutes at first)
	sh tests/clients/go/build.sh $(CLIENTS)
	$(PYTEST) tests/clients tests/clients/built

packs: setup programs ## Slow lane: packs over the logs of real programs (nginx, PostgreSQL …): questions answered, alerts by provoked faults
	sh tests/clients/neighbours.sh $(CLIENTS)
	NARFI_TEST_NEIGHBOURS=1 $(PYTEST) tests/packs/real

kubernetes: setup ## Slow lane: the agent at a real API server with etcd and scheduler, built by Go (half an hour at first)
	sh tests/clients/go/kubernetes.sh $(CLIENTS)
	NARFI_TEST_NEIGHBOURS=1 $(PYTEST) tests/packs/real/test_kubernetes.py

helm: setup ## Slow lane: Helm itself, built by Go (ten minutes at first), gives what the tests' renderer gives
	sh tests/clients/go/helm.sh $(CLIENTS)
	$(PYTEST) tests/deploy/test_chart.py tests/deploy/test_helm.py

page: setup programs ui ## Slow lane: the page in a browser with its budget as figures (CPU, nodes, bytes), 50,000 lines; on an idle machine
	NARFI_TEST_PAGE=strict $(PYTEST) -s tests/ui

page-tail: setup programs ## Slow lane: the page follows 2,000 lines a second for ten minutes, with pauses: every line counted (TAIL_S=600)
	NARFI_TEST_TAIL=$(or $(TAIL_S),600) $(PYTEST) -s tests/ui/test_long_tail.py

image: setup ## Slow lane: the Dockerfile's steps with packages of the registry, all kernels compiled
	NARFI_TEST_DEPLOY=strict $(PYTEST) tests/deploy/test_image.py

hostile: setup ## Slow lane: everything hostile that may be sent, and /ready answered in 100 ms meanwhile; on an idle machine
	NARFI_TEST_HOSTILE=strict $(PYTEST) -s tests/hostile

scenes: setup programs ## Slow lane: the ruler's recorded scenes with a real Alertmanager and Prometheus (eight minutes)
	NARFI_TEST_SCENES=1 $(PYTEST) tests/ruler/scenes

first-start: setup ## Slow lane: /ready within 17 s from an empty cache, by the clock, and damaged wheels; on an idle machine
	NARFI_TEST_FIRST_START=strict $(PYTEST) -s tests/server/test_first_start.py tests/server/test_wheel.py

machine: setup ## Slow lane: 20,000 steps of the write path's state machine, 200 schedules of threads, new ones each time
	NARFI_TEST_STEPS=20000 $(PYTEST) tests/ingester/test_machine.py tests/ingester/test_threads.py

matrix: setup ## Slow lane: a fault at every call of every operation, none left out (half an hour)
	NARFI_MATRIX=all $(PYTEST) $(PARALLEL) tests/matrix/test_every_call.py

kill9: setup ## Slow lane: a server under load is killed 1,000 times (half an hour): nothing lost, nothing twice
	NARFI_KILL9_ROUNDS=1000 $(PYTEST) -s tests/faults/test_kill9.py

kills: setup ## Slow lane: 330 kills, pauses and faults of a cluster under load (20 minutes): nothing lost, nothing twice
	NARFI_KILLS_EVENTS=330 $(PYTEST) -s tests/faults/test_cluster_kills.py

import: setup ## Slow lane: 1.2 million entries from one server to another, killed twice; figures (ten minutes)
	NARFI_TEST_FORK=0 NARFI_IMPORT_ENTRIES=1200000 $(PYTEST) -s tests/history/test_import_at_work.py

ray: setup ## Slow lane: large queries on a real Ray cluster (240 MB to install): answers, kills of actors, bridge and head
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[ray]'
	$(PYTEST) tests/querier/executors/test_ray.py tests/upkeep/test_ray_merges.py

check: setup ## Lint, formatting, types, import contracts, tidiness
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture

fmt: setup ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

conformance: setup ## The recorded corpus on every stack and with each rule off: passes by group
	$(BIN)/python -m tests.conformance.run --rules

conformance-cluster: setup ## Slow lane: the corpus over three ingesters and two queriers, one of them killed at the end; random queries against one process
	$(BIN)/python -m tests.conformance.cluster
	$(BIN)/python -m tests.conformance.cluster_random

bench: setup ## Push and query benchmark against a fresh local server
	$(BIN)/python -m benchmarks.run

proto: setup ## Generate message code from push.proto
	$(BIN)/python -m grpc_tools.protoc -I narfi/core/wire --python_out=narfi/core/wire/gen --pyi_out=narfi/core/wire/gen push.proto

wheel: setup ## A wheel in dist/ with compiled kernels, for this Python and any processor of this kind
	NARFI_COMPILE=1 $(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

clean-kernels: ## Delete the kernels that were compiled here
	rm -rf narfi/core/kernels/compiled

clean: clean-kernels ## Delete everything that was made
	rm -rf $(VENV) $(CLIENTS) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .demo

soak: setup ## Slow lane: ten minutes of agent and server kills, rotations, outages: every line exactly once
	$(BIN)/python -m benchmarks.agent_soak --seconds 600
