# make demo    the main job: builds the models, starts Triton and the host, scores, ends them
# make serve   the same servers, kept running
# make test    all tests, on a real Triton
# make lint    style and types
# make bench   trihook beside other hosts, 45 to 60 minutes; make bench-quick takes a few,
#              make bench-micro a minute, for what the framework costs by itself

# the wheel of the embedded Triton needs numpy 1, which has no wheels beyond Python 3.12
SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(firstword $(foreach python,python3 python3.12 python3.11 python3.10,\
	$(shell $(python) -c '$(SUPPORTED)' 2>/dev/null && echo $(python))) python3)
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := plugins/trihook-nltk plugins/trihook-pillow
EXAMPLES := examples/bidaf examples/densenet
REPOSITORY := build/models/triton
BENCH := build/bench/env/harness
METADATA := setup.cfg pyproject.toml $(wildcard plugins/*/setup.cfg examples/*/setup.cfg)

.PHONY: demo serve test lint bench bench-quick bench-micro clean

demo: $(REPOSITORY)/.built
	$(BIN)/python examples/demo.py $(REPOSITORY)

serve: $(REPOSITORY)/.built
	$(BIN)/python examples/demo.py $(REPOSITORY) --serve --port 5001 --triton-port 8000

test: $(VENV)/.dev $(REPOSITORY)/.built
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench bench-quick: $(BENCH)/.installed
	@command -v wrk >/dev/null || { echo "wrk is missing: apt-get install wrk" >&2; exit 1; }
	PYTHONPATH=benchmarks $(BENCH)/bin/python -m trihook_bench $(if $(filter bench,$@),full,quick)

bench-micro: $(BENCH)/.installed
	PYTHONPATH=benchmarks $(BENCH)/bin/python -m pytest -c benchmarks/micro/pytest.ini benchmarks/micro \
		--benchmark-json=build/bench/micro.json
	PYTHONPATH=benchmarks $(BENCH)/bin/python -m micro.report build/bench/micro.json benchmarks/micro/RESULTS.md

clean:
	rm -rf build dist $(VENV) .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.run: $(METADATA)
	@echo "installing into $(VENV), which takes a minute or two"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --upgrade pip
	$(BIN)/python -m pip install -qq -e '.[triton]' $(PLUGINS:%=-e %) $(EXAMPLES:%=-e '%[build]')
	@# for its photographs alone, which need none of what its code needs
	$(BIN)/python -m pip install -qq --no-deps scikit-image
	touch $@

$(BENCH)/.installed: $(METADATA) benchmarks/requirements.txt
	@echo "installing into $(BENCH), which takes a minute or two"
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install -qq --upgrade pip
	$(BENCH)/bin/python -m pip install -qq -e '.[triton]' $(PLUGINS:%=-e %) $(EXAMPLES:%=-e '%[build]') \
		-r benchmarks/requirements.txt
	$(BENCH)/bin/python -m pip install -qq --no-deps scikit-image
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install -qq -e '.[triton,dev]'
	touch $@

$(REPOSITORY)/.built: $(VENV)/.run $(wildcard examples/*/trihook_*/*)
	mkdir -p $(REPOSITORY)
	$(BIN)/python -m trihook_densenet.build $(REPOSITORY)
	$(BIN)/python -m trihook_bidaf.build $(REPOSITORY)
	touch $@
