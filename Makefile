# Benchtop: make demo · make test · make run · make check · make bench · make app
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2

.PHONY: setup gguf demo test run check bench app clean constraints
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Benchtop needs Python 3.11 or newer: make PYTHON=python3.12 setup")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# llama.cpp has no wheels: built from source once (5 to 10 minutes, a C++ compiler); pip keeps the wheel
gguf: $(VENV)/.gguf

$(VENV)/.gguf: $(STAMP) constraints-gguf.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement constraints-gguf.txt
	touch $@

demo: setup
	$(BIN)/python -m desktop demo --out demo

run: setup
	$(BIN)/benchtop

test: setup
	-command -v c++ >/dev/null && $(MAKE) gguf  # where it cannot be built, the tests that need it skip and say so
	$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m benchmarks

app: setup
	$(BIN)/pyinstaller --noconfirm --clean --distpath dist --workpath build packaging/benchtop.spec

clean:
	rm -rf $(VENV) build dist demo

constraints:  # after a change of dependencies: pins every package for macOS and Linux, with hashes, naming no host
	uv pip compile pyproject.toml --extra dev --extra mlx --extra coreml --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 --quiet --output-file constraints.txt
