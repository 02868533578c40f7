"""Private addresses cannot be routed on one machine: each stands for a loopback address."""

from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from .facts import Attachment

_API_FRONTS: Final = 255
"""Third octet that belongs to the regions' API fronts."""


class AddressMap:
    """(Network, private address) to loopback address, and loopback addresses for those who have no public one.

    What runs on machines reads it as files: ``<directory>/<network>/<private address>`` holds the loopback address.

    Args:
        directory: Made when needed.
        octet: N of 127.N.0.0/16; addresses are taken from its upper half, the lower one is the cloud's.
    """

    def __init__(self, directory: Path, octet: int) -> None:
        self.directory = directory
        self._hosts = IPv4Network(f"127.{octet}.128.0/17")
        self._next = 1
        self._own: dict[str, str] = {}
        self._places: dict[str, tuple[tuple[int, str], ...]] = {}
        self._loopback: dict[tuple[int, str], str] = {}

    def own(self, owner: str) -> str:
        """The loopback address of an owner without a public one; the same as long as it lives."""
        if owner not in self._own:
            self._own[owner] = self._take()
        return self._own[owner]

    def put(self, owner: str, loopback: str, attachments: Iterable[Attachment]) -> None:
        """Where an owner's private addresses lead; what it had before is forgotten."""
        self._withdraw(owner)
        places = tuple((each.network_id, each.ip) for each in attachments)
        self._places[owner] = places
        for network, ip in places:
            self._loopback[network, ip] = loopback
            file = self.directory / str(network) / ip
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # At once, for somebody may be reading it.
            draft = file.with_suffix(".new")
            draft.write_text(f"{loopback}\n")
            draft.replace(file)

    def remove(self, owner: str) -> None:
        """An owner is gone."""
        self._withdraw(owner)
        self._own.pop(owner, None)

    def find(self, network: int, ip: str) -> str | None:
        """The loopback address behind a private one."""
        return self._loopback.get((network, ip))

    def all(self) -> dict[tuple[int, str], str]:
        """The whole map."""
        return dict(self._loopback)

    def _withdraw(self, owner: str) -> None:
        for network, ip in self._places.pop(owner, ()):
            self._loopback.pop((network, ip), None)
            (self.directory / str(network) / ip).unlink(missing_ok=True)

    def _take(self) -> str:
        taken = set(self._own.values())
        for _ in range(self._hosts.num_addresses - 2):
            address = self._hosts[self._next]
            self._next = self._next % (self._hosts.num_addresses - 2) + 1
            third, fourth = address.packed[2:]
            if third != _API_FRONTS and fourth not in (0, 255) and str(address) not in taken:
                return str(address)
        raise RuntimeError(f"all addresses of {self._hosts} are taken")
