"""What a provider's SDK says about a resource, a function or the provider's own configuration.

A schema is made once from the SDK's types (`introspection`) and kept outside the checkout, one small JSON file per token
and SDK version, so that a plugin with a warm cache never imports an SDK (pulumi_cloudflare alone costs 2.2 s).
"""

import importlib.util
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 1
"""Raised when the files' shape or their making changes, so that old files are made anew."""


class SchemaError(LookupError):
    """The SDK knows no such resource, function or provider."""


@dataclass(frozen=True, slots=True)
class Type:
    """The type of a property.

    ``kind`` is string, integer, number, boolean, any, list, map, object or union. ``items`` holds what a list or a map
    contains (one type), or a union's alternatives; ``ref`` names an object's shape among the schema's ``shapes``.
    """

    kind: str
    items: tuple["Type", ...] = ()
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Property:
    """An input or output property."""

    type: Type
    required: bool = False


Shape = Mapping[str, Property]
"""Properties by their name as the provider sees it (camelCase)."""


@dataclass(frozen=True, slots=True)
class Schema:
    """Inputs and outputs behind one token.

    Args:
        token: Such as ``hcloud:index/server:Server``.
        inputs: What may be given.
        outputs: What comes back; empty for a provider.
        shapes: The objects that the types refer to.
    """

    token: str
    inputs: Shape
    outputs: Shape
    shapes: Mapping[str, Shape]


def package_of(token: str) -> str:
    """``hcloud`` of ``hcloud:index/server:Server`` and of ``pulumi:providers:hcloud``."""
    parts = token.split(":")
    return parts[2] if parts[:2] == ["pulumi", "providers"] else parts[0]


@lru_cache
def sdk_directory(package: str) -> Path:
    """Where the SDK of ``package`` is installed; does not import it."""
    spec = importlib.util.find_spec(f"pulumi_{package}")
    if spec is None or not spec.submodule_search_locations:
        raise SchemaError(f"the Python package pulumi_{package} is not installed")
    return Path(spec.submodule_search_locations[0])


@lru_cache
def sdk_version(package: str) -> str:
    """The version of the SDK, which is the version of the plugin that it asks for."""
    return str(json.loads((sdk_directory(package) / "pulumi-plugin.json").read_text())["version"])


def cache_directory(package: str) -> Path:
    """Where the schemas of one SDK version are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "hetzner-platform" / "schemas" / f"{package}-{sdk_version(package)}"


@cache
def schema_of(token: str) -> Schema:
    """The schema behind the token of a resource, a function or a provider.

    Raises:
        SchemaError: the SDK knows no such token.
    """
    path = cache_directory(package_of(token)) / (re.sub(r"[^A-Za-z0-9.]+", "-", token) + ".json")
    cached = _read(path, token)
    if cached is not None:
        return cached
    from . import introspection  # noqa: PLC0415 - imports the SDK, which only a cold cache needs

    schema = introspection.inspect_token(token)
    _write(path, schema)
    return schema


def _read(path: Path, token: str) -> Schema | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if content.get("format") != FORMAT or content.get("token") != token:
        return None
    return Schema(
        token=token,
        inputs=_shape(content["inputs"]),
        outputs=_shape(content["outputs"]),
        shapes={name: _shape(shape) for name, shape in content["shapes"].items()},
    )


def _write(path: Path, schema: Schema) -> None:
    content = {
        "format": FORMAT,
        "token": schema.token,
        "inputs": _shape_json(schema.inputs),
        "outputs": _shape_json(schema.outputs),
        "shapes": {name: _shape_json(shape) for name, shape in schema.shapes.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # Several plugins start at once: each writes its own file, and the last rename wins with the same content.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", suffix=".json", delete=False) as file:
        json.dump(content, file, sort_keys=True)
    Path(file.name).replace(path)


def _shape(content: Mapping[str, Any]) -> Shape:
    return {name: Property(_type(entry["type"]), bool(entry.get("required"))) for name, entry in content.items()}


def _shape_json(shape: Shape) -> dict[str, Any]:
    return {
        name: {"type": _type_json(entry.type)} | ({"required": True} if entry.required else {})
        for name, entry in shape.items()
    }


def _type(content: Mapping[str, Any]) -> Type:
    return Type(
        str(content["kind"]), tuple(_type(item) for item in content.get("items", ())), str(content.get("ref", ""))
    )


def _type_json(entry: Type) -> dict[str, Any]:
    content: dict[str, Any] = {"kind": entry.kind}
    if entry.items:
        content["items"] = [_type_json(item) for item in entry.items]
    if entry.ref:
        content["ref"] = entry.ref
    return content
