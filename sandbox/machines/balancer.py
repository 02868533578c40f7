"""A load balancer that really forwards: it listens on its loopback address, checks its targets, and passes TCP on."""

import asyncio
import contextlib
import itertools
import struct
from collections.abc import Callable, Coroutine, Mapping
from ipaddress import IPv4Address
from typing import Any, Final

from .checks import passes
from .facts import BalancerFacts, ServiceFacts

_INTERVAL: Final = 0.5
"""Seconds between two checks; a real one checks every 3 to 60 seconds."""
_CONNECT_SECONDS: Final = 2.0
_CHUNK: Final = 65536
_PROXY_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"

Find = Callable[[int | None, str], str | None]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Balancer:
    """One load balancer.

    Args:
        facts: What it is.
        address: Its loopback address.
        find: Loopback address of a target's address in a Network.
    """

    def __init__(self, facts: BalancerFacts, address: str, find: Find) -> None:
        self.facts, self.address = facts, address
        self.problems: dict[int, str] = {}
        """Ports that cannot be listened on, and why."""
        self._find = find
        self._servers: dict[int, asyncio.Server] = {}
        self._health: dict[tuple[str, int], str] = {}
        self._checks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._open: set[asyncio.Task[None]] = set()
        self._turns = itertools.count()

    def health(self) -> Mapping[tuple[str, int], str]:
        """By target address and listen port."""
        return self._health

    async def update(self, facts: BalancerFacts) -> None:
        """Serve what it is now; ports that cannot be had are told in `problems`."""
        self.facts = facts
        wanted = {service.listen_port for service in facts.services}
        for port in self._servers.keys() - wanted:
            self._servers.pop(port).close()
        for port in sorted(wanted - self._servers.keys()):
            try:
                self._servers[port] = await asyncio.start_server(self._handler(port), self.address, port)
                self.problems.pop(port, None)
            except OSError as error:
                self.problems[port] = f"port {port} cannot be listened on: {error.strerror or error}"
        self._check_targets()

    async def close(self) -> None:
        """Stop, with the connections that are open."""
        for server in self._servers.values():
            server.close()
        tasks = [*self._open, *self._checks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- health

    def _check_targets(self) -> None:
        """A check goes on for each target and service that there is."""
        known = {
            (target.address, service.listen_port)
            for target in self.facts.targets
            for service in self.facts.services
            if target.address is not None
        }
        for gone in self._checks.keys() - known:
            self._checks.pop(gone).cancel()
            self._health.pop(gone, None)
        for new in known - self._checks.keys():
            self._health[new] = "unknown"
            self._checks[new] = asyncio.create_task(self._check(*new))

    async def _check(self, address: str, port: int) -> None:
        """One success makes a target healthy; so many failures in a row as the service says make it unhealthy."""
        failures = 0
        while (service := self._service(port)) is not None:
            where = self._find(self.facts.network_id, address)
            well = where is not None and await passes(where, service.destination_port, service.health_check)
            failures = 0 if well else failures + 1
            if well:
                self._health[address, port] = "healthy"
            elif failures >= int(service.health_check.get("retries", 3)) or self._health[address, port] == "unknown":
                self._health[address, port] = "unhealthy"
            await asyncio.sleep(_INTERVAL)

    # -- forwarding

    def _service(self, port: int) -> ServiceFacts | None:
        return next((each for each in self.facts.services if each.listen_port == port), None)

    def _handler(self, port: int) -> Callable[..., Coroutine[Any, Any, None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._forward(port, reader, writer)
            writer.close()

        return serve

    async def _forward(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """To the healthy target whose turn it is, or the next one that takes the connection."""
        service = self._service(port)
        if service is None:
            return
        healthy = [
            target.address
            for target in self.facts.targets
            if target.address is not None and self._health.get((target.address, port)) == "healthy"
        ]
        first = next(self._turns)
        for offset in range(len(healthy)):
            there = await self._connect(healthy[(first + offset) % len(healthy)], service.destination_port)
            if there is not None:
                try:
                    if service.proxyprotocol:
                        there[1].write(proxy_header(writer))
                    await both_ways((reader, writer), there)
                finally:
                    there[1].close()
                return

    async def _connect(self, address: str, port: int) -> Stream | None:
        where = self._find(self.facts.network_id, address)
        if where is None:
            return None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                # Targets see the load balancer's address, not that of whoever connects to it.
                return await asyncio.open_connection(where, port, local_addr=(self.address, 0))
        except (OSError, TimeoutError):
            return None


def proxy_header(writer: asyncio.StreamWriter) -> bytes:
    """The PROXY protocol's header, version 2 (TCP over IPv4), for a connection that came in."""
    source, destination = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
    addresses = IPv4Address(source[0]).packed + IPv4Address(destination[0]).packed
    body = addresses + struct.pack("!HH", source[1], destination[1])
    return _PROXY_SIGNATURE + struct.pack("!BBH", 0x21, 0x11, len(body)) + body


async def both_ways(here: Stream, there: Stream) -> None:
    """Copy between two connections until both directions have ended; when one breaks, the other ends too."""
    copies = [asyncio.create_task(_copy(here[0], there[1])), asyncio.create_task(_copy(there[0], here[1]))]
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the source ends, and tell the sink."""
    while chunk := await source.read(_CHUNK):
        sink.write(chunk)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
