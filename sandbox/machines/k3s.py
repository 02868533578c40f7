"""k3s on a machine: what decides whether it may join, and the real etcd and API server that a server runs."""

import asyncio
import secrets
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from .certificates import Authority
from .cluster import Cluster, copy_bootstrap, write_encryption
from .configuration import STATE, K3sConfig, api_server_arguments
from .etcd import EtcdError, Member
from .processes import Process

_READY_TRIES: Final = 1200
_PAUSE: Final = 0.1
_CONNECT_SECONDS: Final = 3.0


class RefusedError(Exception):
    """k3s ends with this message; systemd starts it again."""


@dataclass(frozen=True)
class Tools:
    """The programs of a server."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path


@dataclass(frozen=True)
class Place:
    """Where a machine is: its disk, a directory for logs, its loopback and its private address, and its disk's identity."""

    disk: Path
    logs: Path
    address: str
    private: str
    identity: str


def parse_token(token: str) -> tuple[str, str, str]:
    """Hash, user and password of a join token; hash and user are empty in the short form.

    Raises:
        RefusedError: it is malformed.
    """
    if not token.startswith("K10"):
        return "", "", token
    head, separator, rest = token[3:].partition("::")
    user, colon, password = rest.partition(":")
    if not separator or not colon or len(head) != 64 or not password:
        raise RefusedError("failed to normalize token: invalid token format")
    return head, user, password


async def presented(address: str) -> x509.Certificate:
    """The certificate that a server presents on 6443.

    Raises:
        RefusedError: nobody answers there.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # as k3s does: the hash in the token decides whom to believe
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, 6443, ssl=context)
    except (OSError, TimeoutError) as error:
        raise RefusedError(f"failed to get CA certs: https://{address}:6443/cacerts does not answer") from error
    session: ssl.SSLObject = writer.get_extra_info("ssl_object")
    certificate = session.getpeercert(binary_form=True)
    writer.close()
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate)


async def find_cluster(address: str, token: str, clusters: Sequence[Cluster], user: str) -> Cluster:
    """The cluster that a machine may join: the one that really answers there, if the token is its own.

    Raises:
        RefusedError: nobody answers, the CA has another hash, or the password is wrong.
    """
    wanted, named, password = parse_token(token)
    certificate = await presented(address)
    found = [
        each
        for each in clusters
        if Authority(each.tls / "server-ca.crt", each.tls / "server-ca.key").signed(certificate)
    ]
    if not found:
        raise RefusedError("token CA hash does not match the Cluster CA certificate hash: the server is unknown")
    cluster = found[0]
    if wanted and wanted != cluster.root_hash:
        raise RefusedError(
            f"token CA hash does not match the Cluster CA certificate hash: {wanted} != {cluster.root_hash}"
        )
    right = cluster.server_password if user == "server" else cluster.agent_password
    if (named and named != user) or not secrets.compare_digest(password, right):
        raise RefusedError(f"not authorized: the token is no {user} token of this cluster")
    return cluster


class Server:
    """k3s as a server: an etcd member and an API server.

    Args:
        tools: Programs.
        config: As found on the disk.
        place: Where it is.
        say: Writes to the machine's console.
    """

    def __init__(self, tools: Tools, config: K3sConfig, place: Place, say: Callable[[str], None]) -> None:
        self.config, self.place = config, place
        self.name = config.text("node-name")
        self.address = place.address
        self._tools, self._say = tools, say
        self._tls = place.disk / STATE / "tls"
        self._identity = place.disk / STATE / "db/member"
        self.member: Member | None = None
        self.cluster: Cluster | None = None
        self.api: Process | None = None
        self.serves = False

    # -- starting

    async def start(self, clusters: list[Cluster], find: Callable[[str], str | None]) -> Cluster:
        """Start: go on as a member, initialise a cluster, or join one. Returns the cluster once the API is ready.

        Args:
            clusters: All that are known; a new one is added.
            find: The loopback address of a private one.

        Raises:
            RefusedError: k3s would end.
            EtcdError: etcd does not do what it should.
        """
        if self._identity.exists():
            cluster = await self._resume(clusters)
        elif self.config.values.get("cluster-init"):
            cluster = await self._initialize(clusters)
        else:
            cluster = await self._join(clusters, find)
        self.cluster = cluster
        if self not in cluster.servers:
            cluster.servers.append(self)
        await self._start_api()
        return cluster

    async def _resume(self, clusters: list[Cluster]) -> Cluster:
        root_hash = Authority(self._tls / "server-ca.crt", self._tls / "server-ca.key").root_hash
        cluster = next((each for each in clusters if each.root_hash == root_hash), None) or self._found(clusters)
        self.member = self._new_member(self._identity.read_text())
        self.member.certify()
        await self.member.start(self.place.logs / "etcd.log")
        return cluster

    async def _initialize(self, clusters: list[Cluster]) -> Cluster:
        missing = [
            name for name in ("server-ca", "client-ca", "etcd/server-ca") if not (self._tls / f"{name}.crt").exists()
        ]
        if missing:
            raise RefusedError(
                f"the CA files {', '.join(missing)} are missing: k3s would make its own, and nobody could join"
            )
        if self.config.values.get("secrets-encryption"):
            write_encryption(self.place.disk)
        cluster = self._found(clusters)
        self.member = self._new_member(f"{self.name}-{secrets.token_hex(4)}")
        self.member.certify()
        self._remember(self.member.name)
        await self.member.start(self.place.logs / "etcd.log", f"{self.member.name}={self.member.peer_url}")
        await self._until_healthy(self.member)
        return cluster

    def _found(self, clusters: list[Cluster]) -> Cluster:
        root_hash = Authority(self._tls / "server-ca.crt", self._tls / "server-ca.key").root_hash
        named, _, password = parse_token(self.config.text("token"))
        if named and named != root_hash:
            raise RefusedError(f"token CA hash does not match the Cluster CA certificate hash: {named} != {root_hash}")
        agent = parse_token(self.config.text("agent-token"))[2] or password
        cluster = Cluster(root_hash, password, agent, self._tls, passwords={self.name: self.place.identity})
        clusters.append(cluster)
        return cluster

    async def _join(self, clusters: list[Cluster], find: Callable[[str], str | None]) -> Cluster:
        host = self.config.text("server").removeprefix("https://").partition(":")[0]
        address = find(host)
        if address is None:
            raise RefusedError(f"failed to get CA certs: {host} does not answer")
        cluster = await find_cluster(address, self.config.text("token"), clusters, "server")
        async with cluster.joining:
            sponsor = next((each.member for each in cluster.live if each.member is not None), None)
            if sponsor is None:
                raise RefusedError("no server of the cluster runs")
            await self._refuse_duplicate(cluster, sponsor)
            copy_bootstrap(cluster.tls.parent, self.place.disk)
            await self._enter(cluster, sponsor)
        cluster.passwords[self.name] = self.place.identity
        return cluster

    async def _refuse_duplicate(self, cluster: Cluster, sponsor: Member) -> None:
        for member in await sponsor.members():
            if str(member.get("name", "")).rpartition("-")[0] == self.name:
                raise RefusedError(
                    "etcd cluster join failed: duplicate node name found, please use a unique name for this node"
                )
        refuse_password(cluster, self.name, self.place.identity)

    async def _enter(self, cluster: Cluster, sponsor: Member) -> None:
        self.member = member = self._new_member(f"{self.name}-{secrets.token_hex(4)}")
        member.certify()
        members = await sponsor.add_learner(member.peer_url)
        known = {url: str(each.get("name") or member.name) for each in members for url in each["peerURLs"]}
        initial = ",".join(f"{name}={url}" for url, name in known.items())
        id = next(str(each["ID"]) for each in members if member.peer_url in each["peerURLs"])
        try:
            await member.start(self.place.logs / "etcd.log", initial, "existing")
            await sponsor.promote(id)
        except (EtcdError, asyncio.CancelledError):
            await member.close(at_once=True)
            raise
        self._remember(member.name)
        await self._until_healthy(member)

    def _remember(self, name: str) -> None:
        self._identity.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._identity.write_text(name)

    def _new_member(self, name: str) -> Member:
        return Member(self._tools.etcd, self.place.disk, self.address, name)

    async def _until_healthy(self, member: Member) -> None:
        for _ in range(_READY_TRIES):
            if member.process is not None and not member.process.runs:
                raise EtcdError(f"etcd ended: {member.process.tail()}")
            if await member.healthy():
                return
            await asyncio.sleep(_PAUSE)
        raise EtcdError("etcd does not become healthy")

    # -- the API server

    async def _start_api(self) -> None:
        self._certify()
        arguments = api_server_arguments(self.config, self.place.disk, self.address, self.place.private)
        command = [str(self._tools.kube_apiserver), *arguments]
        self.api = await Process.start("kube-apiserver", command, self.place.logs / "kube-apiserver.log")
        for _ in range(_READY_TRIES):
            if not self.api.runs:
                raise RefusedError(f"apiserver exited: {_last_error(self.api.tail(4000))}")
            if await self._is_ready():
                self.serves = True
                return
            await asyncio.sleep(_PAUSE)
        raise RefusedError("the API server does not become ready")

    async def _is_ready(self) -> bool:
        import aiohttp  # noqa: PLC0415

        context = ssl.create_default_context(cafile=str(self._tls / "server-ca.crt"))
        url = f"https://{self.address}:6443/readyz"
        timeout = aiohttp.ClientTimeout(total=2)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, ssl=context) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _certify(self) -> None:
        tls = self._tls
        server, client = (Authority(tls / f"{name}.crt", tls / f"{name}.key") for name in ("server-ca", "client-ca"))
        services = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ]
        names = [
            *self.config.list("tls-san"),
            self.place.private,
            self.address,
            "127.0.0.1",
            "localhost",
            self.name,
            *services,
        ]
        server.issue(
            tls / "serving-kube-apiserver.crt",
            tls / "serving-kube-apiserver.key",
            "kube-apiserver",
            names=list(dict.fromkeys(name for name in names if name)),
        )
        client.issue(
            tls / "client-kube-apiserver.crt",
            tls / "client-kube-apiserver.key",
            "system:apiserver",
            organization="system:masters",
        )
        proxy = Authority(tls / "request-header-ca.crt", tls / "request-header-ca.key")
        proxy.issue(tls / "client-auth-proxy.crt", tls / "client-auth-proxy.key", "system:auth-proxy")

    # -- stopping

    async def stop(self, *, at_once: bool = False) -> None:
        """End what runs."""
        self.serves = False
        if self.api is not None:
            await self.api.stop(at_once=at_once)
        if self.member is not None:
            await self.member.close(at_once=at_once)

    @property
    def runs(self) -> bool:
        """Whether both programs run."""
        api, etcd = self.api, self.member.process if self.member else None
        return api is not None and api.runs and etcd is not None and etcd.runs


def refuse_password(cluster: Cluster, name: str, identity: str) -> None:
    """A node's name belongs to the disk that it first joined with, until its Node is deleted.

    Raises:
        RefusedError: it is another disk.
    """
    if cluster.passwords.get(name, identity) != identity:
        raise RefusedError(
            f"Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' ({name})"
        )


async def join_agent(
    config: K3sConfig, place: Place, clusters: Sequence[Cluster], find: Callable[[str], str | None]
) -> Cluster:
    """k3s as an agent: the cluster that it is in from now on.

    Raises:
        RefusedError: k3s would end.
    """
    host = config.text("server").removeprefix("https://").partition(":")[0]
    address = find(host)
    if address is None:
        raise RefusedError(f"failed to get CA certs: {host} does not answer")
    cluster = await find_cluster(address, config.text("token"), clusters, "node")
    name = config.text("node-name")
    refuse_password(cluster, name, place.identity)
    cluster.passwords[name] = place.identity
    return cluster


def _last_error(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    wanted = [line for line in lines if line.startswith(("E", "F")) or "rror" in line]
    return (wanted or lines or ["no word"])[-1][:400]
