"""A cluster as its machines know it together: who serves it, what opens it, and its API."""

import contextlib
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .api import ApiError
from .etcd import EtcdError, Member
from .join import Endpoint, RefusedError, Token, verify

if TYPE_CHECKING:
    from .kubelet import Kubelet
    from .server import Server


@dataclass(eq=False)
class Cluster:
    """One cluster.

    Args:
        server_password: What servers join with.
        agent_password: What agents join with.
        critical: What all servers' configurations must have alike.
    """

    server_password: str = field(repr=False)
    agent_password: str = field(repr=False)
    critical: Mapping[str, str]
    servers: list["Server"] = field(default_factory=list["Server"])
    """Those that run, the first to start first; not all of them serve yet."""
    seats: set[int] = field(default_factory=set[int])
    """Machines that hold its data, running or not."""
    kubelets: dict[str, "Kubelet"] = field(default_factory=dict[str, "Kubelet"])
    """Those that run, by node name."""

    @property
    def live(self) -> list["Server"]:
        """Servers whose API is ready."""
        return [server for server in self.servers if server.serves]

    def voter(self) -> Member:
        """An etcd member to ask.

        Raises:
            EtcdError: no server is ready.
        """
        if not self.live:
            raise EtcdError("no server of the cluster is ready")
        return self.live[0].member

    async def ask(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", accept: str = "application/json"
    ) -> Any:
        """Ask any server's API as k3s itself.

        Raises:
            ApiError: it refused, or no server answers.
        """
        failure = ApiError(0, "no server of the cluster is ready")
        for server in self.live:
            try:
                return await server.supervisor.ask(method, path, body, kind, accept)
            except ApiError as error:
                if error.status:
                    raise
                failure = error
        raise failure

    async def stream(self, path: str, seconds: int, accept: str = "application/json") -> AsyncGenerator[Any, None]:
        """The same for an answer that goes on.

        Raises:
            ApiError: no server is ready, it refused, or broke off.
        """
        if not self.live:
            raise ApiError(0, "no server of the cluster is ready")
        async with contextlib.aclosing(self.live[0].supervisor.stream(path, seconds, accept)) as documents:
            async for document in documents:
                yield document


async def join(endpoint: Endpoint, token: Token, clusters: Iterable[Cluster], user: str) -> tuple[Cluster, "Server"]:
    """The cluster that a machine may join, and the server that answered.

    Args:
        user: ``server`` or ``node``.

    Raises:
        RefusedError: nobody answers, the CA is another one, or the password is not the cluster's for this user.
    """
    serving = await verify(endpoint, token)
    for cluster in clusters:
        for server in cluster.servers:
            if server.fingerprint == serving:
                password = cluster.server_password if user == "server" else cluster.agent_password
                if token.opens(password, user):
                    return cluster, server
    what = "server-bootstrap" if user == "server" else "config"
    raise RefusedError(f"failed to validate token: {endpoint.url}/v1-k3s/{what}: 401 Unauthorized")
