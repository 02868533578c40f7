"""Ports for real programs that tests start."""

import contextlib
import socket


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """As many ports at which nobody listens; they differ."""
    with contextlib.ExitStack() as held:
        found = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind((host, 0))
        return [int(each.getsockname()[1]) for each in found]
