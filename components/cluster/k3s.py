"""k3s's configuration: what stands in /etc/rancher/k3s/config.yaml of servers and agents.

Settings follow k3s's CIS hardening guide (docs.k3s.io/security/hardening-guide). What a machine learns only when it
boots (its provider id, whom to join) comes as drop-ins from boot.sh.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .oidc import Oidc

STATE = "/var/lib/rancher/k3s/server"
"""k3s's own directory on a server."""

AUTHENTICATION_FILE = f"{STATE}/authentication.yaml"
ADMISSION_FILE = f"{STATE}/psa.yaml"
AUDIT_POLICY_FILE = f"{STATE}/audit.yaml"
AUDIT_LOG_DIRECTORY = f"{STATE}/logs"

SNAPSHOT_SECRET = "k3s-etcd-snapshot-s3-config"  # noqa: S105  a Secret's name
"""Secret in kube-system that tells k3s where to put etcd's snapshots."""

_TLS_CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)


@dataclass(frozen=True)
class ClusterSettings:
    """What all machines of a cluster agree on."""

    pods: str
    """Pod addresses, CIDR."""
    services: str
    """Service addresses, CIDR."""
    tls_names: Sequence[str] = ()
    """Every name and address by which the API is reached; right before the first start, for they enter certificates."""
    snapshots_to_s3: bool = True
    """Whether etcd's snapshots go to the object store too (its credentials are in the Secret `SNAPSHOT_SECRET`)."""
    oidc: Oidc | None = None
    """Whose tokens the API server takes, beside certificates and its own."""


@dataclass(frozen=True)
class NodeSettings:
    """What a machine's pool gives it as a node."""

    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    taints: Sequence[str] = ()
    """``key=value:Effect``."""


def _node(node: NodeSettings) -> dict[str, object]:
    settings: dict[str, object] = {
        "kubelet-arg": [
            "cloud-provider=external",
            "kube-reserved=cpu=250m,memory=512Mi",
            "system-reserved=cpu=250m,memory=300Mi",
            "streaming-connection-idle-timeout=5m",
            f"tls-cipher-suites={','.join(_TLS_CIPHER_SUITES)}",
            "pod-max-pids=4096",
        ],
        "protect-kernel-defaults": True,
    }
    if node.labels:
        settings["node-label"] = [f"{key}={value}" for key, value in sorted(node.labels.items())]
    if node.taints:
        settings["node-taint"] = list(node.taints)
    return settings


def server_config(cluster: ClusterSettings, node: NodeSettings, token: str, agent_token: str) -> dict[str, object]:
    """Configuration of a control-plane server.

    ``anonymous-auth`` is left out on purpose: with an authentication configuration the API server refuses both together.
    """
    snapshots: dict[str, object] = {
        "etcd-snapshot-schedule-cron": "0 */6 * * *",
        "etcd-snapshot-retention": 28,
        "etcd-snapshot-compress": True,
    }
    if cluster.snapshots_to_s3:
        # With any other etcd-s3 setting beside it, k3s would ignore the Secret.
        snapshots |= {"etcd-s3": True, "etcd-s3-config-secret": SNAPSHOT_SECRET}
    return {
        "token": token,
        "agent-token": agent_token,
        "tls-san": list(cluster.tls_names),
        "cluster-cidr": cluster.pods,
        "service-cidr": cluster.services,
        "flannel-backend": "none",
        "disable-network-policy": True,
        "disable-kube-proxy": True,
        "disable-cloud-controller": True,
        # runtimes: the RuntimeClass of GPUs is ours, with the machines that it is for.
        "disable": ["traefik", "servicelb", "local-storage", "metrics-server", "runtimes"],
        "write-kubeconfig-mode": "0600",
        "secrets-encryption": True,
        "secrets-encryption-provider": "secretbox",
        "embedded-registry": True,
        "etcd-expose-metrics": True,
        "kube-apiserver-arg": [
            "enable-admission-plugins=NodeRestriction,EventRateLimit,DenyServiceExternalIPs",
            f"admission-control-config-file={ADMISSION_FILE}",
            f"authentication-config={AUTHENTICATION_FILE}",
            f"audit-policy-file={AUDIT_POLICY_FILE}",
            f"audit-log-path={AUDIT_LOG_DIRECTORY}/audit.log",
            "audit-log-maxage=30",
            "audit-log-maxbackup=10",
            "audit-log-maxsize=100",
            "service-account-extend-token-expiration=false",
        ],
        "kube-controller-manager-arg": ["bind-address=0.0.0.0", "terminated-pod-gc-threshold=100"],
        "kube-scheduler-arg": ["bind-address=0.0.0.0"],
        **snapshots,
        **_node(NodeSettings(node.labels, ["node-role.kubernetes.io/control-plane=true:NoSchedule", *node.taints])),
    }


def agent_config(node: NodeSettings, token: str) -> dict[str, object]:
    """Configuration of an agent; ``token`` is the agents' own, never the servers'."""
    return {"token": token, **_node(node)}


REGISTRIES: dict[str, object] = {"mirrors": {"*": {}}}
"""registries.yaml: every machine looks for images at its peers first (k3s's embedded registry)."""
