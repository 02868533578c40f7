"""What a resource waits for, for tests of any component."""

from collections.abc import Iterable
from typing import Protocol


class Waiting(Protocol):
    """A resource as one of the recordings has it."""

    @property
    def name(self) -> str: ...

    @property
    def dependencies(self) -> Iterable[str]: ...


def before(resources: Iterable[Waiting], name: str) -> set[str]:
    """Names of all that a resource waits for, over any number of steps.

    Args:
        resources: All; dependencies are names or URNs.
        name: Of the one that waits.
    """
    direct: dict[str, set[str]] = {}
    for resource in resources:
        direct.setdefault(resource.name, set()).update(each.rpartition("::")[2] for each in resource.dependencies)
    found: set[str] = set()
    waiting = [name]
    while waiting:
        more = direct.get(waiting.pop(), set()) - found
        waiting += more
        found |= more
    return found
