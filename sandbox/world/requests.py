"""What clients asked of a cloud."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

_KEPT: Final = 10_000


@dataclass(frozen=True)
class Request:
    """An answered request; ``status`` is 0 when the connection was closed instead."""

    cloud: str
    method: str
    path: str
    query: str
    status: int
    at: float
    """Virtual seconds."""
    route: str
    """The path with its numbers left out: ``/v1/servers/{id}``."""


class RequestLog:
    """The newest 10,000 requests, and counts of all of them."""

    def __init__(self) -> None:
        self._entries: deque[Request] = deque(maxlen=_KEPT)
        self.counts: Counter[tuple[str, str, str, int]] = Counter()

    def add(self, request: Request) -> None:
        """Note a request."""
        self._entries.append(request)
        self.counts[(request.cloud, request.method, request.route, request.status)] += 1

    def entries(self, cloud: str | None = None, method: str | None = None) -> list[Request]:
        """Oldest first; of one cloud or method when told."""
        return [one for one in self._entries if cloud in (None, one.cloud) and method in (None, one.method)]

    @property
    def total(self) -> int:
        """How many there were since the start or the last `clear`."""
        return sum(self.counts.values())

    def writes(self) -> int:
        """How many changed something, or tried to."""
        return sum(count for (_, method, _, _), count in self.counts.items() if method not in ("GET", "HEAD"))

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.counts.clear()
