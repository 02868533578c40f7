"""The controller manager of a cluster: it makes deletes, namespaces, taints of Nodes and garbage collection real."""

import json
from pathlib import Path

from .certificates import write_private
from .configuration import STATE, controller_manager_arguments
from .processes import Process
from .server import Server


async def start_manager(binary: Path, server: Server) -> Process:
    """Start it beside a server, with that server's files and settings.

    Raises:
        OSError: it cannot be run.
    """
    state = server.root.disk / STATE
    kubeconfig = state / "cred/controller.kubeconfig"
    write_private(kubeconfig, json.dumps(_kubeconfig(server, state / "tls")).encode())
    arguments = controller_manager_arguments(server.config, server.root.disk, server.address, kubeconfig)
    log = server.root.logs / "kube-controller-manager.log"
    return await Process.start([str(binary), *arguments], log)


def _kubeconfig(server: Server, tls: Path) -> dict[str, object]:
    cluster = {"server": f"https://{server.address}:6443", "certificate-authority": str(tls / "server-ca.crt")}
    user = {"client-certificate": str(tls / "client-controller.crt"), "client-key": str(tls / "client-controller.key")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "local", "user": user}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
        "current-context": "local",
    }
