"""etcd: a member on a machine, and the membership of its cluster, through etcd's own JSON gateway."""

import ssl
from pathlib import Path
from typing import Any, Final

import aiohttp

from .certificates import CLIENT, SERVER, Authority
from .configuration import STATE
from .processes import Process

_SECONDS: Final = 5.0


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
        self._binary = binary
        self._tls = disk / STATE / "tls/etcd"
        self._data = data_directory(disk)
        self.process: Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._stopped = False

    @property
    def peer_url(self) -> str:
        """Where other members reach it."""
        return f"https://{self.address}:2380"

    def certify(self, names: list[str]) -> None:
        """Certificates by the cluster's etcd CAs, those that are missing made."""
        server = Authority.found_or_made(self._tls / "server-ca", "etcd-server-ca")
        peer = Authority.found_or_made(self._tls / "peer-ca", "etcd-peer-ca")
        both = (SERVER, CLIENT)
        server.issue(self._tls / "server-client", "etcd-server", usages=both, names=names)
        server.issue(self._tls / "client", "etcd-client")
        peer.issue(self._tls / "peer-server-client", "etcd-peer", usages=both, names=names)

    async def start(self, log: Path, initial: str = "", state: str = "new", *, metrics: bool = False) -> None:
        """Start it; ``initial`` names the members of a cluster that it is new in."""
        self._stopped = False
        client = f"https://{self.address}:2379"
        tls = self._tls
        arguments = {
            "name": self.name,
            "data-dir": self._data,
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": self.peer_url,
            "initial-advertise-peer-urls": self.peer_url,
            "client-cert-auth": "true",
            "trusted-ca-file": tls / "server-ca.crt",
            "cert-file": tls / "server-client.crt",
            "key-file": tls / "server-client.key",
            "peer-client-cert-auth": "true",
            "peer-trusted-ca-file": tls / "peer-ca.crt",
            "peer-cert-file": tls / "peer-server-client.crt",
            "peer-key-file": tls / "peer-server-client.key",
            # k3s's are twice as long; still patient enough for a computer that carries six of them.
            "heartbeat-interval": "250",
            "election-timeout": "2500",
            "snapshot-count": "10000",
            # The disk of this one computer carries all members: waiting for it proves nothing.
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }
        if metrics:
            arguments["listen-metrics-urls"] = f"http://{self.address}:2381"
        if initial:
            arguments |= {"initial-cluster": initial, "initial-cluster-state": state}
        command = [str(self._binary), *(f"--{key}={value}" for key, value in arguments.items())]
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.process = await Process.start(command, log)

    async def stop(self) -> None:
        """End it at once: its data survive that."""
        self._stopped = True
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self.process is not None:
            await self.process.stop(at_once=True)

    async def members(self) -> list[dict[str, Any]]:
        """All members, as a majority knows them: ``ID``, ``name`` (none before its first start), ``peerURLs``,
        ``isLearner``.

        Raises:
            EtcdError: it does not answer, is a learner itself, or there is no majority.
        """
        return (await self._ask("/v3/cluster/member/list", {"linearizable": True})).get("members", [])

    async def add_learner(self, peer_url: str) -> list[dict[str, Any]]:
        """Add a learner; returns all members.

        Raises:
            EtcdError: there is one already, or no majority.
        """
        return (await self._ask("/v3/cluster/member/add", {"peerURLs": [peer_url], "isLearner": True}))["members"]

    async def promote(self, id: str) -> None:
        """Make a learner a voter.

        Raises:
            EtcdError: it has not caught up yet.
        """
        await self._ask("/v3/cluster/member/promote", {"ID": id})

    async def remove(self, id: str) -> None:
        """Take a member out.

        Raises:
            EtcdError: there is none, or no majority.
        """
        await self._ask("/v3/cluster/member/remove", {"ID": id})

    async def answers(self, seconds: float = 2.0) -> bool:
        """Whether the member itself serves clients, be it as a learner."""
        try:
            await self._ask("/v3/maintenance/status", {}, seconds)
        except EtcdError:
            return False
        return True

    async def _ask(self, path: str, body: dict[str, Any], seconds: float = _SECONDS) -> dict[str, Any]:
        if self._stopped:
            # Others of the cluster may still ask; nobody would close what they open.
            raise EtcdError(f"etcd at {self.address} was stopped")
        if self._session is None:
            context = ssl.create_default_context(cafile=str(self._tls / "server-ca.crt"))
            context.load_cert_chain(self._tls / "client.crt", self._tls / "client.key")
            connector = aiohttp.TCPConnector(ssl=context)
            self._session = aiohttp.ClientSession(connector=connector)
        try:
            timeout = aiohttp.ClientTimeout(total=seconds)
            url = f"https://{self.address}:2379{path}"
            async with self._session.post(url, json=body, timeout=timeout) as answer:
                content: dict[str, Any] = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise EtcdError(f"etcd at {self.address} does not answer ({type(error).__name__})") from error
        if answer.status != 200:
            raise EtcdError(str(content.get("message") or content))
        return content


def data_directory(disk: Path) -> Path:
    """Where a server keeps its etcd data; ``boot.sh`` takes it for a sign of membership."""
    return disk / STATE / "db/etcd"


def has_data(disk: Path) -> bool:
    """Whether a member was started there before."""
    return (data_directory(disk) / "member/wal").is_dir()


def node_of(member: str) -> str:
    """The node that a member's name belongs to: ``<node>-<8 characters>``."""
    return member.rpartition("-")[0]
