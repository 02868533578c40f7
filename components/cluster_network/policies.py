"""Policies that hold in the whole cluster, and those of kube-system.

Pods in the host's network (Cilium, its operator and proxies, the cloud controller, hcloud-csi's node pods) are selected
by none of them: what keeps those from the metadata service is the machine's own rule (components/cluster/files/metadata.nft).
"""

from collections.abc import Sequence
from typing import Any, Final

from ..layer import (
    CONTROL_PLANE,
    DNS,
    DNS_PROTOCOLS,
    INTERNET,
    MACHINES,
    MONITORING,
    Addresses,
    Flow,
    Pods,
    to_api_server,
)
from ..layer.flows import METADATA

RESOLVERS: Final = ("185.12.64.1", "185.12.64.2")
"""Hetzner's recursive resolvers, which its images put into resolv.conf (docs.hetzner.com, Recursive name servers)."""

_DNS: Final = {"k8s-app": "kube-dns"}
"""CoreDNS as k3s installs it."""
_METRICS: Final = {"app.kubernetes.io/name": "metrics-server"}
_RELAY: Final = {"k8s-app": "hubble-relay"}
_VOLUMES: Final = {"app.kubernetes.io/name": "hcloud-csi", "app.kubernetes.io/component": "controller"}


def deny_metadata() -> dict[str, Any]:
    """No pod reaches the metadata service, whatever else it is allowed; nothing else changes for any pod."""
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": "deny-metadata"},
        "spec": {
            "description": "The metadata service tells a machine's user_data, and so how to join the cluster.",
            "endpointSelector": {},
            "enableDefaultDeny": {"ingress": False, "egress": False},
            "egressDeny": [{"toCIDR": [METADATA]}],
        },
    }


def system_flows(resolvers: Sequence[str] = RESOLVERS) -> list[Flow]:
    """What kube-system allows.

    Args:
        resolvers: Whom CoreDNS asks what is not the cluster's: the name servers in the machines' resolv.conf, IPv4.
    """
    upstream = [Addresses(f"{resolver}/32") for resolver in resolvers]
    # Pods in the host's network ask too, and those of other machines are no pods to Cilium.
    asking = [Pods(namespace_labels={}), MACHINES]
    return [
        to_api_server(),
        Flow("dns-asked", "ingress", asking, [DNS], _DNS, DNS_PROTOCOLS),
        Flow("dns-upstream", "egress", upstream, [DNS], _DNS, DNS_PROTOCOLS),
        Flow("dns-metrics", "ingress", [Pods(MONITORING)], [9153], _DNS),
        Flow("resource-metrics", "ingress", [CONTROL_PLANE, Pods(MONITORING)], [10250], _METRICS),
        Flow("kubelets", "egress", [MACHINES], [10250], _METRICS),
        # Nobody asks the relay over the network: `hubble` comes through a port-forward, inside the pod.
        Flow("hubble-peers", "egress", [MACHINES], [4244], _RELAY),
        Flow("volumes-in-cloud", "egress", [INTERNET], [443], _VOLUMES),
        Flow("volumes-metrics", "ingress", [Pods(MONITORING)], [9189], _VOLUMES),
    ]
