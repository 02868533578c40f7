"""Strict inputs: what the SDK's types do not know, lack, or type otherwise is an error that says what to write.

The SDKs themselves let all of this through in nested mappings, and providers mostly tell only when they create.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .schema import Schema, Shape, Type
from .values import SIGNATURE_KEY, Secret, Unknown, Value

_PYTHON_NAMES: Final = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a mapping",
}
_WANTED: Final = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "a boolean",
    "list": "a list",
    "map": "a mapping",
    "object": "a mapping",
}
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that a provider would not take. ``path`` is spelt as the provider sees it: ``networks[0].aliasIps``."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


def check_inputs(schema: Schema, inputs: Mapping[str, Value]) -> list[Failure]:
    """All unknown, missing and wrongly typed inputs, nested ones included. Unknown values pass."""
    return list(_check_shape(schema.inputs, inputs, "", schema.shapes))


def _check_shape(shape: Shape, given: Mapping[str, Value], path: str, shapes: Mapping[str, Shape]) -> Iterator[Failure]:
    for name in given:
        if name not in shape:
            yield Failure(_join(path, name), _unknown_property(name, shape))
    for name, entry in shape.items():
        if name in given:
            yield from _check_value(entry.type, given[name], _join(path, name), shapes)
        elif entry.required:
            yield Failure(_join(path, name), "is required and missing")


def _unknown_property(name: str, shape: Shape) -> str:
    by_folded = {known.lower(): known for known in shape}
    close = difflib.get_close_matches(name.replace("_", "").lower(), by_folded, n=1)
    known = sorted(shape)
    listed = ", ".join(known[:_SHOWN]) + (f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else "")
    return "unknown property" + (
        f", did you mean {by_folded[close[0]]!r}?" if close else f"; known: {listed or 'none'}"
    )


def _check_value(wanted: Type, given: Value, path: str, shapes: Mapping[str, Shape]) -> Iterator[Failure]:  # noqa: PLR0912
    if isinstance(given, Secret):
        given = given.value
    if given is None or isinstance(given, Unknown) or wanted.kind == "any":
        return
    if isinstance(given, dict) and SIGNATURE_KEY in given:  # assets and archives
        return
    match wanted.kind, given:
        case "object", dict():
            yield from _check_shape(shapes[wanted.ref], given, path, shapes)
        case "map", dict():
            for key, item in given.items():
                yield from _check_value(wanted.items[0], item, _join(path, key), shapes)
        case "list", list():
            for index, item in enumerate(given):
                yield from _check_value(wanted.items[0], item, f"{path}[{index}]", shapes)
        case "union", _:
            alternatives = [list(_check_value(option, given, path, shapes)) for option in wanted.items]
            if all(alternatives):
                yield from min(alternatives, key=len)
        case "string", str():
            return
        case "boolean", bool():
            return
        case "integer" | "number", int() | float() if not isinstance(given, bool):
            if wanted.kind == "integer" and isinstance(given, float):
                yield Failure(path, "must be a whole number")
        case _:
            yield Failure(path, f"must be {_WANTED[wanted.kind]}, not {_PYTHON_NAMES[type(given)]}")  # pyright: ignore[reportArgumentType]  plain values only


def _join(path: str, name: str) -> str:
    if not name.replace("_", "").replace("-", "").isalnum():
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name
