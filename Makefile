# `make demo` and `make test` are all a newcomer needs; both set up what they use.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
export PATH := $(CURDIR)/$(RUN):$(PATH)

REQUIREMENTS := $(wildcard requirements/*.txt)
DEMO_STARTED := $(shell date +%s)
COMPILE := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import ensurepip' || tests/support/install_packages.sh python3 python3-venv
	$(PYTHON) -m venv $(VENV)
	$(RUN)/pip install --quiet --require-hashes -r requirements/dev.txt
	$(RUN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

venv: $(VENV)/.installed  ## create the Python environment in .venv

test: venv  ## unit, integration and fleet tests
	tests/support/install_packages.sh nginx openssh-client \
	  prometheus prometheus-node-exporter prometheus-nginx-exporter prometheus-blackbox-exporter
	-tests/support/ensure_docker.sh
	pytest -n 2 --no-loadscope-reorder $(PYTEST)

test-full: PYTEST = -m ''
test-full: test  ## the long tests too: minutes each, on test hosts

demo: venv  ## show the system at work on one test host
	DEMO_STARTED=$(DEMO_STARTED) demo/run.sh

demo-fleet: venv  ## show it on three test hosts, with Fluent Bit between them
	DEMO_STARTED=$(DEMO_STARTED) demo/run.sh fleet

demo-remove: venv  ## remove what the demos made
	demo/remove.sh

bench-gateway: venv  ## compare with stock MLflow, Portkey and LiteLLM
	tests/support/install_packages.sh wrk openssl
	python -m bench.gateway $(BENCH)

bench-memory: venv  ## what the gateway weighs over a million calls
	tests/support/install_packages.sh wrk openssl
	python -m bench.memory $(BENCH)

bench-streams: venv  ## a thousand streams at a time: is any chunk held back?
	tests/support/install_packages.sh openssl
	python -m bench.streams $(BENCH)

bench-disconnects: venv  ## 100,000 calls whose callers leave at random
	CALLS=$(or $(CALLS),100000) pytest tests/integration/gateway/behaviour/test_leaving_callers.py

bench-load-client: venv  ## gateway-eval load beside wrk, on the same hosts
	tests/support/install_packages.sh wrk openssl
	python -m bench.load_client $(BENCH)

bench-compact: venv  ## how fast, how small, in how much memory 10 million records are compacted
	python -m bench.compact $(BENCH)

bench-analytics: venv  ## questions to 100 million records, beside plain DuckDB
	python -m bench.analytics --check $(BENCH)

bench-lag: venv  ## seconds from a gateway's spool to the store, through both Fluent Bits
	PYTHONPATH=tests python -m support.shipping_lag $(BENCH)

store-away: venv  ## write records for an hour while the store is away, and count
	PYTHONPATH=tests python -m support.store_away $(AWAY)

chaos: venv  ## break a fleet in every way under load, and count: docs/reliability.md
	tests/support/install_packages.sh openssh-client
	tests/support/ensure_docker.sh
	PYTHONPATH=tests python -m chaos $(CHAOS)

operations-under-load: venv  ## upgrade, change, enlarge a fleet that is called, and count: docs/operations.md
	tests/support/install_packages.sh openssh-client
	tests/support/ensure_docker.sh
	PYTHONPATH=tests python -m operations $(OPERATIONS)

kill-compaction: venv  ## kill compactions at every step, hundreds of times
	PYTHONPATH=tests python -m support.killed_compaction $(KILLS)

lint: venv  ## every static check
	ruff format --check . && ruff check .
	mypy
	lint-imports
	yamllint --strict .
	cd ansible && ansible-lint --strict site.yml playbooks ../roles ../inventories

audit: venv  ## known vulnerabilities of what is pinned
	pip-audit --require-hashes --disable-pip --progress-spinner off $(foreach file,$(filter-out requirements/dev.txt,$(REQUIREMENTS)),-r $(file))

requirements:  ## pin pyproject.toml's dependencies again, with hashes
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) --extra gateway -o requirements/gateway.txt
	$(COMPILE) --extra analytics --extra eval -o requirements/tools.txt
	$(COMPILE) --extra deploy --extra analytics --extra eval -o requirements/deploy.txt
	$(COMPILE) --all-extras requirements/build.in -o requirements/dev.txt
	$(subst pyproject.toml,bench/pinned/litellm.in,$(COMPILE)) -o bench/pinned/litellm.txt

.PHONY: help venv test test-full audit demo demo-fleet demo-remove lint requirements chaos store-away kill-compaction operations-under-load \
	bench-gateway bench-memory bench-streams bench-disconnects bench-load-client bench-compact bench-analytics
