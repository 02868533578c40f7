"""The charts as their authors released them: their values, schemas and definitions, which the repository does not hold.

A directory for each chart (``values.yaml``, ``values.schema.json``, ``Chart.yaml``, ``crds/<plural>.<group>.yaml``) and an
``index.yaml`` that says their releases; nothing here fetches it.
The variable ``PLATFORM_UPSTREAM`` says where that is; without it, ``../shared/upstream`` as seen from the repository is looked at.
Tests that need it are skipped where it is absent; a file that is missing in one that is there is an error.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

VARIABLE = "PLATFORM_UPSTREAM"
UPSTREAM = Path(os.environ.get(VARIABLE) or Path(__file__).resolve().parents[2] / "shared" / "upstream").absolute()

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C where PyYAML has it: some definitions have twenty thousand lines."""


def required(path: str = ".") -> Path:
    """Where a file of theirs is, such as ``traefik/values.yaml``; who asks is skipped where there is none: a test or a module."""
    if not UPSTREAM.is_dir():
        reason = (
            f"the charts' own values, schemas and definitions are not at {UPSTREAM}: {VARIABLE} says where they are"
        )
        pytest.skip(reason, allow_module_level=True)
    return UPSTREAM / path


def document(path: str) -> Any:
    """What one of their YAML files says."""
    return yaml.load(required(path).read_text(encoding="utf-8"), Loader=_LOADER)


def index() -> dict[str, dict[str, Any]]:
    """What is known of each chart's release, by the chart's name."""
    return document("index.yaml")["charts"]


def values(chart: str) -> dict[str, Any]:
    """A chart's own values."""
    return document(f"{chart}/values.yaml")


def values_schema(chart: str) -> dict[str, Any]:
    """What a chart takes for values."""
    return json.loads(required(f"{chart}/values.schema.json").read_text(encoding="utf-8"))


def definition(path: str) -> dict[str, Any]:
    """A custom resource's definition; ``path`` is ``<chart>/<plural>.<group>``."""
    chart, _, name = path.partition("/")
    return document(f"{chart}/crds/{name}.yaml")


def versions(path: str) -> dict[str, dict[str, Any]]:
    """The schemas of the versions of a custom resource, see `definition`."""
    return {each["name"]: each["schema"]["openAPIV3Schema"] for each in definition(path)["spec"]["versions"]}
