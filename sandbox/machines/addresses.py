"""Private addresses cannot be routed on one machine: each stands for a loopback address."""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

_API_FRONTS: Final = 255
"""Third octet that belongs to the regions' API fronts."""


class Addresses:
    """(Network, private address) to loopback address, and loopback addresses for those who have no public one.

    What runs on machines reads it as files: ``<directory>/<network>/<private address>`` holds the loopback address.

    Args:
        octet: N of 127.N.0.0/16; addresses are taken from its upper half, the lower one is the cloud's.
        directory: Made when needed.
    """

    def __init__(self, octet: int, directory: Path) -> None:
        self._hosts = IPv4Network(f"127.{octet}.128.0/17")
        self._directory = directory
        self._next = 1
        self._allocated: set[str] = set()
        self._loopback: dict[tuple[int, str], str] = {}

    def allocate(self) -> str:
        """A loopback address for somebody without a public one, until `release`.

        Raises:
            RuntimeError: all are taken.
        """
        for _ in range(self._hosts.num_addresses - 2):
            address = self._hosts[self._next]
            self._next = self._next % (self._hosts.num_addresses - 2) + 1
            third, fourth = address.packed[2:]
            if third != _API_FRONTS and fourth not in (0, 255) and str(address) not in self._allocated:
                self._allocated.add(str(address))
                return str(address)
        raise RuntimeError(f"all addresses of {self._hosts} are taken")

    def release(self, loopback: str) -> None:
        """Its owner is gone: nothing leads there, and another may have it."""
        self.forget(loopback)
        self._allocated.discard(loopback)

    def set(self, network: int, ip: str, loopback: str) -> None:
        """A private address leads to a loopback address from now on."""
        self._loopback[network, ip] = loopback
        file = self._file(network, ip)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # At once, for somebody may be reading it.
        draft = file.with_name(f"{ip}.new")
        draft.write_text(f"{loopback}\n")
        draft.replace(file)

    def forget(self, loopback: str) -> None:
        """No private address leads there any more."""
        for network, ip in [place for place, there in self._loopback.items() if there == loopback]:
            del self._loopback[network, ip]
            self._file(network, ip).unlink(missing_ok=True)

    def find(self, network: int | None, ip: str) -> str | None:
        """The loopback address behind an address; public ones are loopback addresses themselves."""
        if ip.startswith("127."):
            return ip
        return self._loopback.get((network, ip)) if network is not None else None

    def of(self, network: int) -> Path:
        """The directory of a Network's addresses."""
        return self._directory / str(network)

    def all(self) -> dict[tuple[int, str], str]:
        """The whole map."""
        return dict(self._loopback)

    def _file(self, network: int, ip: str) -> Path:
        return self.of(network) / ip
