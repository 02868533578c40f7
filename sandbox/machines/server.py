"""k3s as a server: a real etcd member and a real API server, with the files and settings found on the disk."""

import asyncio
import json
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from .api import Api
from .certificates import CLIENT, SERVER, Authority, fingerprint, make_key, pem, write_private
from .cluster import Cluster, join
from .configuration import STATE, K3sConfig, api_server_arguments
from .etcd import EtcdError, Member, data_directory, has_data, node_of
from .join import Endpoint, RefusedError, Token
from .processes import Process
from .root import Root
from .tools import Tools

_TRIES: Final = 900
_PAUSE: Final = 0.2
_TIME: Final = re.compile(r'^[EF]\d{4} [\d:.]+ +\d+ |"ts":"[^"]*",')
_PATIENCE: Final = (1.2, 2.4, 4.8, 9.6)
_MEMORY: Final = {"GOGC": "200"}
"""A fifth more memory (340 MB an API server), a fifth less work while it starts: measured."""
_CAS: Final = ("server-ca", "client-ca", "request-header-ca", "etcd/peer-ca", "etcd/server-ca")


class Server:
    """A server between its start and its end.

    Args:
        tools: Programs.
        config: As found on the disk.
        root: The machine's disk, and where logs go.
        address: Its loopback address.
        say: Writes to the machine's console.
    """

    def __init__(self, tools: Tools, config: K3sConfig, root: Root, address: str, say: Callable[[str], None]) -> None:
        self.config, self.address, self.root = config, address, root
        self.name = config.text("node-name")
        self.serves = False
        self.fingerprint = ""
        self.api: Process | None = None
        self.programs: dict[str, Process] = {}
        """The cluster's controller manager and scheduler by name, when they run on this machine."""
        self.member: Member
        self.supervisor: Api
        self.cluster: Cluster | None = None
        self._tools, self._say = tools, say
        self._state = root.disk / STATE
        self._tls = root.disk / STATE / "tls"

    # -- starting

    async def start(self, known: Cluster | None, clusters: list[Cluster], endpoint: Callable[[], Endpoint]) -> Cluster:
        """Go on as a member, join a cluster, or initialise one; returns when the API is ready.

        Args:
            known: The cluster whose data is on this disk.
            clusters: All that there are; a new one is added.
            endpoint: Resolves the address to join.

        Raises:
            RefusedError, EtcdError, ApiError: k3s would end.
        """
        if has_data(self.root.disk):
            cluster = known or self._found(clusters)
            self._prepare(cluster)
            await self.member.start(self._log("etcd"), metrics=self._metrics)
            await self._until_votes(cluster)
        elif self.config.text("server"):
            cluster = await self._join(clusters, endpoint())
        elif self.config.values.get("cluster-init"):
            cluster = known or self._found(clusters)
            if self.config.values.get("secrets-encryption"):
                write_encryption(self._state)
            self._prepare(cluster)
            self._say(f"k3s-server: a new cluster begins: {self.member.name}")
            initial = f"{self.member.name}={self.member.peer_url}"
            await self.member.start(self._log("etcd"), initial, metrics=self._metrics)
        else:
            raise RefusedError("neither cluster-init nor server is set: the sandbox knows no cluster without etcd")
        await self._start_api()
        return cluster

    async def ended(self) -> str:
        """Until etcd or the API server ends; what it said last."""
        assert self.api is not None
        assert self.member.process is not None
        names = {"etcd": self.member.process, "kube-apiserver": self.api}
        waits = {asyncio.create_task(process.wait(), name=name): name for name, process in names.items()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        name = waits[done.pop()]
        return f"{name} exited: {last_error(names[name].tail())}"

    async def stop(self) -> None:
        """End what runs, at once."""
        self.serves = False
        if self.cluster is not None and self in self.cluster.servers:
            self.cluster.servers.remove(self)
        if hasattr(self, "supervisor"):
            await self.supervisor.close()
        for process in (*self.programs.values(), self.api):
            if process is not None:
                await process.stop(at_once=True)
        if hasattr(self, "member"):
            await self.member.stop()

    # -- initialising and joining

    def _found(self, clusters: list[Cluster]) -> Cluster:
        password = Token.parse(self.config.text("token")).password
        agent = self.config.text("agent-token")
        cluster = Cluster(password, Token.parse(agent).password if agent else password, self.config.critical())
        clusters.append(cluster)
        return cluster

    async def _join(self, clusters: Iterable[Cluster], endpoint: Endpoint) -> Cluster:
        cluster, sponsor = await join(endpoint, Token.parse(self.config.text("token")), clusters, "server")
        own = self.config.critical()
        if different := [key for key, value in cluster.critical.items() if own[key] != value]:
            raise RefusedError(
                "failed to validate server configuration: critical configuration value mismatch between servers: "
                + ", ".join(different)
            )
        copy_bootstrap(sponsor.root.disk / STATE, self._state)
        self._prepare(cluster)
        members = await sponsor.member.members()
        self._refuse_duplicate(members)
        if not any(self.member.peer_url in each["peerURLs"] for each in members):
            members = await sponsor.member.add_learner(self.member.peer_url)
            self._say(f"k3s-server: added {self.member.name} to etcd as a learner")
        # Members are known by their addresses; one that starts at this moment has not told its name yet.
        named = {url: each.get("name") or f"member-{each['ID']}" for each in members for url in each["peerURLs"]}
        initial = ",".join(f"{name}={url}" for url, name in {**named, self.member.peer_url: self.member.name}.items())
        await self.member.start(self._log("etcd"), initial, "existing", metrics=self._metrics)
        await self._until_heard()
        await self._until_votes(cluster)
        return cluster

    def _refuse_duplicate(self, members: Iterable[dict[str, Any]]) -> None:
        for each in members:
            name = each.get("name", "")
            if name != self.member.name and node_of(name) == self.name:
                # So that another name is made when the node's own is right.
                (data_directory(self.root.disk) / "name").unlink(missing_ok=True)
                raise RefusedError(
                    "ETCD join failed: duplicate node name found, please use a unique name for this node"
                )

    async def _until_heard(self) -> None:
        """Until a new learner serves.

        What it first tells the others is lost when it takes over their snapshot, and etcd tells it again only after ten
        seconds: it is started again instead.
        """
        for patience in _PATIENCE:
            for _ in range(round(patience / _PAUSE)):
                if await self.member.answers(_PAUSE):
                    return
                await asyncio.sleep(_PAUSE)
            await self.member.stop()
            await self.member.start(self._log("etcd"), metrics=self._metrics)

    async def _until_votes(self, cluster: Cluster) -> None:
        """Promote this member as soon as it has caught up. Learners answer nothing, so others are asked first."""
        said = ""
        for _ in range(_TRIES):
            if self.member.process is not None and not self.member.process.runs:
                raise EtcdError(f"etcd exited: {last_error(self.member.process.tail())}")
            others = [server.member for server in cluster.servers if server is not self]
            for member in others or [self.member]:
                try:
                    if await self._votes(member):
                        return
                except EtcdError as error:
                    said = str(error)
            await asyncio.sleep(_PAUSE)
        raise EtcdError(f"this server has not been promoted to a voting member: {said}")

    async def _votes(self, asked: Member) -> bool:
        for each in await asked.members():
            if self.member.peer_url in each["peerURLs"]:
                if each.get("isLearner"):
                    await asked.promote(each["ID"])
                    self._say(f"k3s-server: promoted {self.member.name} to a voting member")
                return True
        return False

    # -- files

    def _prepare(self, cluster: Cluster) -> None:
        """Everything that k3s makes from the CAs before it starts."""
        self.cluster = cluster
        self._certify()
        self.member = Member(self._tools.etcd, self.root.disk, self.address, self._member_name())
        node = self.config.text("node-ip")
        self.member.certify([self.address, node, "127.0.0.1", "localhost", self.name])
        self.supervisor = Api(
            f"https://{self.address}:6443", self._tls / "server-ca.crt", self._tls / "client-supervisor"
        )
        cluster.servers.append(self)

    def _member_name(self) -> str:
        file = data_directory(self.root.disk) / "name"
        if not file.exists():
            write_private(file, f"{self.name}-{secrets.token_hex(4)}".encode())
        return file.read_text()

    def _certify(self) -> None:
        tls, domain = self._tls, self.config.text("cluster-domain")
        server = Authority.found_or_made(tls / "server-ca", "k3s-server-ca")
        client = Authority.found_or_made(tls / "client-ca", "k3s-client-ca")
        proxy = Authority.found_or_made(tls / "request-header-ca", "k3s-request-header-ca")
        services = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}"]
        own = [self.config.text("node-ip"), self.config.text("advertise-address"), self.address, self.name]
        names = [*self.config.list("tls-san"), *own, "127.0.0.1", "localhost", self.config.service_address, *services]
        self.fingerprint = fingerprint(
            server.issue(tls / "serving-kube-apiserver", "kube-apiserver", usages=(SERVER,), names=names)
        )
        local = ["127.0.0.1", "localhost", self.address]
        for name in ("kube-controller-manager", "kube-scheduler"):
            server.issue(tls / f"serving-{name}", name, usages=(SERVER,), names=local)
        masters = "system:masters"
        client.issue(tls / "client-kube-apiserver", "system:apiserver", organization=masters)
        client.issue(tls / "client-supervisor", "system:k3s-supervisor", organization=masters)
        client.issue(tls / "client-controller", "system:kube-controller-manager")
        client.issue(tls / "client-scheduler", "system:kube-scheduler")
        proxy.issue(tls / "client-auth-proxy", "system:auth-proxy", usages=(CLIENT,))
        for authority, name in ((server, "server-ca"), (client, "client-ca")):
            write_private(tls / f"{name}.nochain.crt", pem(authority.chain[:1]).encode())
        if not (tls / "service.key").exists():
            make_key(tls / "service.key")
        write_private(tls / "service.current.key", (tls / "service.key").read_bytes())

    # -- the API server

    async def _start_api(self) -> None:
        arguments = api_server_arguments(self.config, self.root.disk, self.address)
        command = [str(self._tools.kube_apiserver), *arguments]
        self.api = await Process.start(command, self._log("kube-apiserver"), _MEMORY)
        for _ in range(_TRIES):
            if not self.api.runs:
                raise RefusedError(f"kube-apiserver exited: {last_error(self.api.tail())}")
            if self.member.process is not None and not self.member.process.runs:
                raise EtcdError(f"etcd exited: {last_error(self.member.process.tail())}")
            if await self.supervisor.is_ready():
                self.serves = True
                return
            await asyncio.sleep(_PAUSE)
        raise RefusedError("kube-apiserver does not become ready")

    @property
    def _metrics(self) -> bool:
        return bool(self.config.values.get("etcd-expose-metrics"))

    def _log(self, name: str) -> Path:
        return self.root.logs / f"{name}.log"


def write_encryption(state: Path) -> None:
    """What k3s makes for ``secrets-encryption`` with the provider secretbox: a new key, in a file of mode 0600."""
    key = b64encode(secrets.token_bytes(32)).decode()
    providers: list[dict[str, Any]] = [
        {"secretbox": {"keys": [{"name": "secretboxkey", "secret": key}]}},
        {"identity": {}},
    ]
    content: dict[str, Any] = {
        "kind": "EncryptionConfiguration",
        "apiVersion": "apiserver.config.k8s.io/v1",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    write_private(state / "cred/encryption-config.json", json.dumps(content).encode())


def copy_bootstrap(source: Path, target: Path) -> None:
    """Give a joining server what the datastore's bootstrap data hold: the CAs with their keys, and the encryption key."""
    pairs = [f"tls/{name}.{suffix}" for name in _CAS for suffix in ("crt", "key")]
    for name in (*pairs, "tls/service.key", "cred/encryption-config.json"):
        if (source / name).exists():
            write_private(target / name, (source / name).read_bytes())


def last_error(log: str) -> str:
    """The line of a log that most likely says why it ended, without the time."""
    lines = [line for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("E", "F", "Error")) or '"level":"fatal"' in line]
    return _TIME.sub("", (telling or lines or ["no word"])[-1])[:400]
