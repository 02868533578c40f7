"""Who may talk to whom: the flows that a namespace allows beside the default, which is nothing.

Plain NetworkPolicies wherever these can say it. What only Cilium can say (the API server, the cluster's own machines) becomes
a CiliumNetworkPolicy: an address range never means a machine of the cluster there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Manifest = dict[str, Any]

NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
METADATA: Final = "169.254.169.254/32"
"""Hetzner's metadata service: it tells a machine's user_data, and so how to join the cluster."""

PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
"""What is never meant by the internet."""

INGRESS: Final = "traefik"
"""Namespace of the ingress controller, which every layer above names as a caller."""

MONITORING: Final = "monitoring"
"""Namespace of whoever reads figures."""

DNS: Final = 53

Protocol = Literal["TCP", "UDP"]
Entity = Literal["kube-apiserver", "host", "remote-node", "world"]


@dataclass(frozen=True)
class Pods:
    """Pods of the cluster."""

    namespace: str | None = None
    """Its name; the policy's own when None."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the pods; all when empty."""
    namespace_labels: Mapping[str, str] | None = None
    """Instead of a name: every namespace with these labels; all namespaces when empty."""


@dataclass(frozen=True)
class Addresses:
    """Addresses outside the cluster."""

    cidr: str
    excluded: Sequence[str] = ()


@dataclass(frozen=True)
class Entities:
    """What Cilium knows by a name: the API server, the pod's own machine, the cluster's other machines."""

    names: Sequence[Entity]


Peer = Pods | Addresses | Entities

API_SERVER: Final = Entities(("kube-apiserver",))
"""As a destination."""
CONTROL_PLANE: Final = Entities(("kube-apiserver", "host", "remote-node"))
"""As a source: an API server that calls a webhook comes from its machine."""
MACHINES: Final = Entities(("host", "remote-node"))
INTERNET: Final = Addresses("0.0.0.0/0", PRIVATE)


@dataclass(frozen=True)
class Flow:
    """Traffic that is let through, for one reason.

    Args:
        name: Why; names the policy, unique in its namespace.
        direction: ``ingress`` into the namespace's pods, or ``egress`` out of them.
        peers: The other side, any of these.
        ports: Of the receiving pod (not of a Service); every port when empty.
        pods: Labels of the namespace's pods that it holds for; all when empty.
        protocol: Of the ports.
    """

    name: str
    direction: Literal["ingress", "egress"]
    peers: Sequence[Peer]
    ports: Sequence[int] = ()
    pods: Mapping[str, str] = field(default_factory=dict[str, str])
    protocol: Protocol = "TCP"


def to_api_server(pods: Mapping[str, str] | None = None) -> Flow:
    """Controllers ask the API; on a server that is port 6443, whatever port the Service shows."""
    return Flow("to-api-server", "egress", [API_SERVER], [6443], pods or {})


def from_api_server(*ports: int, pods: Mapping[str, str] | None = None, name: str = "webhooks") -> Flow:
    """The API server calls webhooks and aggregated APIs."""
    return Flow(name, "ingress", [CONTROL_PLANE], ports, pods or {})


def within(name: str = "within", *ports: int, pods: Mapping[str, str] | None = None) -> tuple[Flow, Flow]:
    """Pods of the namespace talk to each other."""
    chosen = pods or {}
    return (
        Flow(f"{name}-in", "ingress", [Pods(labels=chosen)], ports, chosen),
        Flow(f"{name}-out", "egress", [Pods(labels=chosen)], ports, chosen),
    )


def from_prometheus(*ports: int, pods: Mapping[str, str] | None = None) -> Flow:
    """Prometheus reads metrics."""
    return Flow("metrics", "ingress", [Pods(MONITORING)], ports, pods or {})


def default_policies(namespace: str) -> list[Manifest]:
    """Nothing in, nothing out, but names: the policies of a namespace without any flow."""
    resolver = {"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: "kube-system"}}}
    resolver |= {"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    ports = [{"protocol": protocol, "port": DNS} for protocol in ("UDP", "TCP")]
    return [
        _policy(namespace, "default-deny", {}, {"policyTypes": ["Ingress", "Egress"]}),
        _policy(namespace, "dns", {}, {"policyTypes": ["Egress"], "egress": [{"to": [resolver], "ports": ports}]}),
    ]


def policies(namespace: str, flows: Iterable[Flow]) -> list[Manifest]:
    """The policies of a namespace: the defaults, and one or two for each flow.

    Raises:
        ValueError: two flows have one name, or a flow has no peer.
    """
    made = default_policies(namespace)
    names = {policy["metadata"]["name"] for policy in made}
    for flow in flows:
        if flow.name in names:
            raise ValueError(f"namespace {namespace}: two flows are named {flow.name!r}")
        if not flow.peers:
            raise ValueError(f"namespace {namespace}: the flow {flow.name!r} names nobody")
        names.add(flow.name)
        plain = [peer for peer in flow.peers if not isinstance(peer, Entities)]
        entities = [name for peer in flow.peers if isinstance(peer, Entities) for name in peer.names]
        if plain:
            made.append(_plain(namespace, flow, plain))
        if entities:
            made.append(_cilium(namespace, flow, entities))
    return made


def _plain(namespace: str, flow: Flow, peers: Iterable[Pods | Addresses]) -> Manifest:
    rule: Manifest = {"from" if flow.direction == "ingress" else "to": [_peer(peer) for peer in peers]}
    if flow.ports:
        rule["ports"] = [{"protocol": flow.protocol, "port": port} for port in flow.ports]
    spec = {"policyTypes": [flow.direction.capitalize()], flow.direction: [rule]}
    return _policy(namespace, flow.name, flow.pods, spec)


def _peer(peer: Pods | Addresses) -> Manifest:
    if isinstance(peer, Addresses):
        return {"ipBlock": {"cidr": peer.cidr, **({"except": list(peer.excluded)} if peer.excluded else {})}}
    made: Manifest = {}
    if peer.namespace_labels is not None:
        made["namespaceSelector"] = {"matchLabels": dict(peer.namespace_labels)} if peer.namespace_labels else {}
    elif peer.namespace is not None:
        made["namespaceSelector"] = {"matchLabels": {NAMESPACE_LABEL: peer.namespace}}
    if peer.labels or not made:
        made["podSelector"] = {"matchLabels": dict(peer.labels)} if peer.labels else {}
    return made


def _policy(namespace: str, name: str, pods: Mapping[str, str], spec: Manifest) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": {"matchLabels": dict(pods)} if pods else {}, **spec},
    }


def _cilium(namespace: str, flow: Flow, entities: Sequence[str]) -> Manifest:
    rule: Manifest = {f"{'from' if flow.direction == 'ingress' else 'to'}Entities": list(entities)}
    if flow.ports:
        ports = [{"port": str(port), "protocol": flow.protocol} for port in flow.ports]
        rule["toPorts"] = [{"ports": ports}]
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": flow.name, "namespace": namespace},
        "spec": {
            "endpointSelector": {"matchLabels": dict(flow.pods)} if flow.pods else {},
            flow.direction: [rule],
        },
    }
