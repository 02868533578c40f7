"""Arguments that several components of a cluster share."""

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import NotRequired, TypedDict

import pulumi

from . import cloud_init
from .machines import Machine


class MachineArgs(TypedDict):
    number: int
    """Suffix of its name and host part of its address, 1 to 254."""
    type: str
    """Hetzner server type."""
    generation: NotRequired[int]
    """1 unless told; a higher number replaces this machine, and it alone."""
    unprotected: NotRequired[bool]
    """Lifts the protection of this machine, so that its generation may be raised next."""
    drained: NotRequired[bool]
    """Takes the node out of service: closed for new pods, its pods evicted."""


class ReleaseArgs(TypedDict):
    version: str
    """k3s version, such as ``v1.36.4+k3s1``."""
    sha256_amd64: str
    """SHA-256 of its binary for amd64."""
    sha256_arm64: str
    """SHA-256 of its binary for arm64."""


class JoinArgs(TypedDict):
    """How agents join a cluster: outputs of a ``K3sCluster``."""

    cluster: str
    """The cluster's name."""
    index: int
    """The region's index in the address plan."""
    release: ReleaseArgs
    """The k3s release."""
    api_address: str
    """Address of the API load balancer in the DMZ."""
    root_certificate: pulumi.Input[str]
    """The cluster's root CA, PEM."""
    agent_token: pulumi.Input[str]
    """Join token of agents. Secret."""


class NodeArgs(TypedDict):
    labels: NotRequired[dict[str, str]]
    """Node labels, beside ``hetzner-platform/pool``."""
    taints: NotRequired[list[str]]
    """Node taints, ``key=value:Effect``."""


def machines(pool: str, args: Sequence[MachineArgs]) -> list[Machine]:
    """The machines of a pool, in the order of their numbers."""
    return sorted(
        (
            Machine(
                pool,
                machine["number"],
                machine["type"],
                machine.get("generation", 1),
                machine.get("unprotected", False),
                machine.get("drained", False),
            )
            for machine in args
        ),
        key=lambda machine: machine.number,
    )


def release(args: ReleaseArgs) -> cloud_init.Release:
    """The release as the builder of cloud-init takes it."""
    return cloud_init.Release(args["version"], args["sha256_amd64"], args["sha256_arm64"])


def api_address(join: JoinArgs) -> IPv4Address:
    """The API load balancer's address."""
    return IPv4Address(join["api_address"])
