"""A stand-in for the kubelet: a Node as k3s registers it, under the node's own identity. `Pods` runs its pods."""

import asyncio
import datetime
import hashlib
import secrets
from base64 import b64decode, b64encode
from typing import Any, Final

from .api import MERGE, STRATEGIC, Api, ApiError
from .certificates import Authority, write_private
from .cluster import Cluster
from .configuration import STATE, K3sConfig
from .facts import Size
from .join import RefusedError
from .root import Root
from .sizes import allocatable, capacity

UNINITIALIZED: Final = "node.cloudprovider.kubernetes.io/uninitialized"
MEMBER: Final = "etcd.k3s.cattle.io/node-name"
NODE_FINALIZER: Final = "wrangler.cattle.io/node"
ETCD_FINALIZER: Final = "wrangler.cattle.io/managed-etcd-controller"

_AGENT: Final = "var/lib/rancher/k3s/agent"
_SECRETS: Final = "/api/v1/namespaces/kube-system/secrets"
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_NAMESPACE_TRIES: Final = 50
_PAUSE: Final = 0.1
_SCRYPT: Final = {"n": 2**10, "r": 8, "p": 1}


class Kubelet:
    """A machine as a Node.

    Args:
        config: k3s's configuration.
        root: The machine's disk.
        architecture: As ``uname -m`` tells it.
        size: Of the machine.
        member: Name of its etcd member; empty for agents.
    """

    def __init__(self, config: K3sConfig, root: Root, architecture: str, size: Size, member: str = "") -> None:
        self.name = config.text("node-name")
        self.config = config
        self._root, self._size, self._member = root, size, member
        self._architecture = _ARCHITECTURES.get(architecture, architecture)

    async def register(self, cluster: Cluster) -> None:
        """Make the Node, unless it is there, and report that it is ready.

        Raises:
            RefusedError: the name belongs to another disk.
            ApiError: the API refused; labels that nodes must not give themselves are such a case.
        """
        await ensure_password(cluster, self.name, self._root)
        own = self._identify(cluster)
        try:
            try:
                await own.ask("POST", "/api/v1/nodes", self.node())
            except ApiError as error:
                if error.status != 409:
                    raise
            # Who hears of the status may ask at once whether the machine runs.
            cluster.kubelets[self.name] = self
            version = (await own.ask("GET", "/version"))["gitVersion"]
            await own.ask("PATCH", f"/api/v1/nodes/{self.name}/status", self._status(version), STRATEGIC)
        finally:
            await own.close()
        # What k3s adds itself: kubelets may not.
        await cluster.ask("PATCH", f"/api/v1/nodes/{self.name}", {"metadata": self._additions()}, MERGE)

    def node(self) -> dict[str, Any]:
        """The Node as it registers itself."""
        given = (label.partition("=") for label in self.config.list("node-label"))
        labels = {key: value for key, _, value in given} | {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": self._architecture,
        }
        taints = [_taint(text) for text in self.config.list("node-taint")]
        if self.config.argument("kubelet", "cloud-provider") == "external":
            taints.append({"key": UNINITIALIZED, "value": "true", "effect": "NoSchedule"})
        spec: dict[str, Any] = {"taints": taints} if taints else {}
        if provider := self.config.argument("kubelet", "provider-id"):
            spec["providerID"] = provider
        annotations = {
            "alpha.kubernetes.io/provided-node-ip": self.config.text("node-ip"),
            # Without it nobody attaches volumes to the machine.
            "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        }
        metadata = {"name": self.name, "labels": labels, "annotations": annotations}
        return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}

    def _additions(self) -> dict[str, Any]:
        if not self._member:
            return {"finalizers": [NODE_FINALIZER]}
        return {
            "labels": {f"node-role.kubernetes.io/{role}": "true" for role in ("control-plane", "etcd")},
            "annotations": {MEMBER: self._member, "etcd.k3s.cattle.io/node-address": self.config.text("node-ip")},
            "finalizers": [NODE_FINALIZER, ETCD_FINALIZER],
        }

    def _status(self, version: str) -> dict[str, Any]:
        conditions = [
            condition(f"{kind}Pressure", "False", f"KubeletHasNo{kind}Pressure") for kind in ("Memory", "Disk", "PID")
        ]
        conditions.append(condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"))
        identity = hashlib.sha256(str(self._root.disk).encode()).hexdigest()[:32]
        return {
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": self.config.text("node-ip")},
                    {"type": "Hostname", "address": self.name},
                ],
                "capacity": capacity(self._size, self.config),
                "allocatable": allocatable(self._size, self.config),
                "conditions": conditions,
                "nodeInfo": {
                    "architecture": self._architecture,
                    "bootID": secrets.token_hex(16),
                    "containerRuntimeVersion": "containerd://none",
                    "kernelVersion": "none",
                    "kubeProxyVersion": "",
                    "kubeletVersion": f"{version}+k3s1",
                    "machineID": identity,
                    "operatingSystem": "linux",
                    "osImage": "sandbox",
                    "systemUUID": identity,
                },
            }
        }

    def _identify(self, cluster: Cluster) -> Api:
        """The client certificate that a server gives the node, and a client with it."""
        if not cluster.live:
            raise ApiError(0, "no server of the cluster is ready")
        server = cluster.live[0]
        tls, agent = server.root.disk / STATE / "tls", self._root.disk / _AGENT
        identity = agent / "client-kubelet"
        Authority(tls / "client-ca").issue(identity, f"system:node:{self.name}", organization="system:nodes")
        write_private(agent / "server-ca.crt", (tls / "server-ca.crt").read_bytes())
        return Api(f"https://{server.address}:6443", agent / "server-ca.crt", identity)


def condition(type: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    """A condition that holds since now."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }


async def check_password(cluster: Cluster, name: str, root: Root) -> bool:
    """Whether the cluster knows this disk's node password. A name belongs to its first disk until its Node is deleted.

    Raises:
        RefusedError: the name belongs to another disk.
        ApiError: the API does not answer.
    """
    try:
        secret = await cluster.ask("GET", f"{_SECRETS}/{password_secret(name)}")
    except ApiError as error:
        if error.status != 404:
            raise
        return False
    known = b64decode(secret["data"]["hash"]).decode()
    if _hashed(_password(root), known.split(":")[1]) != known:
        raise RefusedError(
            "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server "
            "node-passwd entry, try enabling a unique node name with the --with-node-id flag"
        )
    return True


async def ensure_password(cluster: Cluster, name: str, root: Root) -> None:
    """The same, and the cluster knows it from now on.

    Raises:
        RefusedError, ApiError: as `check_password`.
    """
    if await check_password(cluster, name, root):
        return
    hashed = _hashed(_password(root), secrets.token_hex(8))
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": password_secret(name), "namespace": "kube-system"},
        "immutable": True,
        "data": {"hash": b64encode(hashed.encode()).decode()},
    }
    for attempt in range(_NAMESPACE_TRIES):
        try:
            await cluster.ask("POST", _SECRETS, body)
            return
        except ApiError as error:
            # An API server is ready a moment before it has made its namespaces.
            if error.status != 404 or attempt == _NAMESPACE_TRIES - 1:
                raise
        await asyncio.sleep(_PAUSE)


async def forget_password(cluster: Cluster, name: str) -> None:
    """The name is free.

    Raises:
        ApiError: the API does not answer.
    """
    try:
        await cluster.ask("DELETE", f"{_SECRETS}/{password_secret(name)}")
    except ApiError as error:
        if error.status != 404:
            raise


def password_secret(name: str) -> str:
    """Name of the Secret in kube-system that holds a node's password, hashed."""
    return f"{name}.node-password.k3s".lower()


def _password(root: Root) -> str:
    """The password that this disk made for itself."""
    file = root.disk / "etc/rancher/node/password"
    if not file.exists():
        write_private(file, f"{secrets.token_hex(16)}\n".encode())
    return file.read_text().strip()


def _hashed(password: str, salt: str) -> str:
    digest = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), dklen=32, **_SCRYPT)
    return f"$1:{salt}:10:8:1:{b64encode(digest).decode()}"


def _taint(text: str) -> dict[str, str]:
    head, _, effect = text.rpartition(":")
    key, _, value = head.partition("=")
    return {"key": key, "value": value, "effect": effect}
