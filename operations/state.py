"""What a stack's state says, from ``pulumi stack export``."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from stacks.sentinel import Recorded, network_in

COMPONENT_PREFIX = "hetzner-platform:"
PROVIDER_PREFIX = "pulumi:providers:"
STACK_TYPE = "pulumi:pulumi:Stack"


class StateError(Exception):
    """An export that is not a state."""


@dataclass(frozen=True)
class Resource:
    """A resource of a state; secrets in it are as the engine stored them.

    Args:
        urn: Its URN.
        type: Its type token.
        id: Of the provider's object; empty for components.
        parent: URN.
        provider: URN and id of the provider.
        protect: Whether the engine refuses to delete it.
        replaced: Whether it only waits to be deleted, since another one has taken its place.
        deleted: Whether it was deleted to make room for its replacement, which has not been made.
        half_made: Why it is there, and not as it should be: what failed after its creation.
    """

    urn: str
    type: str
    id: str = ""
    parent: str = ""
    provider: str = ""
    protect: bool = False
    replaced: bool = False
    deleted: bool = False
    half_made: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @property
    def name(self) -> str:
        """Its logical name."""
        return self.urn.rpartition("::")[2]


@dataclass(frozen=True)
class Pending:
    """An operation that was begun, and of which nobody wrote down how it ended.

    ``operation`` is creating, updating, deleting, reading or importing.
    """

    operation: str
    resource: Resource


@dataclass(frozen=True)
class StackState:
    """One stack's state."""

    stack: str
    resources: tuple[Resource, ...] = ()
    pending: tuple[Pending, ...] = ()

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The stack's own outputs."""
        nothing: Mapping[str, Any] = {}
        return next((each.outputs for each in self.resources if each.type == STACK_TYPE), nothing)

    @property
    def network(self) -> Recorded | None:
        """The platform's Network, if this state records it."""
        return network_in({each.urn: {"outputs": {**each.outputs, "id": each.id}} for each in self.resources})

    def of_package(self, package: str) -> Iterator[Resource]:
        """The resources whose type is of the package."""
        return (each for each in self.resources if each.type.startswith(f"{package}:") and each.id)


def read_state(stack: str, exported: object) -> StackState:
    """The state in an export.

    Raises:
        StateError: it is not one.
    """
    try:
        deployment: Any = cast("Any", exported)["deployment"]
        resources = tuple(_resource(each) for each in _entries(deployment, "resources"))
        pending = tuple(
            Pending(str(each["type"]), _resource(each["resource"]))
            for each in _entries(deployment, "pending_operations")
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StateError(f"the export of the stack {stack!r} is not a state: {type(error).__name__} {error}") from None
    return StackState(stack, resources, pending)


def _entries(deployment: Any, name: str) -> list[dict[str, Any]]:
    """Both are left out where they are empty, and so is the whole deployment of a new stack."""
    entries: list[dict[str, Any]] | None = deployment.get(name) if deployment else None
    return entries or []


def _resource(entry: Mapping[str, Any]) -> Resource:
    errors: list[object] = entry.get("initErrors") or []
    return Resource(
        urn=str(entry["urn"]),
        type=str(entry["type"]),
        # What was only read, such as a stack reference, is nobody's to keep.
        id="" if entry.get("external") else str(entry.get("id") or ""),
        parent=str(entry.get("parent") or ""),
        provider=str(entry.get("provider") or ""),
        protect=bool(entry.get("protect")),
        replaced=bool(entry.get("delete")),
        deleted=bool(entry.get("pendingReplacement")),
        half_made=tuple(map(str, errors)),
        inputs=dict(entry.get("inputs") or {}),
        outputs=dict(entry.get("outputs") or {}),
    )
