# Two commands, each from nothing: `make book` and `make test`. They need Python 3.11 to 3.13, make and a network.
#
#   make book    execute every notebook at the paper's scale, build the pages, check them  -> _build/html/index.html
#   make test    style, types, import floors, the shorter unit tests and notebooks, these at a small scale
#   make slow    all tests, with those that take long, in both environments, and the long notebooks: before a release
#   make lab     JupyterLab on the notebooks
#   make pdf     the built pages as one PDF, by Chromium (makes the book first, if there is none) -> _build/pdf
#   make release the archive of this version, for Zenodo (after make book, of a clean tree) -> _build/release
#   make lint    the first part of make test alone;  make format  puts the style right
#   make broken-lines   break mfcore line by line, in a copy, and see the test that guards each line fail
#   make full    the experiments: what is missing of every stored result in book/results (hours)
#   make bench   speed and memory against stated baselines, as ratios in one run
#   make lock    make the locks anew from pyproject.toml (needs uv)
#   make clean   remove what was built;  make distclean  also the environments
#
# make PY=/path/to/python chooses the interpreter; MFCORE_PROFILE=quick make book is a fast look.

SHELL   := /bin/bash
PY      ?=
VENV    := .venv
NEWEST  := .venv-newest-jax
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
BOOK    := $(BIN)/jupyter-book build -W -n --keep-going
DURATIONS := --durations=15 --durations-min=3

export PYTHONNOUSERSITE := 1
export PYTHONUTF8 := 1
export JAX_PLATFORMS ?= cpu
export JUPYTER_PREFER_ENV_PATH := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1
# Without compiled modules on disk each of some thirty processes would compile them again.
unexport PYTHONDONTWRITEBYTECODE
# Programs that jax 0.5.3 takes from a cache on disk compute something else on CPUs: the roots of the very first
# lines come out wrong. jax 0.10 does not have this.
unexport JAX_COMPILATION_CACHE_DIR
# A set JUPYTER_PATH would bring another environment's kernel, PYTHONPATH its packages.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP JUPYTER_PATH JUPYTER_CONFIG_DIR VIRTUAL_ENV MPLBACKEND MPLCONFIGDIR
# These change what pip installs, or where. Those that say how to reach an index (PIP_INDEX_URL, PIP_CERT, ...) stay.
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_PYTHON PIP_DRY_RUN PIP_REQUIREMENT PIP_CONSTRAINT PIP_EDITABLE
unexport PIP_NO_DEPS PIP_REQUIRE_HASHES PIP_NO_BINARY PIP_ONLY_BINARY PIP_PLATFORM PIP_PRE PIP_UPGRADE PIP_GROUP
unexport PIP_NO_BUILD_ISOLATION PIP_IGNORE_INSTALLED PIP_FORCE_REINSTALL PIP_CONFIG_SETTINGS PIP_BUILD_CONSTRAINT

.DELETE_ON_ERROR:
.PHONY: bench book full slow test lint types unit book-unit notebooks newest-jax broken-lines lab pdf release format lock \
  clean distclean moved
.DEFAULT_GOAL := book

define heading
	@printf '\n\033[1m== %s\033[0m\n' $(1)
endef

# --- the book -------------------------------------------------------------------------------------------------

# Pages that passed every check stand until something they are made of changes: a file, the commit (it is printed on
# them), the scale, the public address.
BUILT      := _build/.book
BOOK_STATE := $(CURDIR) $(MFCORE_PROFILE) $(MFCORE_REPOSITORY) $(shell git rev-parse HEAD 2>/dev/null; git status --porcelain 2>/dev/null | sha256sum)
BOOK_FILES := $(shell find book notebooks mfcore index.md _config.yml _toc.yml CITATION.cff CHANGELOG.md LICENSE \
  -type f -not -name '*.pyc' -not -path '*/.ipynb_checkpoints/*' -not -path '*/figures/*' -not -path 'book/api/mfcore*.rst')

book: $(BUILT)
	@echo "Open _build/html/index.html"

# The old pages go first: a page that is no longer made must not be found. So do the doctrees: with them, a build
# that failed on a warning would pass when run again.
$(BUILT): $(STAMP) $(BOOK_FILES) $(shell [ -f _build/html/index.html ] && [ "$$(cat $(BUILT) 2>/dev/null)" = "$(BOOK_STATE)" ] || echo moved)
	$(call heading,"book: notebooks and pages")
	rm -rf _build/.doctrees _build/html
	TQDM_DISABLE=1 $(BOOK) .
	$(call heading,"book: the built pages")
	$(BIN)/python book/_ext/check_site.py _build/html
	$(if $(shell command -v timeout),timeout 900) $(BIN)/python book/_ext/check_browser.py _build/html
	@echo "$(BOOK_STATE)" > $@

# CHROMIUM=/path/to/it names a browser that is not on PATH.
export CHROMIUM
pdf: $(STAMP)
	@[ -f _build/html/edition.json ] || $(MAKE) --no-print-directory book
	$(call heading,"pdf: the built pages on paper")
	$(BIN)/python book/_ext/print_book.py _build/html _build/pdf/metric-flows.pdf

# FORCE=1 packs a trial from whatever is built.
release: $(STAMP)
	$(call heading,"release: the archive")
	$(BIN)/python book/_ext/release.py $(if $(FORCE),--force)

lab: $(STAMP)
	mkdir -p _build/figures-lab
	MFCORE_FIGURES="$(CURDIR)/_build/figures-lab" $(BIN)/jupyter-lab --notebook-dir=notebooks

# --- the tests ------------------------------------------------------------------------------------------------

# Two parts at a time, the longest first: each keeps little more than one core busy. Their outputs do not mix.
# The two environments, too, are made side by side. With threads for all cores, of XLA (NPROC) and of BLAS, two
# parts would hold one another up. Most of the time goes to compiling: programs that run once are not optimised.
test: export NPROC := 1
test: export OMP_NUM_THREADS := 1
test: export XLA_FLAGS := --xla_backend_optimization_level=0
test:
	@$(MAKE) --no-print-directory -j2 --output-sync=target $(STAMP) $(NEWEST)/.installed \
	  unit notebooks newest-jax book-unit types lint
	$(call heading,"test: everything passed")

lint: $(STAMP)
	$(call heading,"test: style and import floors")
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(call heading,"test: types")
	$(BIN)/basedpyright

unit: $(STAMP)
	$(call heading,"test: unit tests")
	$(BIN)/python -m pytest -q $(DURATIONS) --share locked -m "not book and not slow" tests
	$(call heading,"test: stored results")
	$(BIN)/python -m mfcore results

book-unit: $(STAMP)
	$(call heading,"test: unit tests of the book")
	$(BIN)/python -m pytest -q $(DURATIONS) -m book tests

# nbval's own time limit is half an hour a cell, and a dead kernel is noticed only by it.
define nbval
	rm -rf _build/figures-quick
	MFCORE_PROFILE=quick MFCORE_FIGURES="$(CURDIR)/_build/figures-quick" TQDM_DISABLE=1 \
	  $(BIN)/python -m pytest -q --nbval-lax --nbval-current-env --nbval-cell-timeout=300 \
	    --nbval-kernel-startup-timeout=120 $(1)
endef

# Those that say in their metadata that they take long ("long": minutes) are left to make slow and, at full scale,
# make book.
LONG := $(shell grep -l '"long": [0-9]' notebooks/*.ipynb)
notebooks: $(STAMP)
	$(call heading,"test: notebooks at a small scale")
	$(call nbval,$(filter-out $(LONG),$(wildcard notebooks/*.ipynb)))

# Without neural-tangents, which holds jax back, mfcore must run on the newest jax of the lock. Every other test file
# runs there (tests/selection.py); make slow runs all in both.
newest-jax: $(NEWEST)/.installed
	$(call heading,"test: unit tests on the newest jax")
	@$(NEWEST)/bin/python -c 'import jax; print("jax", jax.__version__)'
	$(NEWEST)/bin/python -m pytest -q $(DURATIONS) --share newest -m "not book and not slow" tests

# What make test leaves out for its length: before a release, and after a change of what is marked.
slow: $(STAMP) $(NEWEST)/.installed
	$(call heading,"slow: every unit test")
	$(BIN)/python -m pytest -q $(DURATIONS) -m "not book" tests
	$(call heading,"slow: long notebooks at a small scale")
	$(call nbval,$(LONG))
	$(call heading,"slow: every unit test once on the newest jax")
	$(NEWEST)/bin/python -m pytest -q $(DURATIONS) --once -m "not book" tests

broken-lines: $(STAMP)
	$(call heading,"broken lines: does a test fail for each?")
	$(BIN)/python tests/broken_lines.py $(ROWS)

full: $(STAMP)
	$(call heading,"experiments")
	for name in $$(cd mfcore/experiments && ls [a-z]*.py); do $(BIN)/python -m mfcore run $${name%.py} || exit 1; done

bench: $(STAMP)
	$(call heading,"benchmarks: ratios in one run")
	$(BIN)/python -m benchmarks

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# --- the environments -----------------------------------------------------------------------------------------

# A virtual environment holds absolute paths: in a moved copy of the tree it would run the code of the old one.
$(STAMP): requirements.lock requirements-nt.lock $(shell [ "$$(cat $(STAMP) 2>/dev/null)" = "$(CURDIR)" ] || echo moved)
	$(call heading,"environment: $(VENV)")
	@$(call make-venv,$(VENV))
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-nt.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "$(CURDIR)" > $@

$(NEWEST)/.installed: requirements-newest-jax.lock $(shell [ "$$(cat $(NEWEST)/.installed 2>/dev/null)" = "$(CURDIR)" ] || echo moved)
	$(call heading,"environment: $(NEWEST)")
	@$(call make-venv,$(NEWEST))
	$(NEWEST)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-newest-jax.lock
	$(NEWEST)/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "$(CURDIR)" > $@

moved:

# The first Python that runs, is in range, and can make an environment: a name on PATH alone proves none of these.
define make-venv
	found=; ranged=; \
	for candidate in $(if $(PY),"$(PY)",python3.13 python3.12 python3.11 python3); do \
	  "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue; \
	  ranged="$$candidate"; \
	  "$$candidate" -c 'import venv, ensurepip' 2>/dev/null || continue; \
	  found="$$candidate"; break; \
	done; \
	if [ -z "$$found" ]; then \
	  if [ -n "$$ranged" ]; then \
	    echo "$$ranged cannot make virtual environments (Debian: apt install python3-venv)." >&2; \
	  elif [ -n "$(PY)" ]; then \
	    echo "PY=$(PY) does not run, or is not Python 3.11 to 3.13: $$("$(PY)" --version 2>&1 | head -1)" >&2; \
	  else \
	    echo "No Python 3.11, 3.12 or 3.13 found (Debian: apt install python3 python3-venv), or name one: make PY=/path/to/python" >&2; \
	  fi; exit 1; \
	fi; \
	"$$found" -c 'import sys; print("Python", sys.version.split()[0], "at", sys.executable)'; \
	"$$found" -m venv --clear $(1)
endef

UV    := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
         --custom-compile-command "make lock"
lock:
	@command -v uv >/dev/null || { echo "make lock needs uv (pip install uv)" >&2; exit 1; }
	$(UV) pyproject.toml --extra ntk --extra book --extra test -o requirements.lock
	$(UV) requirements-nt.in --no-deps -o requirements-nt.lock
	$(UV) pyproject.toml --extra test -o requirements-newest-jax.lock

clean:
	rm -rf _build .pytest_cache .ruff_cache .import_linter_cache *.egg-info

distclean: clean
	rm -rf $(VENV) $(NEWEST)
