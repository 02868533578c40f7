"""A part of 127.0.0.0/8 for one sandbox: two on one machine never hand out the same addresses."""

import fcntl
import os
import tempfile
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

_OCTETS: Final = range(11, 250)
"""127.0.0.0/16 belongs to everybody, and some tools like 127.1.1.1; the last ones stay free."""

API_FRONTS: Final = 255
"""Third octet of the addresses where regions' APIs are reached."""


class LoopbackError(Exception):
    """No part of the loopback network is free."""


class Loopback:
    """Holds 127.N.0.0/16 until it is released, or its process ends.

    Raises:
        LoopbackError: all are taken.
    """

    def __init__(self) -> None:
        for octet in _OCTETS:
            descriptor = os.open(_lock_file(octet), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            self.octet = octet
            self._descriptor = descriptor
            return
        raise LoopbackError(f"{len(_OCTETS)} sandboxes run on this machine: take one down (make down)")

    @property
    def network(self) -> IPv4Network:
        """All addresses of this sandbox."""
        return IPv4Network(f"127.{self.octet}.0.0/16")

    def front(self, index: int) -> IPv4Address:
        """Where the API of the region with this index is reached, whichever of its servers live."""
        return self.network[API_FRONTS * 256 + index]

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)


def _lock_file(octet: int) -> Path:
    return Path(tempfile.gettempdir()) / f"hetzner-platform-127.{octet}.{os.getuid()}.lock"
