"""What a program may give, and the names that it need not give."""

from typing import Any, cast

from ...check import Failure
from ...package import Target, autoname
from ...schema import SchemaError, schema_of
from ...values import Properties, Unknown
from . import objects


def is_custom(token: str) -> bool:
    """Whether a type is none of the SDK's: its group has a dot, as all groups of custom resources do."""
    try:
        schema_of(token)
    except SchemaError:
        return "." in token.split(":")[1].partition("/")[0]
    return False


def refusals(target: Target, inputs: Properties) -> list[Failure]:
    """What the real provider refuses beyond types."""
    if target.token == objects.RELEASE:
        return []
    metadata = inputs.get("metadata")
    given = metadata if isinstance(metadata, dict) else {}
    failures: list[Failure] = []
    if "generateName" in given and "name" not in given:
        failures.append(Failure("metadata.generateName", "is not supported with server-side apply"))
    if objects.is_patch(target.token) and "name" not in given and not isinstance(metadata, Unknown):
        failures.append(Failure("metadata.name", "is required: a Patch resource names the object that it patches"))
    return failures


def name(target: Target, inputs: Properties, old: Properties) -> None:
    """Invent the name that is not given, once: what a former run invented stays."""
    if target.token == objects.RELEASE:
        if "name" not in inputs:
            inputs["name"] = autoname(target, old.get("name"))
        return
    metadata = inputs.get("metadata")
    if isinstance(metadata, Unknown):
        return
    given = cast("dict[str, Any]", metadata or {})
    if "name" not in given:
        before = cast("dict[str, Any]", old.get("metadata") or {})
        inputs["metadata"] = {**given, "name": autoname(target, before.get("name"))}
