# Two commands on a fresh machine: `make demo` and `make test`. Each installs what it needs into .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two processes of one BLAS thread each: more threads than cores wait for each other.
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal
LINTERS := lint-ruff lint-mypy lint-pyright lint-imports

.PHONY: help browser installed lenses demo docs test test-slow lint $(LINTERS) format catalogue clean \
  honesty random-programs benchmark benchmark-certify benchmark-compile benchmark-device benchmark-explain benchmark-exports benchmark-forward benchmark-guard benchmark-inspector benchmark-kgrams benchmark-layers benchmark-machines benchmark-operations benchmark-peers benchmark-real-data benchmark-speed benchmark-startup benchmark-tolerance benchmark-training

help:
	@echo "make demo               run the three compiled programs on real data: a table and a plot in out/"
	@echo "make test               run the tests, but for the slow ones"
	@echo "make test-slow          run the slow ones"
	@echo "make browser            install chromium by apt-get, as root, if there is no browser: some tests use one"
	@echo "make docs               build the documentation site, run its notebooks and commands, check its links: out/site/index.html"
	@echo "make lenses             an environment with TransformerLens 4, nnsight and circuitsvis: some slow tests use it"
	@echo "make lint               ruff, mypy, pyright and the import contracts; one of them: make lint-mypy"
	@echo "make installed          install all that tests, docs and lint need, at once"
	@echo "make format             let ruff format the code, and innerloop the programs"
	@echo "make benchmark          measure the precision of the compiled programs on fresh tasks"
	@echo "make benchmark-certify  is any prediction further off than its own bound, on data of 17 families"
	@echo "make benchmark-compile  measure how long compiling takes, stage by stage"
	@echo "make benchmark-device   how exact the library is on this machine's GPU, beside its CPU, and what calls take"
	@echo "make benchmark-explain  does innerloop explain name what runs, and nothing else; goes on where it was stopped"
	@echo "make benchmark-exports  every program in unmodified transformers: outputs and gradients; circuits, 16 bits: docs/exports.md"
	@echo "make benchmark-forward  measure what a call takes, in products of matrices, and what running scans in turn saves"
	@echo "make benchmark-kgrams   k-gram models: layers, heads, and how far from the counts"
	@echo "make benchmark-layers   the table of layers and widths against the published constructions"
	@echo "make benchmark-machines every program on gemma, neox and qwen2, here and in transformers: docs/machines.md; goes on where it was stopped"
	@echo "make benchmark-guard    measure what the guard costs, in CPU seconds"
	@echo "make benchmark-inspector  how long a page of innerloop inspect loads, and what its interactions take"
	@echo "make benchmark-operations  how exact one division and one product are"
	@echo "make benchmark-peers    the nearest programs of Tracr, ALTA, torchwright and ours: layers, weights, errors, seconds"
	@echo "make benchmark-real-data  ten real data sets against scikit-learn, each in one command"
	@echo "make benchmark-speed    measure throughput against transformers on PyTorch"
	@echo "make benchmark-startup  what it costs to begin: commands, first calls, first streams, folders"
	@echo "make benchmark-tolerance  how many neurons a tolerance costs"
	@echo "make benchmark-training measure training steps a second against transformers on PyTorch"
	@echo "make honesty            is any shipped program silently wrong, on data of 17 families (half an hour; goes on where it was stopped)"
	@echo "make random-programs    is any of 10,000 random programs silently wrong, or a crash (hours; goes on where it was stopped)"
	@echo "make catalogue          write docs/catalogue: every shipped program, what it compiles to, and how exact it is"
	@echo "make clean              remove .venv and everything that was built"

demo: $(VENV)/.installed
	@mkdir -p out
	$(BIN)/innerloop demo -o out/demo.png

test: $(VENV)/.installed-test
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/.installed-test
	$(PYTEST) -m slow

# The inspector's tests use a browser, and are skipped where there is none.
browser:
	@if [ -z "$$(command -v chromium || command -v chromium-browser || command -v google-chrome)" ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		apt-get update -qq && apt-get install -y -qq chromium > /dev/null || echo "no chromium: tests in a browser are skipped"; \
	fi

# An environment of its own, on top of the tests': TransformerLens 4 is another version than theirs.
LENSES := .venv-lens
lenses: $(VENV)/.installed-test
	$(PYTHON) -m venv $(LENSES)
	$(BIN)/python -c "import site; print(*map(repr, site.getsitepackages()), sep='\n')" | tr -d "'" > "$$($(LENSES)/bin/python -c 'import site; print(site.getsitepackages()[0])')/innerloop.pth"
	$(LENSES)/bin/python -m pip install --quiet transformer-lens==4.3.0 nnsight==0.8.1 circuitsvis==1.43.3

lint: $(LINTERS)

$(LINTERS): $(VENV)/.installed-lint

lint-ruff:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-mypy:
	$(BIN)/mypy

lint-pyright:
	$(BIN)/basedpyright

lint-imports:
	$(BIN)/lint-imports

# A warning ends the build, and so does a link inside the site that leads nowhere.
docs: $(VENV)/.installed-docs
	rm -rf out/site
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs out/site
	rm -rf out/site/.doctrees
	$(BIN)/python -m scripts.check_links out/site

format: $(VENV)/.installed-lint
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/innerloop format programs/*.icl compiler/definitions/*.icl

benchmark: $(VENV)/.installed
	$(BIN)/python -m benchmarks.precision

benchmark-certify: $(VENV)/.installed-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.certify

benchmark-forward: $(VENV)/.installed-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.forward

benchmark-kgrams: $(VENV)/.installed-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.kgrams

benchmark-layers: $(VENV)/.installed
	$(BIN)/python -m benchmarks.layers

benchmark-machines: $(VENV)/.installed-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.machines

benchmark-guard: $(VENV)/.installed
	$(BIN)/python -m benchmarks.guard

benchmark-inspector: $(VENV)/.installed-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.inspector

benchmark-operations: $(VENV)/.installed
	$(BIN)/python -m benchmarks.operations

benchmark-peers: $(VENV)/.installed
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.peers

benchmark-compile: $(VENV)/.installed
	$(BIN)/python -m benchmarks.compile_time

benchmark-device: $(VENV)/.installed-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.on_device

benchmark-explain: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.explain

# The first two go on where they were stopped; one that is wrong ends it.
benchmark-exports: $(VENV)/.installed-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.exports.stock
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.exports.circuits
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.exports.sixteen_bits
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.exports.norm_correction

benchmark-real-data: $(VENV)/.installed-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.real_data

benchmark-speed: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.speed

benchmark-startup: $(VENV)/.installed-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.startup

benchmark-tolerance: $(VENV)/.installed
	$(BIN)/python -m benchmarks.tolerance

benchmark-training: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.training

honesty: $(VENV)/.installed-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.honesty -o honesty.json

random-programs: $(VENV)/.installed-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.random_programs

catalogue: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.catalogue

clean:
	rm -rf $(VENV) build out *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# All of it in one call of pip, as .ci/run has it; Python compiles what is imported, and not each file of each library.
installed: | $(BIN)/python
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[test,docs,lint]'
	@touch $(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-docs $(VENV)/.installed-lint

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

$(VENV)/.installed-lint: $(VENV)/.installed-docs
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,docs,lint]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,docs]'
	@touch $@
