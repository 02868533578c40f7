"""Load balancers that forward for real: health, turns, the PROXY protocol, and what they cannot do."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from sandbox.clouds import Loopback
from sandbox.machines.balancer import Balancer
from sandbox.machines.facts import BalancerFacts, ServiceFacts, TargetFacts

TCP = {"protocol": "tcp", "port": 0, "retries": 2}


class Targets:
    """Echo servers on loopback addresses, and a load balancer before them."""

    def __init__(self, loopback: Loopback, count: int, answer: Callable[[bytes], bytes] = lambda said: said) -> None:
        self.addresses = [str(loopback.network[20 + number]) for number in range(count)]
        self.front = str(loopback.network[19])
        self.servers: dict[str, asyncio.Server] = {}
        self.seen: dict[str, list[bytes]] = {address: [] for address in self.addresses}
        self.peers: list[str] = []
        self._answer = answer
        self.port = 0

    async def start(self, address: str) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said = await reader.read()
            if said:
                self.seen[address].append(said)
                self.peers.append(writer.get_extra_info("peername")[0])
                writer.write(address.encode() + b" " + self._answer(said))
                await writer.drain()
            writer.close()

        self.servers[address] = await asyncio.start_server(serve, address, self.port)
        self.port = self.servers[address].sockets[0].getsockname()[1]

    def stop(self, address: str) -> None:
        self.servers.pop(address).close()

    def facts(self, *, check: Mapping[str, Any] = TCP, proxyprotocol: bool = False) -> BalancerFacts:
        with socket.socket() as free:
            free.bind((self.front, 0))
            self.listen = free.getsockname()[1]
        service = ServiceFacts("tcp", self.listen, self.port, proxyprotocol, {**check, "port": self.port})
        return BalancerFacts(1, self.front, (), (service,), tuple(TargetFacts(None, each) for each in self.addresses))

    async def say(self, text: bytes = b"hello") -> bytes:
        reader, writer = await asyncio.open_connection(self.front, self.listen)
        writer.write(text)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer

    async def until(self, balancer: Balancer, *states: str) -> None:
        for _ in range(400):
            if [balancer.health().get((address, self.listen)) for address in self.addresses] == list(states):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{balancer.health()}, not {states}")


def run(
    loopback: Loopback,
    test: Callable[[Targets, Balancer], Awaitable[None]],
    *,
    count: int = 2,
    answer: Callable[[bytes], bytes] = lambda said: said,
    **facts: Any,
) -> None:
    async def inside() -> None:
        targets = Targets(loopback, count, answer)
        for address in targets.addresses:
            await targets.start(address)
        made = targets.facts(**facts)
        balancer = Balancer(made, targets.front, lambda _, address: address)
        await balancer.update(made)
        try:
            await test(targets, balancer)
        finally:
            await balancer.close()
            for server in targets.servers.values():
                server.close()

    asyncio.run(inside())


def test_connections_go_to_healthy_targets_in_turn(loopback: Loopback) -> None:
    async def test(targets: Targets, balancer: Balancer) -> None:
        await targets.until(balancer, "healthy", "healthy")
        answers = [await targets.say() for _ in range(4)]
        assert sorted(answers) == sorted(f"{address} hello".encode() for address in targets.addresses * 2)
        # Targets see the load balancer, not the client.
        assert set(targets.peers) == {targets.front}

    run(loopback, test)


def test_a_target_that_is_gone_gets_nothing_and_comes_back(loopback: Loopback) -> None:
    async def test(targets: Targets, balancer: Balancer) -> None:
        await targets.until(balancer, "healthy", "healthy")
        first, second = targets.addresses
        targets.stop(first)
        # At once, before any check: the next target takes the connection.
        assert [await targets.say() for _ in range(2)] == [f"{second} hello".encode()] * 2
        await targets.until(balancer, "unhealthy", "healthy")
        await targets.start(first)
        await targets.until(balancer, "healthy", "healthy")
        assert first.encode() in b"".join([await targets.say(), await targets.say()])

    run(loopback, test)


def test_without_a_healthy_target_connections_are_closed(loopback: Loopback) -> None:
    async def test(targets: Targets, balancer: Balancer) -> None:
        targets.stop(targets.addresses[0])
        await targets.until(balancer, "unhealthy")
        assert await targets.say(b"") == b""

    run(loopback, test, count=1)


def test_a_long_answer_arrives_after_the_client_has_said_all(loopback: Loopback) -> None:
    async def test(targets: Targets, balancer: Balancer) -> None:
        await targets.until(balancer, "healthy")
        assert len(await targets.say()) > 3_000_000

    run(loopback, test, count=1, answer=lambda _: b"x" * 3_000_000)


def test_the_proxy_protocol_tells_who_connected(loopback: Loopback) -> None:
    async def test(targets: Targets, balancer: Balancer) -> None:
        await targets.until(balancer, "healthy")
        await targets.say()
        header = targets.seen[targets.addresses[0]][0]
        assert header[:12] == b"\r\n\r\n\x00\r\nQUIT\n"
        version, family, length = struct.unpack("!BBH", header[12:16])
        assert (version, family, length) == (0x21, 0x11, 12)
        source, destination, source_port, port = struct.unpack("!4s4sHH", header[16:28])
        assert (str(IPv4Address(source)), str(IPv4Address(destination))) == ("127.0.0.1", targets.front)
        assert port == targets.listen
        assert source_port > 0
        assert header[28:] == b"hello"

    run(loopback, test, count=1, proxyprotocol=True)


def test_a_port_that_is_taken_is_told_and_others_work(loopback: Loopback) -> None:
    async def inside() -> None:
        targets = Targets(loopback, 1)
        await targets.start(targets.addresses[0])
        facts = targets.facts()
        taken = await asyncio.start_server(lambda *_: None, targets.front, 0)
        port = taken.sockets[0].getsockname()[1]
        both = replace(facts, services=(*facts.services, replace(facts.services[0], listen_port=port)))
        balancer = Balancer(both, targets.front, lambda _, address: address)
        await balancer.update(both)
        try:
            assert list(balancer.problems) == [port]
            assert f"port {port} cannot be listened on" in balancer.problems[port]
            await targets.until(balancer, "healthy")
            assert await targets.say() == f"{targets.addresses[0]} hello".encode()
            await balancer.update(facts)
        finally:
            await balancer.close()
            taken.close()
            targets.stop(targets.addresses[0])

    asyncio.run(inside())


def test_targets_and_services_that_go_are_forgotten(loopback: Loopback) -> None:
    async def test(targets: Targets, balancer: Balancer) -> None:
        await targets.until(balancer, "healthy", "healthy")
        await balancer.update(replace(balancer.facts, targets=balancer.facts.targets[:1]))
        assert list(balancer.health()) == [(targets.addresses[0], targets.listen)]
        await balancer.update(replace(balancer.facts, services=()))
        assert dict(balancer.health()) == {}
        with pytest.raises(ConnectionRefusedError):
            await targets.say()

    run(loopback, test)


@pytest.mark.parametrize(
    ("status", "codes", "response", "well"),
    [
        (200, ["2??"], "", True),
        (204, ["200"], "", False),
        (302, ["2??", "3??"], "", True),
        (401, ["2??", "3??"], "", False),
        (200, ["200"], "all well", True),
        (200, ["200"], "something else", False),
    ],
)
def test_http_checks_look_at_status_and_content(
    loopback: Loopback, status: int, codes: list[str], response: str, well: bool
) -> None:
    async def inside() -> None:
        asked: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 8\r\n\r\nall well".encode())
            writer.close()

        address = str(loopback.network[18])
        server = await asyncio.start_server(serve, address, 0)
        port = server.sockets[0].getsockname()[1]
        http = {
            "path": "/readyz",
            "domain": "api.example.com",
            "status_codes": codes,
            "response": response,
            "tls": False,
        }
        service = ServiceFacts("tcp", 1, port, False, {"protocol": "http", "port": port, "retries": 1, "http": http})
        facts = BalancerFacts(1, address, (), (service,), (TargetFacts(None, address),))
        balancer = Balancer(facts, address, lambda _, there: there)
        balancer._check_targets()
        try:
            for _ in range(200):
                if balancer.health()[address, 1] != "unknown":
                    break
                await asyncio.sleep(0.02)
            assert balancer.health()[address, 1] == ("healthy" if well else "unhealthy")
            assert asked[0].startswith(b"GET /readyz HTTP/1.1\r\nHost: api.example.com\r\n")
        finally:
            await balancer.close()
            server.close()

    asyncio.run(inside())
