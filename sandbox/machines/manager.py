"""The controller manager of a cluster: it makes deletes, namespaces and garbage collection real."""

import json
from pathlib import Path
from typing import Any

from .certificates import Authority, write_private
from .cluster import Cluster
from .processes import Process


async def start_manager(binary: Path, cluster: Cluster, directory: Path) -> Process:
    """Start it against a server that serves. One runs for a cluster, so it leads without asking."""
    server = cluster.live[0]
    own = directory / cluster.root_hash[:16]
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    tls = server.place.disk / "var/lib/rancher/k3s/server/tls"
    for name in ("server-ca.crt", "client-ca.crt", "client-ca.key", "service.key"):
        write_private(own / name, (tls / name).read_bytes())
    Authority(own / "client-ca.crt", own / "client-ca.key").issue(
        own / "client.crt", own / "client.key", "system:kube-controller-manager"
    )
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "local",
                "cluster": {
                    "server": f"https://{server.address}:6443",
                    "certificate-authority": str(own / "server-ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": "local",
                "user": {"client-certificate": str(own / "client.crt"), "client-key": str(own / "client.key")},
            }
        ],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
        "current-context": "local",
    }
    write_private(own / "kubeconfig", json.dumps(content).encode())
    command = [
        *(
            str(binary),
            "--kubeconfig",
            str(own / "kubeconfig"),
            "--leader-elect=false",
            "--use-service-account-credentials",
        ),
        *("--bind-address", server.address, "--secure-port", "10257", "--profiling=false"),
        *("--service-account-private-key-file", str(own / "service.key"), "--root-ca-file", str(own / "server-ca.crt")),
        *(
            "--cluster-signing-cert-file",
            str(own / "client-ca.crt"),
            "--cluster-signing-key-file",
            str(own / "client-ca.key"),
        ),
        # The stand-ins for kubelet and cloud controller look after Nodes.
        *(
            "--controllers",
            "*,tokencleaner,-node-lifecycle-controller,-node-ipam-controller,-cloud-node-lifecycle-controller",
        ),
        *("--cert-dir", str(own)),
    ]
    return await Process.start("kube-controller-manager", command, own / "log")
