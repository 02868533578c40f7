"""Who may talk to whom: the flows that a namespace allows beside the default, which is nothing.

Plain NetworkPolicies wherever these can say it. What only Cilium can say (the API server, the cluster's own machines) becomes
a CiliumNetworkPolicy: an address range never means a machine of the cluster there.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

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

Protocol = Literal["TCP", "UDP"]
Entity = Literal["kube-apiserver", "host", "remote-node", "world"]

DNS: Final = 53
DNS_PROTOCOLS: Final[Sequence[Protocol]] = ("UDP", "TCP")


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

_SERVICE: Final = re.compile(r"[a-z0-9-]+\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?\.?")


@dataclass(frozen=True)
class Flow:
    """Traffic that is let through, for one reason.

    Args:
        name: Why; unique in its namespace.
        direction: ``ingress`` into the namespace's pods, or ``egress`` out of them.
        peers: The other side, any of these.
        ports: Of the receiving pod (not of a Service); every port when empty.
        pods: Labels of the namespace's pods that it holds for; all when empty.
        protocols: Of the ports.
    """

    name: str
    direction: Literal["ingress", "egress"]
    peers: Sequence[Peer]
    ports: Sequence[int] = ()
    pods: Mapping[str, str] = field(default_factory=dict[str, str])
    protocols: Sequence[Protocol] = ("TCP",)


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


def behind(url: str) -> Pods | Addresses:
    """Who answers at a URL: pods of a Service's namespace, one IPv4 address, or the internet."""
    host = urlsplit(url).hostname or ""
    if found := _SERVICE.fullmatch(host):
        return Pods(found[1])
    try:
        return Addresses(f"{ipaddress.IPv4Address(host)}/32")
    except ValueError:
        return INTERNET


NAMES: Final = Flow("dns", "egress", [Pods("kube-system", {"k8s-app": "kube-dns"})], [DNS], protocols=DNS_PROTOCOLS)
"""Every pod may ask for names."""

Rules = Sequence[tuple[Flow, Manifest]]
"""What a policy says, and what for."""


def policies(namespace: str, flows: Iterable[Flow]) -> list[Manifest]:
    """The policies of a namespace: nothing in and nothing out, and what its flows and the asking for names let through.

    There is one for each set of pods that flows name, and a second one where only Cilium can say it. Annotations tell which
    flows its rules are for, in the rules' order.

    Raises:
        ValueError: two flows have one name, a flow has no peer, or two sets of pods would have policies of one name.
    """
    made = [_plain(namespace, "default-deny", {}, {"policyTypes": ["Ingress", "Egress"]})]
    for labels, chosen in _by_pods(namespace, [NAMES, *flows]).items():
        pods = dict(labels)
        name = _policy_name(pods)
        if rules := [(flow, rule) for flow in chosen if (rule := _rule(flow))]:
            spec = _by_direction(rules)
            spec["policyTypes"] = [direction.capitalize() for direction in spec]
            made.append(_plain(namespace, name, pods, spec, _reasons(rules)))
        if rules := [(flow, rule) for flow in chosen if (rule := _cilium_rule(flow))]:
            made.append(_cilium(namespace, name, pods, _by_direction(rules), _reasons(rules)))
    return made


def _by_pods(namespace: str, flows: Sequence[Flow]) -> dict[tuple[tuple[str, str], ...], list[Flow]]:
    """Flows by the labels of their pods."""
    sets: dict[tuple[tuple[str, str], ...], list[Flow]] = {}
    names: set[str] = set()
    for flow in flows:
        if flow.name in names:
            raise ValueError(f"namespace {namespace}: two flows are named {flow.name!r}")
        if not flow.peers:
            raise ValueError(f"namespace {namespace}: the flow {flow.name!r} names nobody")
        names.add(flow.name)
        sets.setdefault(tuple(flow.pods.items()), []).append(flow)
    told = [_policy_name(dict(labels)) for labels in sets]
    if twice := sorted({name for name in told if told.count(name) > 1}):
        raise ValueError(f"namespace {namespace}: several sets of pods would have the policy {twice[0]!r}: {[*sets]}")
    return sets


def _policy_name(pods: Mapping[str, str]) -> str:
    """``allowed``, and whom: a label's value, or the end of its key where the value is ``allowed`` as well."""
    whom = [key.rpartition("/")[2] if value == "allowed" else value for key, value in pods.items()]
    return "-".join(["allowed", *whom])


def _by_direction(rules: Rules) -> Manifest:
    directions = [way for way in ("ingress", "egress") if any(flow.direction == way for flow, _ in rules)]
    return {way: [rule for flow, rule in rules if flow.direction == way] for way in directions}


def _reasons(rules: Rules) -> dict[str, str]:
    return {
        f"hetzner-platform/{way}": ", ".join(flow.name for flow, _ in rules if flow.direction == way)
        for way in _by_direction(rules)
    }


def _rule(flow: Flow) -> Manifest | None:
    peers = [_peer(peer) for peer in flow.peers if not isinstance(peer, Entities)]
    if not peers:
        return None
    ports = [{"protocol": protocol, "port": port} for port in flow.ports for protocol in flow.protocols]
    return {"from" if flow.direction == "ingress" else "to": peers, **({"ports": ports} if ports else {})}


def _cilium_rule(flow: Flow) -> Manifest | None:
    entities = [name for peer in flow.peers if isinstance(peer, Entities) for name in peer.names]
    if not entities:
        return None
    ports = [{"port": str(port), "protocol": protocol} for port in flow.ports for protocol in flow.protocols]
    side = "fromEntities" if flow.direction == "ingress" else "toEntities"
    return {side: entities, **({"toPorts": [{"ports": ports}]} if ports else {})}


def _peer(peer: Pods | Addresses) -> Manifest:
    if isinstance(peer, Addresses):
        return {"ipBlock": {"cidr": peer.cidr, **({"except": list(peer.excluded)} if peer.excluded else {})}}
    made: Manifest = {}
    if peer.namespace_labels is not None:
        made["namespaceSelector"] = _selector(peer.namespace_labels)
    elif peer.namespace is not None:
        made["namespaceSelector"] = {"matchLabels": {NAMESPACE_LABEL: peer.namespace}}
    if peer.labels or not made:
        made["podSelector"] = _selector(peer.labels)
    return made


def _plain(
    namespace: str, name: str, pods: dict[str, str], spec: Manifest, annotations: Mapping[str, str] | None = None
) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(namespace, name, annotations),
        "spec": {"podSelector": _selector(pods), **spec},
    }


def _cilium(
    namespace: str, name: str, pods: dict[str, str], spec: Manifest, annotations: Mapping[str, str]
) -> Manifest:
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": _metadata(namespace, name, annotations),
        "spec": {"endpointSelector": _selector(pods), **spec},
    }


def _metadata(namespace: str, name: str, annotations: Mapping[str, str] | None) -> Manifest:
    return {"name": name, "namespace": namespace, **({"annotations": dict(annotations)} if annotations else {})}


def _selector(labels: Mapping[str, str]) -> Manifest:
    return {"matchLabels": dict(labels)} if labels else {}
