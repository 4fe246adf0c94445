# `make help` lists what there is.
VENV ?= .venv
PY := $(VENV)/bin/python
.DEFAULT_GOAL := help
DATA_DIR ?= var
AGENTS ?= $(DATA_DIR)/agents
SLOW := tests/bench tests/faults tests/test_run.py tests/billing/stripe/test_mirror.py tests/hontoni/test_stopping.py \
  tests/hontoni/test_broker.py tests/operations tests/security/test_origins.py tests/ratelimits/test_model.py \
  tests/ratelimits/test_races.py tests/web tests/test_api.py tests/test_tally.py
NODE_SDKS := tests/conformance/node/node_modules
CHROMIUM := tests/web/chromium
NPM_CI := PATH="$(abspath $(VENV))/bin:$$PATH" npm ci --silent --no-audit --no-fund --prefix

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.run: requirements.txt
	@command -v python3 >/dev/null || { echo "Python 3.11 or newer is needed"; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@echo "Preparing $(VENV) (once; a minute or two) ..."
	@test -x $(PY) || python3 -m venv $(VENV)
	$(VENV)/bin/pip install --disable-pip-version-check --progress-bar on -q --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.test: $(VENV)/.run tests/requirements.txt
	@echo "Installing what the tests need ..."
	$(VENV)/bin/pip install --disable-pip-version-check -q --require-hashes -r tests/requirements.txt
	@touch $@

$(NODE_SDKS)/.installed: $(VENV)/.test tests/conformance/node/package-lock.json
	@echo "Installing the Node SDKs for the tests ..."
	$(NPM_CI) tests/conformance/node
	@touch $@

node-sdks: $(NODE_SDKS)/.installed

$(CHROMIUM)/node_modules/.installed: $(VENV)/.test $(CHROMIUM)/package-lock.json $(CHROMIUM)/unpack.mjs
	@echo "Bringing a Chromium for the tests (once; 70 MB) ..."
	$(NPM_CI) $(CHROMIUM)
	PATH="$(abspath $(VENV))/bin:$$PATH" node $(CHROMIUM)/unpack.mjs
	@touch $@

chromium: ## a browser for the tests, where the machine has none
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null || \
		$(MAKE) --no-print-directory $(CHROMIUM)/node_modules/.installed

run: $(VENV)/.run ## the whole product on http://127.0.0.1:8000, everything embedded
	@exec $(PY) -m hontoni.supervisor

demo: $(VENV)/.run ## the same with two months of a business in it: 200 customers, 300,000 requests (in var/demo)
	@exec env -u DATABASE_URL -u REDIS_URL -u STRIPE_SECRET_KEY SANDBOX=true DATA_DIR=$(DATA_DIR)/demo $(PY) -m hontoni.supervisor --demo

manage: $(VENV)/.run ## any management command: make manage CMD="credit a@b.c 25 --reason test"
	@$(PY) manage.py $(CMD)

lint: $(VENV)/.test ## format, lint, types, import rules, migrations
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache
	$(PY) manage.py makemigrations --check --dry-run

check: $(VENV)/.test ## format, lint, import rules and the tests that need no database: an answer in a minute
	$(VENV)/bin/ruff format --check -q .
	$(VENV)/bin/ruff check -q .
	$(VENV)/bin/lint-imports --no-cache > /dev/null
	$(PY) -m pytest -n auto --no-database $(SLOW:%=--ignore %) $(ARGS)

docs: $(VENV)/.run ## print the documentation that is made from the code
	$(PY) manage.py configuration > docs/configuration.md

test: $(VENV)/.test ## everything, on SQLite and on real Postgres, with real Valkey
	@$(MAKE) --no-print-directory node-sdks || echo "No Node SDKs: the last line will say what that left out."
	@$(MAKE) --no-print-directory chromium || echo "No Chromium: the last line will say what that left out."
	@$(PY) -m tests $(ARGS)

test-money: $(VENV)/.test ## the free rider: 50,000 requests against the vendors' own meter (FREE_RIDER_SEED=N)
	FREE_RIDER_EXAMPLES=$${FREE_RIDER_EXAMPLES:-50000} $(PY) -m pytest -n 0 -m money tests/money $(ARGS)

test-faults: $(VENV)/.test ## thousands of simulated faults, and real processes killed (FAULT_SEED=N FAULT_RUNS=N PROCESS_RUNS=N)
	FAULT_SEED=$${FAULT_SEED:-1} FAULT_RUNS=$${FAULT_RUNS:-3000} PROCESS_RUNS=$${PROCESS_RUNS:-20} $(PY) -m pytest -n auto -m faults tests/faults $(ARGS)

bench: $(VENV)/.test ## CPU a request, all in, and a chunk, beside a bare pass-through; idle memory (ARGS=--quick: a minute)
	$(PY) -m bench $(ARGS)

bench-request: $(VENV)/.test ## CPU a request of the gateway's own code, without sockets (ARGS="--against ../clone")
	$(PY) -m bench.request $(ARGS)

bench-sockets: $(VENV)/.test ## CPU of a response on a WebSocket, beside the same one streamed to a POST
	$(PY) -m bench.sockets $(ARGS)

bench-settlement: $(VENV)/.test ## what it costs to write usage into the books, on both databases (ARGS=--quick)
	$(PY) -m bench.settlement $(ARGS)

bench-limits: $(VENV)/.test ## what limits and money cost in Valkey: processor a request, memory an account (ARGS=--quick)
	$(PY) -m bench.limits $(ARGS)

bench-scale: $(VENV)/.test ## what a request costs with 1, 100, 10,000 accounts, 1 and 2 processes (ARGS=--quick)
	$(PY) -m bench.scale $(ARGS)

bench-web: $(VENV)/.test chromium ## the pages on 10 million rows, and 500 open dashboards (ARGS="--rows 100000")
	$(PY) -m bench.web $(ARGS)

FUZZ_SECONDS ?= 60
FUZZED := splitter patching http_answer requests streams
fuzz: $(addprefix fuzz-,$(FUZZED)) ## hostile bytes for every parser of ours, a minute each (FUZZ_SECONDS=3600; -j2 for two at once)

fuzz-%: $(VENV)/.test
	@mkdir -p $(DATA_DIR)/fuzz/$* && echo "-- $*"
	@$(PY) -m tests.fuzz $* -max_total_time=$(FUZZ_SECONDS) -timeout=30 -verbosity=0 -print_final_stats=1 \
	  -artifact_prefix=$(DATA_DIR)/fuzz/ $(DATA_DIR)/fuzz/$*

audit: $(VENV)/.test ## known vulnerabilities in what we depend on
	$(VENV)/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.txt

sbom: $(VENV)/.test ## what a release is made of, as CycloneDX, into dist/
	@mkdir -p dist
	$(VENV)/bin/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --of JSON -o dist/hontoni.cdx.json

previous-release: ## keep COMMIT's code as the release that upgrades are tested from
	git archive --prefix=release/ $(COMMIT) -- manage.py hontoni gateway billing accounts ratelimits ':!billing/fonts' \
	  | xz -9e > tests/operations/previous_release.tar.xz

bench-large: $(VENV)/.test ## what others notice of one request of 300,000 messages
	$(PY) -m bench.large $(ARGS)

bench-hostile: $(VENV)/.test ## an honest client beside one that holds connections, headers and bodies
	$(PY) -m bench.hostile $(ARGS)

lint-deploy: ## the files of deploy/, by hadolint, helm, kubernetes-validate, caddy, nginx, systemd-analyze (STRICT=1)
	@deploy/lint $(DATA_DIR)/lint

bench-history: $(VENV)/.test ## the nightly proof and the pages with 13 months in the books (ARGS="--rows 1000000")
	$(PY) -m bench.history $(ARGS)

LANGUAGE_CODE ?= vi
messages: $(VENV)/.run ## collect and compile what is to be translated (needs gettext; LANGUAGE_CODE=vi)
	$(PY) manage.py labels > hontoni/labels.py
	$(PY) manage.py makemessages -l $(LANGUAGE_CODE) --no-location --no-obsolete -i 'tests/*' -i 'var/*' -i .venv -i 'locale/*'
	rm hontoni/labels.py
	$(PY) manage.py compilemessages -v 0 -i .venv

conformance: $(VENV)/.test node-sdks ## every SDK and real agents (2 GB) on every vendor, into docs/conformance.md
	$(PY) -m pytest tests/conformance -n 0 --timeout 600 --agents $(AGENTS) --board docs/conformance.md $(ARGS)

providers: $(VENV)/.test ## ask every provider's simulator, and write the README's table of them
	$(PY) -m pytest -n 0 tests/gateway/vendors/test_hosts.py tests/gateway/vendors/test_clouds.py
	DJANGO_SETTINGS_MODULE=hontoni.settings $(PY) -m tests.gateway.vendors.board

screenshots: $(VENV)/.test chromium ## the README's pictures of the main pages, into docs/screenshots
	$(PY) -m pytest tests/web/screenshots.py -n 0

lock: $(VENV)/.test ## pin every version and hash of requirements.in
	$(VENV)/bin/pip install -q pip-tools
	$(VENV)/bin/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links -o requirements.txt requirements.in
	$(VENV)/bin/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links -o tests/requirements.txt tests/requirements.in

.PHONY: bench-history lint-deploy providers previous-release bench-large audit sbom fuzz check chromium docs test-faults test-money bench-hostile bench-limits bench-request bench-sockets bench-settlement bench-scale bench-web node-sdks screenshots messages help run manage demo lint test bench conformance lock
