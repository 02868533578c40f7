"""etcd: a member on a machine, and the membership of its cluster, through etcd's own JSON gateway."""

import asyncio
import base64
import ssl
from pathlib import Path
from typing import Any, Final

import aiohttp

from .certificates import Authority
from .configuration import STATE
from .processes import Process

_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
_TRIES: Final = 300
_PAUSE: Final = 0.1


class EtcdError(Exception):
    """etcd refused, or does not answer."""


class Member:
    """An etcd member on a machine's loopback address: clients on 2379, peers on 2380, TLS on both.

    Args:
        binary: Of etcd.
        disk: Of the machine.
        address: Its loopback address.
        name: Of the member.
    """

    def __init__(self, binary: Path, disk: Path, address: str, name: str) -> None:
        self.name, self.address = name, address
        self._binary, self._disk = binary, disk
        self._tls = disk / STATE / "tls/etcd"
        self.data = disk / STATE / "db/etcd"
        self.process: Process | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def peer_url(self) -> str:
        """Where other members reach it."""
        return f"https://{self.address}:2380"

    def certify(self) -> None:
        """Certificates by the cluster's etcd CAs."""
        server = Authority(self._tls / "server-ca.crt", self._tls / "server-ca.key")
        peer = Authority(self._tls / "peer-ca.crt", self._tls / "peer-ca.key")
        names = [self.address, "127.0.0.1", "localhost", self.name]
        server.issue(self._tls / "server-client.crt", self._tls / "server-client.key", "etcd-server", names=names)
        server.issue(self._tls / "client.crt", self._tls / "client.key", "etcd-client")
        peer.issue(self._tls / "peer-server-client.crt", self._tls / "peer-server-client.key", "etcd-peer", names=names)

    async def start(self, log: Path, initial: str = "", state: str = "new") -> None:
        """Start it; ``initial`` names the members of a cluster that it is new in."""
        client = f"https://{self.address}:2379"
        command = [
            *(str(self._binary), "--name", self.name, "--data-dir", str(self.data)),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url),
            *("--client-cert-auth", "--trusted-ca-file", str(self._tls / "server-ca.crt")),
            *("--cert-file", str(self._tls / "server-client.crt"), "--key-file", str(self._tls / "server-client.key")),
            *("--peer-client-cert-auth", "--peer-trusted-ca-file", str(self._tls / "peer-ca.crt")),
            *("--peer-cert-file", str(self._tls / "peer-server-client.crt")),
            *("--peer-key-file", str(self._tls / "peer-server-client.key")),
            # The disk of this one machine carries all members: waiting for it proves nothing.
            *("--unsafe-no-fsync", "--log-level", "warn", "--snapshot-count", "10000"),
        ]
        if initial:
            command += ["--initial-cluster", initial, "--initial-cluster-state", state]
        self.process = await Process.start("etcd", command, log)

    async def close(self, *, at_once: bool = False) -> None:
        """Stop it."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self.process is not None:
            await self.process.stop(at_once=at_once)

    async def members(self) -> list[dict[str, Any]]:
        """All members as etcd lists them, linearizable.

        Raises:
            EtcdError: it does not answer.
        """
        return (await self._ask("/v3/cluster/member/list", {"linearizable": True})).get("members", [])

    async def add_learner(self, peer_url: str) -> list[dict[str, Any]]:
        """Add a learner; returns all members.

        Raises:
            EtcdError: there is one already, or no quorum.
        """
        answer = await self._ask("/v3/cluster/member/add", {"peerURLs": [peer_url], "isLearner": True})
        return answer["members"]

    async def promote(self, id: str) -> None:
        """Make a learner a voter, as soon as it has caught up.

        Raises:
            EtcdError: it never does.
        """
        said = ""
        for _ in range(_TRIES):
            try:
                await self._ask("/v3/cluster/member/promote", {"ID": id})
                return
            except EtcdError as error:
                said = str(error)
                await asyncio.sleep(_PAUSE)
        raise EtcdError(f"the learner {id} was not promoted: {said}")

    async def remove(self, id: str) -> None:
        """Take a member out.

        Raises:
            EtcdError: there is none, or no quorum.
        """
        await self._ask("/v3/cluster/member/remove", {"ID": id})

    async def healthy(self) -> bool:
        """Whether it answers a linearizable read."""
        try:
            key = base64.b64encode(b"health").decode()
            await self._ask("/v3/kv/range", {"key": key})
        except EtcdError:
            return False
        return True

    async def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self._session is None:
            context = ssl.create_default_context(cafile=str(self._tls / "server-ca.crt"))
            context.load_cert_chain(self._tls / "client.crt", self._tls / "client.key")
            connector = aiohttp.TCPConnector(ssl=context)
            self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        try:
            async with self._session.post(f"https://{self.address}:2379{path}", json=body) as answer:
                content: dict[str, Any] = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EtcdError(f"etcd at {self.address} does not answer ({type(error).__name__})") from error
        if answer.status != 200:
            raise EtcdError(str(content.get("message") or content))
        return content
