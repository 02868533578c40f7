# Commands of the platform. `make help` explains them.

VENV := .venv
PYTHON := $(VENV)/bin/python
ENGINE ?= auto
DOWNLOAD ?=

export PULUMI_ERROR_OUTPUT_STRING := true

.DEFAULT_GOAL := help
.PHONY: help env up status down preview test integration check format e2e bench doctor sweep toolchain lock

help: ## this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1|/' | column -t -s '|'

env: $(VENV)/.product ## the environment, from the lock file

up: $(VENV)/.product ## the whole platform in a sandbox on this machine, left running (ENGINE=inprocess with pip alone)
	@$(PYTHON) -m sandbox up --engine $(ENGINE) $(if $(DOWNLOAD),--download)

status: $(VENV)/.product ## the sandbox that runs
	@$(PYTHON) -m sandbox status

down: $(VENV)/.product ## takes the sandbox down, and proves that nothing is left
	@$(PYTHON) -m sandbox down

preview: $(VENV)/.product ## what the three stacks would make (ENGINE=auto|pulumi|inprocess)
	@$(PYTHON) -m sandbox preview --engine $(ENGINE)

test: $(VENV)/.test ## unit, property, golden and graph tests; no account, no engine
	@$(PYTHON) -m pytest -m "not engine and not integration" --numprocesses auto --dist loadscope $(ARGS)

integration: $(VENV)/.test ## real API servers, Helm, gator, OpenBao and, on PATH, Traefik (needs make toolchain)
	@$(PYTHON) -m pytest -m integration $(ARGS)

e2e: $(VENV)/.test ## the real engine against the sandbox: preview, up, renewals, destroy
	@$(PYTHON) -m pytest -m engine --numprocesses 2 --dist loadscope $(ARGS)

check: $(VENV)/.check ## format, lint, types
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/pyright

format: $(VENV)/.check ## format the code, mend what the linter can
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

bench: $(VENV)/.test ## how long things take, as medians and ratios
	@$(PYTHON) -m benchmarks

doctor: $(VENV)/.product ## what is wrong with the deployment, and the lines that repair it; changes nothing
	@$(PYTHON) -m operations doctor $(ARGS)

sweep: $(VENV)/.product ## what controllers left in the cloud of STACK= or REGION=; listed, and removed with YES=1
	@$(PYTHON) -m operations sweep $(if $(REGION),--region $(REGION),--stack '$(STACK)') $(if $(YES),--yes)

toolchain: $(VENV)/.product ## Pulumi, etcd, Kubernetes, Helm, …: PATH, cache, releases (DOWNLOAD=1) or builds (about 20 minutes)
	@$(PYTHON) -m sandbox toolchain $(if $(DOWNLOAD),--download)

lock: ## uv.lock and requirements/ anew from pyproject.toml (needs uv)
	@tools/lock

$(VENV)/.product $(VENV)/.test $(VENV)/.check: $(VENV)/.%: uv.lock requirements/%.txt tools/environment
	@tools/environment $(VENV) $*
