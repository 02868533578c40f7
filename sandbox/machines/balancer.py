"""A load balancer that really forwards: it listens on its loopback address, checks its targets, and passes TCP on."""

import asyncio
import contextlib
import fnmatch
import itertools
import ssl
import struct
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import Any, Final

import aiohttp

from .facts import BalancerFacts, ServiceFacts

_INTERVAL: Final = 0.5
"""Seconds between two checks; a real one checks every 3 to 60 seconds."""
_TIMEOUT: Final = 2.0
_CHUNK: Final = 65536
_PROXY_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"

Find = Callable[[int | None, str], str | None]


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
        self._find = find
        self._servers: dict[int, asyncio.Server] = {}
        self._health: dict[tuple[str, int], str] = {}
        self._open: set[asyncio.Task[None]] = set()
        self._checks: asyncio.Task[None] | None = None
        self._turns = itertools.count()

    def health(self) -> Mapping[tuple[str, int], str]:
        """By target address and listen port."""
        return self._health

    async def update(self, facts: BalancerFacts) -> None:
        """Serve what it is now."""
        self.facts = facts
        wanted = {service.listen_port for service in facts.services}
        for port in self._servers.keys() - wanted:
            self._servers.pop(port).close()
        for port in wanted - self._servers.keys():
            try:
                self._servers[port] = await asyncio.start_server(self._handler(port), self.address, port)
                self.problems.pop(port, None)
            except OSError as error:
                self.problems[port] = f"port {port} cannot be listened on: {error.strerror}"
        known = {(target.address, service.listen_port) for target in facts.targets for service in facts.services}
        self._health = {key: state for key, state in self._health.items() if key in known}
        if self._checks is None:
            self._checks = asyncio.create_task(self._check_for_ever())

    async def close(self) -> None:
        """Stop."""
        if self._checks is not None:
            self._checks.cancel()
        for server in self._servers.values():
            server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, *([self._checks] if self._checks else []), return_exceptions=True)

    # -- health

    async def _check_for_ever(self) -> None:
        while True:
            pairs = [
                (target.address, service)
                for service in self.facts.services
                for target in self.facts.targets
                if target.address is not None
            ]
            results = await asyncio.gather(*(self._check(address, service) for address, service in pairs))
            for (address, service), healthy in zip(pairs, results, strict=True):
                self._health[(address, service.listen_port)] = "healthy" if healthy else "unhealthy"
            await asyncio.sleep(_INTERVAL)

    async def _check(self, address: str, service: ServiceFacts) -> bool:
        where = self._find(self.facts.network_id, address)
        check = service.health_check
        if where is None:
            return False
        port = int(check.get("port") or service.destination_port)
        if check.get("protocol", "tcp") == "tcp":
            return await _answers(where, port)
        return await _answers_http(where, port, check)

    # -- forwarding

    def _handler(self, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
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
        service = next((each for each in self.facts.services if each.listen_port == port), None)
        if service is None:
            return
        healthy = [
            target.address
            for target in self.facts.targets
            if target.address is not None and self._health.get((target.address, port)) == "healthy"
        ]
        first = next(self._turns)
        for offset in range(len(healthy)):
            where = self._find(self.facts.network_id, healthy[(first + offset) % len(healthy)])
            if where is None:
                continue
            try:
                async with asyncio.timeout(_TIMEOUT):
                    there = await asyncio.open_connection(where, service.destination_port)
            except (OSError, TimeoutError):
                continue
            if service.proxyprotocol:
                there[1].write(_proxy_header(writer))
            await both_ways((reader, writer), there)
            there[1].close()
            return


def _proxy_header(writer: asyncio.StreamWriter) -> bytes:
    """The PROXY protocol's header, version 2, for a connection that came in."""
    source, destination = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
    addresses = IPv4Address(source[0]).packed + IPv4Address(destination[0]).packed
    body = addresses + struct.pack("!HH", source[1], destination[1])
    return _PROXY_SIGNATURE + struct.pack("!BBH", 0x21, 0x11, len(body)) + body


async def both_ways(
    here: tuple[asyncio.StreamReader, asyncio.StreamWriter], there: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Copy between two connections until both directions are done, or one breaks."""
    copies = [asyncio.create_task(_copy(here[0], there[1])), asyncio.create_task(_copy(there[0], here[1]))]
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(_CHUNK):
            sink.write(chunk)
            await sink.drain()


async def _answers(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _answers_http(address: str, port: int, check: Mapping[str, Any]) -> bool:
    http: Mapping[str, Any] = check.get("http") or {}
    scheme = "https" if http.get("tls") or check.get("protocol") == "https" else "http"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # Hetzner does not verify what it checks
    headers = {"Host": str(http["domain"])} if http.get("domain") else {}
    url = f"{scheme}://{address}:{port}{http.get('path') or '/'}"
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            async with session.get(url, ssl=context, headers=headers, allow_redirects=False) as answer:
                codes = http.get("status_codes") or ["2??", "3??"]
                fits = any(fnmatch.fnmatch(str(answer.status), str(code)) for code in codes)
                wanted = str(http.get("response") or "")
                return fits and (not wanted or wanted in await answer.text())
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
