"""What an engine does with the hcloud provider, without the engine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from hcloud import Client

from sandbox.clouds import ThreadedClouds
from sandbox.plugins.package import Change, Package, PartiallyCreated, Target

Properties = dict[str, Any]


@dataclass
class Resource:
    """A resource in a state."""

    target: Target
    id: str
    inputs: Properties
    outputs: Properties

    @property
    def number(self) -> int:
        return int(self.id)


@dataclass
class Stack:
    """A provider and its clouds."""

    package: Package
    clouds: ThreadedClouds
    client: Client
    made: list[Resource] = field(default_factory=list)

    def check(self, kind: str, **inputs: Any) -> list[str]:
        """What the provider says of inputs before anything is asked."""
        return [str(failure) for failure in self.package.check(target(kind), inputs).failures]

    def create(self, kind: str, **inputs: Any) -> Resource:
        checked = self.package.check(target(kind), inputs)
        assert checked.failures == []
        made = self.package.create(target(kind), checked.inputs, preview=False)
        resource = Resource(target(kind), made.id, checked.inputs, made.outputs)
        self.made.append(resource)
        return resource

    def create_partially(self, kind: str, **inputs: Any) -> tuple[Resource, str]:
        """A create that fails when the resource is there already, and why it failed."""
        checked = self.package.check(target(kind), inputs)
        with pytest.raises(PartiallyCreated) as failed:
            self.package.create(target(kind), checked.inputs, preview=False)
        partial = failed.value
        assert partial.inputs == checked.inputs
        return Resource(target(kind), partial.id, checked.inputs, partial.outputs), str(partial)

    def refresh(self, resource: Resource) -> bool:
        """Whether it is there still; the state is what the cloud tells from now on."""
        read = self.package.read(resource.target, resource.id, resource.inputs, resource.outputs)
        if read is None:
            return False
        assert read.id in (None, resource.id)
        resource.inputs, resource.outputs = read.inputs, read.outputs
        return True

    def diff(self, resource: Resource, inputs: Properties) -> Change:
        checked = self.package.check(resource.target, inputs, resource.inputs).inputs
        return self.package.diff(resource.target, resource.inputs, checked, resource.outputs)

    def update(self, resource: Resource, inputs: Properties) -> Change:
        """As ``up``, where nothing is to be replaced."""
        change = self.diff(resource, inputs)
        assert change.replaces == ()
        checked = self.package.check(resource.target, inputs, resource.inputs).inputs
        resource.outputs = self.package.update(
            resource.target, resource.id, resource.inputs, checked, resource.outputs, preview=False
        )
        resource.inputs = checked
        return change

    def delete(self, resource: Resource) -> None:
        self.package.delete(resource.target, resource.id, resource.outputs)

    def imported(self, kind: str, id: str) -> Resource:
        read = self.package.read(target(kind), id, {}, {})
        assert read is not None
        return Resource(target(kind), read.id or id, read.inputs, read.outputs)

    # -- the clouds

    def asked(self, work: Callable[[], Any] | None = None) -> list[str]:
        """Requests, such as ``POST /servers/{id}/actions/poweron``: while something is done, or since the last time."""
        log = self.clouds.clouds.world.requests
        if work is not None:
            self.clouds.call(log.clear)
            work()
        found = [f"{each.method} {each.route.removeprefix('/v1')}" for each in log.entries("hetzner")]
        self.clouds.call(log.clear)
        return found

    def fault(self, **rule: Any) -> None:
        self.clouds.call(lambda: self.clouds.clouds.world.faults.add(cloud="hetzner", **rule))

    def heal(self) -> None:
        self.clouds.call(self.clouds.clouds.world.faults.clear)

    # -- what many tests need

    def network(self, **inputs: Any) -> tuple[Resource, Resource]:
        """A Network with a subnet."""
        network = self.create("Network", name="net", ipRange="10.0.0.0/8", **inputs)
        subnet = self.create(
            "NetworkSubnet",
            networkId=network.number,
            type="cloud",
            networkZone="eu-central",
            ipRange="10.0.1.0/24",
        )
        return network, subnet

    def server(self, name: str = "web", **inputs: Any) -> Resource:
        return self.create("Server", **{"name": name, "serverType": "cx33", "image": "debian-13"} | LOCATION | inputs)


LOCATION = {"location": "fsn1"}


def target(kind: str) -> Target:
    return Target(f"hcloud:index/{kind[0].lower()}{kind[1:]}:{kind}", "it")


def public_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


@pytest.fixture
def stack(provider: Callable[[str], Package], clouds: ThreadedClouds, hetzner: Client) -> Any:
    made = Stack(provider("hcloud"), clouds, hetzner)
    clouds.call(clouds.clouds.world.requests.clear)
    yield made
    made.heal()
