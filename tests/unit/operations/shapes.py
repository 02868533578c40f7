"""Short ways to write states and clouds in tests."""

from typing import Any

from operations.objects import TYPES, CloudObject, Key
from operations.state import Pending, Resource, StackState

PROVIDER = "urn:pulumi:prod::hetzner-platform::pulumi:providers:hcloud::hcloud"


def resource(kind: str, id: str, name: str = "it", **more: Any) -> Resource:
    """A resource of a state; ``more`` are its fields."""
    urn = f"urn:pulumi:prod::hetzner-platform::{TYPES[kind]}::{name}"
    return Resource(urn, TYPES[kind], id, provider=f"{PROVIDER}::1", **more)


def provider(urn: str = PROVIDER) -> Resource:
    return Resource(urn, "pulumi:providers:hcloud", "1")


def component(name: str, kind: str = "Network") -> Resource:
    type = f"hetzner-platform:index:{kind}"
    return Resource(f"urn:pulumi:prod::hetzner-platform::{type}::{name}", type)


def state(*resources: Resource, stack: str = "prod", pending: tuple[Pending, ...] = ()) -> StackState:
    return StackState(stack, resources, pending)


def cloud(kind: str, id: str, name: str = "it", whole: Key | None = None, **more: Any) -> CloudObject:
    """An object; ``labels``, ``protected`` and ``attributes`` are its fields."""
    return CloudObject(kind, id, name, whole=whole, **more)


class Lines:
    """Lines as they are on an account: no configuration elsewhere."""

    def command(self, stack: str, *arguments: str, configured: bool = False) -> str:
        return " ".join(["pulumi", *arguments, "--stack", stack])

    def own(self, *arguments: str) -> str:
        return " ".join(["python -m operations", *arguments])
