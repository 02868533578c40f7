"""What makes a cluster work besides its API: the controller manager and the scheduler."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from .certificates import write_private
from .configuration import STATE, K3sConfig, controller_manager_arguments, scheduler_arguments
from .processes import Process
from .server import Server
from .tools import Tools

Arguments = Callable[[K3sConfig, Path, str, Path], list[str]]

_PROGRAMS: Final[Mapping[str, tuple[str, Arguments]]] = {
    "kube-controller-manager": ("controller", controller_manager_arguments),
    "kube-scheduler": ("scheduler", scheduler_arguments),
}
"""By name: whose kubeconfig and client certificate it has, and what it is started with."""


async def keep_programs(tools: Tools, servers: list[Server]) -> None:
    """One of each runs, on the machine of the server that has served longest, and ends with that server.

    Args:
        tools: The programs.
        servers: Those that serve, the first to start first.

    Raises:
        OSError: one cannot be run.
    """
    for name, (user, arguments) in _PROGRAMS.items():
        if servers and not any(name in server.programs and server.programs[name].runs for server in servers):
            binary = getattr(tools, name.replace("-", "_"))
            servers[0].programs[name] = await _start(name, binary, servers[0], user, arguments)


async def _start(name: str, binary: Path, server: Server, user: str, arguments: Arguments) -> Process:
    """Start it beside a server, with that server's files and settings."""
    state = server.root.disk / STATE
    kubeconfig = state / f"cred/{user}.kubeconfig"
    write_private(kubeconfig, json.dumps(_kubeconfig(server, state / "tls", user)).encode())
    given = arguments(server.config, server.root.disk, server.address, kubeconfig)
    return await Process.start([str(binary), *given], server.root.logs / f"{name}.log")


def _kubeconfig(server: Server, tls: Path, user: str) -> dict[str, object]:
    cluster = {"server": f"https://{server.address}:6443", "certificate-authority": str(tls / "server-ca.crt")}
    identity = {"client-certificate": str(tls / f"client-{user}.crt"), "client-key": str(tls / f"client-{user}.key")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "local", "user": identity}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
        "current-context": "local",
    }
