"""A graph as it is kept in its golden file: short enough to be read, whole enough that every change shows."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.deployment import PROVIDER_PREFIX, Deployment, Resource
from sandbox.scratch import SANDBOX_INPUTS

WIDTH = 180
"""Characters of a line."""

IN_FULL = 220
"""Characters of JSON up to which an object of a cluster, or a part of a release, stands there as it is.

Policies, roles, constraints and values have golden files of their own beside the tests of their components.
"""


def golden_text(deployment: Deployment) -> str:
    """The graph, one resource after the other, each in as few lines as it takes."""
    return packed([shape(deployment, resource) for resource in deployment.resources]) + "\n"


def shape(deployment: Deployment, resource: Resource) -> dict[str, Any]:
    """What is kept of a resource. In a cluster all have one provider, no ignored changes, and mostly no protection."""
    kept: dict[str, Any] = {
        "urn": resource.urn.removeprefix(f"urn:pulumi:{deployment.stack}::{deployment.project}::"),
        "parent": resource.parent.rpartition("::")[2],
        "dependencies": [urn.rpartition("::")[2] for urn in resource.dependencies],
    }
    if in_cluster(resource):
        return {**kept, **({"protect": True} if resource.protect else {}), "inputs": outlined(resource.inputs)}
    provider = resource.type.startswith(PROVIDER_PREFIX)
    return {
        **kept,
        "provider": resource.provider.rpartition("::")[2],
        "protect": resource.protect,
        "ignore_changes": list(resource.ignore_changes),
        "inputs": {key: value for key, value in resource.inputs.items() if not provider or key not in SANDBOX_INPUTS},
    }


def in_cluster(resource: Resource) -> bool:
    """Whether it is an object of a cluster, or a release in one."""
    return resource.type.startswith("kubernetes:")


def outlined(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """An object's inputs; parts that are too long to be read are told by their length and digest."""
    said = {key: value for key, value in inputs.items() if key not in ("apiVersion", "kind")}
    if len(json.dumps(said)) <= IN_FULL:
        return said
    return {key: value if key == "metadata" else _outline(value) for key, value in said.items()}


def _outline(value: Any) -> Any:
    text = json.dumps(value, sort_keys=True)
    if len(text) <= IN_FULL:
        return value
    return f"{len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def packed(value: Any, indent: int = 0) -> str:
    """JSON in which what fits into a line is one."""
    line = json.dumps(value, sort_keys=True)
    if len(line) + indent <= WIDTH or not isinstance(value, dict | list):
        return line
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    inner = ",\n".join(f"{' ' * indent} {part}" for part in _parts(value, indent + 1))
    return f"{opening}\n{inner}\n{' ' * indent}{closing}"


def _parts(value: dict[str, Any] | list[Any], indent: int) -> Iterator[str]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield f"{json.dumps(key)}: {packed(value[key], indent)}"
    else:
        for item in value:
            yield packed(item, indent)
