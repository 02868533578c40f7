"""How much a project may have, and how often it may ask."""

from dataclasses import dataclass, field
from typing import Final

from ..world import Clock
from .addresses import AddressPool

REQUESTS_AN_HOUR: Final = 3600
_EVERYBODYS_OCTET: Final = 10


@dataclass(frozen=True)
class Settings:
    """What a cloud is like.

    Args:
        rate_limit: Whether 3,600 requests an hour are the limit of a project.
        servers: How many servers a project may have. New projects have 10 and ask for more.
        strict_network_delete: Whether a Network with attached resources is not deleted, as users report. Hetzner's
            reference says that it detaches them.
        in_stock: Whether every type can be had; else what the price list says.
        addresses: Where public addresses come from.
    """

    rate_limit: bool = True
    servers: int = 100
    strict_network_delete: bool = True
    in_stock: bool = True
    addresses: AddressPool = field(default_factory=lambda: AddressPool(_EVERYBODYS_OCTET))


class RateLimit:
    """A bucket of 3,600 requests that fills up by one a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = float(REQUESTS_AN_HOUR)
        self._seen = clock.seconds()

    def take(self) -> bool:
        """Whether one more request may pass."""
        now = self._clock.seconds()
        self._left = min(float(REQUESTS_AN_HOUR), self._left + max(0.0, now - self._seen))
        self._seen = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def headers(self) -> dict[str, str]:
        """What every answer tells."""
        missing = REQUESTS_AN_HOUR - self._left
        full_at = self._clock.now().timestamp() + missing
        return {
            "RateLimit-Limit": str(REQUESTS_AN_HOUR),
            "RateLimit-Remaining": str(int(self._left)),
            "RateLimit-Reset": str(int(full_at)),
        }
