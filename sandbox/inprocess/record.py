"""What a run without an engine made, kept until it is taken down: without secrets, for there is nothing to encrypt with."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from ..deployment import PROVIDER_PREFIX, Deployment, State
from ..plugins.schema import package_of
from ..plugins.values import Secret, Unknown, Value


def keep(deployment: Deployment, path: Path) -> None:
    """Write down what was made, mode 0600. Properties that are or hold a secret are left out."""
    states = [asdict(replace(state, outputs={})) | {"outputs": _told(state.outputs)} for state in deployment.states]
    content = {"project": deployment.project, "stack": deployment.stack, "states": states}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)


def recall(path: Path, secrets: Mapping[str, str]) -> Deployment:
    """What `keep` wrote, with the providers' secrets put back in.

    Args:
        path: The file.
        secrets: By namespaced key, as a stack's configuration names them (``hcloud:token``).
    """
    content = cast("dict[str, Any]", json.loads(path.read_text()))
    states = tuple(_restored(State(**entry), secrets) for entry in content["states"])
    return Deployment(content["project"], content["stack"], preview=False, resources=(), outputs={}, states=states)


def _restored(state: State, secrets: Mapping[str, str]) -> State:
    if not state.type.startswith(PROVIDER_PREFIX):
        return state
    package = package_of(state.type)
    own: dict[str, Value] = {
        key.partition(":")[2]: Secret(value) for key, value in secrets.items() if key.startswith(f"{package}:")
    }
    return replace(state, outputs={**state.outputs, **own})


def _told(outputs: Mapping[str, Value]) -> dict[str, Any]:
    return {key: value for key, value in outputs.items() if not _holds_secret(value)}


def _holds_secret(value: Value) -> bool:
    if isinstance(value, list):
        return any(_holds_secret(item) for item in value)
    if isinstance(value, dict):
        return any(_holds_secret(item) for item in value.values())
    return isinstance(value, Secret | Unknown)
