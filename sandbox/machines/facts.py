"""What a cloud tells the machines: which servers run, where they are attached, and what load balancers forward."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol


@dataclass(frozen=True)
class Attachment:
    """A place in a Network: its id, the private address there, and the interface's MAC address."""

    network_id: int
    ip: str
    mac: str = ""


@dataclass(frozen=True)
class Size:
    """What a machine has.

    Args:
        cores: As the kernel counts them.
        memory_gb: GiB.
        disk_gb: GB.
    """

    cores: int = 4
    memory_gb: float = 8
    disk_gb: int = 80


DEDICATED: Final = Size(20, 64, 1900)
"""A GEX44's, the smallest dedicated machine with a GPU: nobody tells the sandbox which model was rented."""


@dataclass(frozen=True)
class ServerFacts:
    """A server as its hypervisor knows it."""

    id: int
    name: str
    user_data: str = field(default="", repr=False)
    public_ipv4: str | None = None
    attachments: tuple[Attachment, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    location: str = ""
    server_type: str = ""
    size: Size = Size()


@dataclass(frozen=True)
class ServiceFacts:
    """A port that a load balancer serves. ``health_check`` is as the cloud's API spells it, seconds in its times."""

    protocol: str
    listen_port: int
    destination_port: int
    proxyprotocol: bool
    health_check: Mapping[str, Any]


@dataclass(frozen=True)
class TargetFacts:
    """A target that is resolved: the server, None for a bare address, and the address that traffic goes to."""

    server_id: int | None
    address: str | None


@dataclass(frozen=True)
class BalancerFacts:
    """A load balancer as its own machine knows it."""

    id: int
    public_ipv4: str | None
    attachments: tuple[Attachment, ...]
    services: tuple[ServiceFacts, ...]
    targets: tuple[TargetFacts, ...]

    @property
    def network_id(self) -> int | None:
        """The Network that private targets are in."""
        return self.attachments[0].network_id if self.attachments else None


class Machines(Protocol):
    """What runs on servers and load balancers. Every method only schedules work: none waits, none fails."""

    def power_on(self, server: ServerFacts) -> None:
        """The server starts; the first time it boots what its user_data says."""
        ...

    def power_off(self, server_id: int) -> None:
        """The server stops; its disk stays."""
        ...

    def changed(self, server: ServerFacts) -> None:
        """The server was attached, detached, renamed or labelled."""
        ...

    def wipe(self, server: ServerFacts) -> None:
        """The server was rebuilt: its disk is empty, and it boots for the first time again."""
        ...

    def delete(self, server_id: int) -> None:
        """The server is gone, with its disk."""
        ...

    def balance(self, balancer: BalancerFacts) -> None:
        """A load balancer was made or changed."""
        ...

    def unbalance(self, balancer_id: int) -> None:
        """A load balancer is gone."""
        ...

    def health(self, balancer_id: int) -> Mapping[tuple[str, int], str]:
        """``healthy``, ``unhealthy`` or ``unknown`` by target address and listen port."""
        ...

    def console(self, server_id: int) -> str:
        """What the server wrote to its console."""
        ...
