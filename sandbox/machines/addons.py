"""What k3s itself installs when a cluster begins, in stand-ins: CoreDNS as its addon says, for pods that ask for names."""

from typing import Any, Final

from .api import ApiError
from .cluster import Cluster
from .configuration import K3sConfig

_LABELS: Final = {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}
_IMAGE: Final = "rancher/mirrored-coredns-coredns:sandbox"


async def install_addons(cluster: Cluster, config: K3sConfig) -> None:
    """Make what is not there; the configuration's ``disable`` leaves addons out, as with k3s.

    Raises:
        ApiError: the API refused, or does not answer.
    """
    if "coredns" in config.list("disable"):
        return
    for path, manifest in coredns(config):
        try:
            await cluster.ask("POST", path, manifest)
        except ApiError as error:
            if error.status != 409:
                raise


def coredns(config: K3sConfig) -> list[tuple[str, dict[str, Any]]]:
    """Paths and manifests; requests, tolerations and names are those of k3s's ``manifests/coredns.yaml``."""
    metadata = {"name": "coredns", "namespace": "kube-system", "labels": _LABELS}
    ports = [("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP")]
    container = {
        "name": "coredns",
        "image": _IMAGE,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
        "ports": [{"name": name, "containerPort": port, "protocol": protocol} for name, port, protocol in ports],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["all"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    tolerations = [
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
    ]
    pod = {
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": tolerations,
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "config-volume", "configMap": {"name": "coredns"}}],
    }
    deployment = {
        "metadata": metadata,
        "spec": {
            "revisionHistoryLimit": 0,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
            "template": {"metadata": {"labels": {"k8s-app": "kube-dns"}}, "spec": pod},
        },
    }
    service = {
        "metadata": {
            **metadata,
            "name": "kube-dns",
            "labels": {**_LABELS, "kubernetes.io/cluster-service": "true"},
        },
        "spec": {
            "selector": {"k8s-app": "kube-dns"},
            "clusterIP": config.dns_address,
            "ports": [{"name": name, "port": port, "protocol": protocol} for name, port, protocol in ports],
        },
    }
    domain = config.text("cluster-domain")
    data = {"Corefile": f".:53 {{\n    kubernetes {domain} in-addr.arpa ip6.arpa\n}}\n", "NodeHosts": ""}
    here = "/namespaces/kube-system"
    return [
        (f"/api/v1{here}/serviceaccounts", {"metadata": metadata}),
        (f"/api/v1{here}/configmaps", {"metadata": metadata, "data": data}),
        (f"/api/v1{here}/services", service),
        (f"/apis/apps/v1{here}/deployments", deployment),
    ]
