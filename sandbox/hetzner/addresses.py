"""The public addresses that the cloud hands out."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

_IPV6: Final = IPv6Network("2001:db8::/32")


class AddressPool:
    """IPv4 from 127.N.0.0/17, so that what runs on a server can listen there; IPv6 networks (/64) for documentation.

    Args:
        octet: N.
    """

    def __init__(self, octet: int) -> None:
        self.network = IPv4Network(f"127.{octet}.0.0/17")
        self._next_ipv4 = 1
        self._next_ipv6 = 1

    def ipv4(self, taken: Callable[[str], bool]) -> str | None:
        """The next free address, ascending; None when all are taken."""
        for _ in range(self.network.num_addresses - 2):
            address = self.network[self._next_ipv4]
            self._next_ipv4 = self._next_ipv4 % (self.network.num_addresses - 2) + 1
            # Some software takes .0 and .255 for something special.
            if int(address) % 256 not in (0, 255) and not taken(str(address)):
                return str(address)
        return None

    def ipv6(self) -> str:
        """The next network, without its length: ``2001:db8:0:1::``."""
        address = IPv6Address(int(_IPV6.network_address) + (self._next_ipv6 << 64))
        self._next_ipv6 += 1
        return str(address)

    def dump(self) -> list[int]:
        """Where it stands."""
        return [self._next_ipv4, self._next_ipv6]

    def load(self, content: list[int]) -> None:
        """Go on from there."""
        self._next_ipv4, self._next_ipv6 = content


def is_loopback(address: str) -> bool:
    """Whether something can listen there."""
    return IPv4Address(address).is_loopback
