"""A cluster as its machines know it together: who serves it, its tokens, its keys, and its API."""

import asyncio
import json
import secrets
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from .certificates import Authority, write_private
from .configuration import STATE

if TYPE_CHECKING:
    from .k3s import Server

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)

SHARED_FILES: Final = ("cred/encryption-config.json",)
"""What joining servers get from the datastore's bootstrap data, beside the CAs."""


class ApiFailure(Exception):
    """The cluster's API refused, with this status, or does not answer (0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Cluster:
    """One cluster.

    Args:
        root_hash: SHA-256 of its root CA's DER, as tokens name it.
        server_password: What servers join with.
        agent_password: What agents join with.
        tls: Directory with its CAs, on the disk of the server that initialised it; copied here.
    """

    root_hash: str
    server_password: str
    agent_password: str
    tls: Path
    servers: list["Server"] = field(default_factory=list["Server"])
    passwords: dict[str, str] = field(default_factory=dict[str, str])
    """Node passwords: node name → identity of its disk."""
    joining: asyncio.Lock = field(default_factory=asyncio.Lock)
    """etcd takes one learner at a time."""

    def __post_init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @property
    def live(self) -> list["Server"]:
        """Servers whose API runs."""
        return [server for server in self.servers if server.serves]

    async def ask(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        """Ask any server's API as an administrator of the system.

        Raises:
            ApiFailure: it refused, or no server answers.
        """
        said = "no server runs"
        for server in self.live:
            try:
                url = f"https://{server.address}:6443{path}"
                async with self._open().request(method, url, json=body, headers={"Content-Type": content}) as answer:
                    told = await answer.json(content_type=None)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                said = type(error).__name__
                continue
            if answer.status >= 400:
                raise ApiFailure(answer.status, str(told.get("message", told)))
            return told
        raise ApiFailure(0, f"the API does not answer ({said})")

    async def close(self) -> None:
        """Forget the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            authority = Authority(self.tls / "client-ca.crt", self.tls / "client-ca.key")
            certificate, key = self.tls / "sandbox-admin.crt", self.tls / "sandbox-admin.key"
            authority.issue(certificate, key, "sandbox", organization="system:masters")
            context = ssl.create_default_context(cafile=str(self.tls / "server-ca.crt"))
            context.load_cert_chain(certificate, key)
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), timeout=_TIMEOUT)
        return self._session


def write_encryption(disk: Path) -> None:
    """The configuration that k3s makes for ``secrets-encryption`` with the provider secretbox, with a new key."""
    key = b64encode(secrets.token_bytes(32)).decode()
    provider = {"secretbox": {"keys": [{"name": "secretboxkey", "secret": key}]}}
    content = {
        "kind": "EncryptionConfiguration",
        "apiVersion": "apiserver.config.k8s.io/v1",
        "resources": [{"resources": ["secrets"], "providers": [provider, {"identity": {}}]}],
    }
    write_private(disk / STATE / "cred/encryption-config.json", json.dumps(content).encode())


def copy_bootstrap(source: Path, disk: Path) -> None:
    """Give a joining server what the datastore's bootstrap data holds: the CAs with their keys, and the encryption key.

    Args:
        source: The directory ``server`` below k3s's state, of a server of the cluster.
        disk: Of the joining one.
    """
    target = disk / STATE
    names = [
        f"tls/{name}.{suffix}"
        for name in ("server-ca", "client-ca", "request-header-ca", "etcd/peer-ca", "etcd/server-ca")
        for suffix in ("crt", "key")
    ]
    for name in [*names, "tls/service.key", *SHARED_FILES]:
        if (source / name).exists():
            write_private(target / name, (source / name).read_bytes())
