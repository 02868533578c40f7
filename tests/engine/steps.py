"""What the engine did to which resource, in order, read from the log of its events."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNCHANGED = ("same", "read", "refresh")


@dataclass(frozen=True)
class Step:
    """The beginning or the end of one step.

    Args:
        ends: Whether it is the end.
        operation: As the engine calls it: ``create``, ``update``, ``delete``.
        type: The resource's type.
        name: Its logical name.
    """

    ends: bool
    operation: str
    type: str
    name: str


def read_steps(log: Path) -> list[Step]:
    """Every step of a run but those that change nothing."""
    return [step for line in log.read_text().splitlines() for step in _steps(line)]


def _steps(line: str) -> Iterator[Step]:
    event = json.loads(line)
    for kind, ends in (("resourcePreEvent", False), ("resOutputsEvent", True), ("resOpFailedEvent", True)):
        metadata = event.get(kind, {}).get("metadata")
        if metadata and metadata["op"] not in UNCHANGED:
            yield Step(ends, metadata["op"], metadata["type"], metadata["urn"].split("::", 3)[3])


def touched(steps: list[Step]) -> dict[str, set[str]]:
    """Names of the resources that were begun with, by operation; a replacement counts as one ``replace``."""
    found: dict[str, set[str]] = {}
    for step in steps:
        if not step.ends and step.operation not in ("create-replacement", "delete-replaced"):
            found.setdefault(step.operation, set()).add(step.name)
    return found


def moments(steps: list[Step], operation: str, *, ends: bool) -> dict[tuple[str, str], int]:
    """When each resource's step begins or ends: its place in the log, by type and name."""
    return {
        (step.type, step.name): place
        for place, step in enumerate(steps)
        if step.operation == operation and step.ends is ends
    }
