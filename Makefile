# The one door. On a fresh machine with Python 3.11+, pip, make and git: `make demo`, then `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE_TESTS := tests/prism tests/browser
VALIDATOR := tests/reading/validator
SPARK := tests/lake/spark
PEERS := benchmarks/peers

# Two workers more than there are cores, because tests also wait for processes. The tests of a file stay together.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)
# The tests' folders are in memory where it has room for them and lets programs run (a container's often does not).
SCRATCH ?= $(shell awk '$$2 == "/dev/shm" {options = $$4} END {exit options == "" || options ~ /noexec/}' /proc/mounts \
	2>/dev/null && test -w /dev/shm && df -Pk /dev/shm | awk 'NR == 2 && $$4 >= 4 * 1024 * 1024 {print "/dev/shm"}')
PYTEST = $(if $(SCRATCH),TMPDIR=$(SCRATCH) )$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test check chaos endurance bench spark lint types setup dev lock audit schema dictionary clean

demo: $(VENV)/.ready  ## everything once, against the sandbox
	@$(BIN)/tokenboard demo

test: lint types setup  ## everything: lint, types, tests
	$(PYTEST)

check: lint types  ## the fast part of `test`
	$(PYTEST) -m "not slow and not prism and not chaos and not endurance"

chaos: $(VENV)/.ready  ## kills, faults, page sizes and time zones for some ten minutes; ends with a table
	$(PYTEST) --dist worksteal -m chaos

endurance: $(VENV)/.ready  ## the same at length, a hundred nights, and properties with all their examples: some hours
	$(PYTEST) --dist worksteal --hypothesis-profile at-length -m "chaos or endurance or hypothesis"

bench: $(VENV)/.ready $(PEERS)/.venv/.ready  ## what a night and a closing cost, against the floor, dlt and pandas
	$(if $(SCRATCH),TMPDIR=$(SCRATCH) )$(BIN)/python -m benchmarks

spark: $(SPARK)/.venv/.ready  ## every model on Apache Spark against DuckDB, value by value; needs Java 17
	$(if $(SCRATCH),TMPDIR=$(SCRATCH) )$(SPARK)/.venv/bin/python -m pytest tests/lake/test_spark.py

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/mypy

setup: $(VENV)/.ready $(VALIDATOR)/.venv/.ready  ## FOCUS's validator and, where node is at hand, Prism and axe-core
	@if command -v npm >/dev/null; then for each in $(NODE_TESTS); do \
		[ -d $$each/node_modules ] || (cd $$each && npm ci --ignore-scripts --silent) || exit 1; done; fi

dev: $(VENV)/.ready  ## Dagster's UI over this folder's workspace.yaml
	$(BIN)/dagster dev -w workspace.yaml

COMPILE = $(CURDIR)/$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url

lock: $(VENV)/.ready  ## pin the newest allowed versions, with hashes and without any host; the same ones for the image
	$(COMPILE) --python-version 3.11 --no-strip-extras --upgrade --extra dev --extra pdf --extra postgres \
		pyproject.toml --output-file requirements.lock
	$(COMPILE) --python-version 3.11 --no-strip-extras --upgrade --extra postgres --constraints requirements.lock \
		pyproject.toml --output-file deploy/requirements.lock
	cd $(VALIDATOR) && $(COMPILE) --python-version 3.12 --no-header --upgrade requirements.in --output-file requirements.lock
	cd $(SPARK) && $(COMPILE) --python-version 3.11 --no-header --upgrade --constraints ../../../requirements.lock \
		requirements.in --output-file requirements.lock
	cd $(PEERS) && $(COMPILE) --python-version 3.11 --no-header --upgrade requirements.in --output-file requirements.lock

audit: $(VENV)/.ready  ## known vulnerabilities of what is pinned; asks PyPI, so it is no part of `test`
	for each in requirements.lock deploy/requirements.lock; do \
		$(BIN)/uv tool run pip-audit --strict --disable-pip --require-hashes --requirement $$each || exit 1; done

schema: $(VENV)/.ready  ## docs/policy.schema.json, after a change of the policy's fields
	$(BIN)/python -c 'from tokenboard_etl.billing.policy_schema import policy_schema; print(policy_schema(), end="")' \
		>docs/policy.schema.json

dictionary: $(VENV)/.ready  ## docs/data-dictionary.md, after a change of a published table
	$(BIN)/python -c 'from tokenboard_etl.reading.dictionary import data_dictionary, published_tables; \
		print(data_dictionary(published_tables()), end="")' >docs/data-dictionary.md

clean:
	rm -rf $(VENV) $(VALIDATOR)/.venv $(PEERS)/.venv $(SPARK)/.venv $(NODE_TESTS:=/node_modules)
	rm -rf test-output .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11, 3.12 or 3.13 is needed; try make PYTHON=python3.11" \
		if not (3, 11) <= sys.version_info[:2] < (3, 14) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# In an environment of its own, because it wants an older numpy, and Python 3.12 where one line of it is not mended.
$(VALIDATOR)/.venv/.ready: $(VALIDATOR)/requirements.lock $(VALIDATOR)/mend.py
	$(PYTHON) -m venv $(VALIDATOR)/.venv
	$(VALIDATOR)/.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		--ignore-requires-python -r $(VALIDATOR)/requirements.lock
	$(VALIDATOR)/.venv/bin/python $(VALIDATOR)/mend.py
	@touch $@

# Beside the packages of $(VENV), which it sees too: 900 MB that nothing else needs.
$(SPARK)/.venv/.ready: $(VENV)/.ready $(SPARK)/requirements.lock
	$(BIN)/python -m venv $(SPARK)/.venv
	$(SPARK)/.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(SPARK)/requirements.lock
	@$(SPARK)/.venv/bin/python -c 'import pathlib, sys, sysconfig; \
		pathlib.Path(sysconfig.get_path("purelib"), "beside.pth").write_text(f"import site; site.addsitedir({sys.argv[1]!r})\n")' \
		"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@

# In an environment of its own, because nothing but the benchmarks needs what the peers are written with.
$(PEERS)/.venv/.ready: $(PEERS)/requirements.lock
	$(PYTHON) -m venv $(PEERS)/.venv
	$(PEERS)/.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(PEERS)/requirements.lock
	@touch $@
