"""Decides what NetworkPolicies, CiliumNetworkPolicies and CiliumClusterwideNetworkPolicies let through.

Written from the specifications: a pod that no policy selects in a direction is open in it; one that is selected gets only
what a rule of some policy allows; a deny rule beats every allow. Only what our policies use is understood: whatever else
stands in one is refused, never passed over. The plain part is held against cyclonus (test_evaluator.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
CLUSTER_NODES = ("host", "remote-node", "kube-apiserver")
Manifest = Mapping[str, Any]


class NotUnderstoodError(ValueError):
    """A policy says something that is not evaluated here."""


@dataclass(frozen=True)
class Pod:
    """A pod."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "10.42.0.10"
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Beside its name, which Kubernetes adds by itself."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """Its named ports."""

    @property
    def all_namespace_labels(self) -> Mapping[str, str]:
        return {NAMESPACE_LABEL: self.namespace, **self.namespace_labels}


@dataclass(frozen=True)
class Outside:
    """An address outside the cluster."""

    address: str


@dataclass(frozen=True)
class Node:
    """A machine of the cluster, by the entities that Cilium knows it as."""

    entities: frozenset[str]

    def __post_init__(self) -> None:
        assert self.entities <= set(CLUSTER_NODES)


HOST = Node(frozenset({"host"}))
"""The pod's own machine."""
REMOTE = Node(frozenset({"remote-node"}))
API_SERVER = Node(frozenset({"remote-node", "kube-apiserver"}))

End = Pod | Outside | Node


@dataclass(frozen=True)
class Verdict:
    """What became of a connection."""

    egress: bool
    ingress: bool

    @property
    def allowed(self) -> bool:
        return self.egress and self.ingress


class Evaluator:
    """A set of policies.

    Args:
        policies: Manifests; kinds that are none of the three are refused.
        blocks_mean_pods: Whether an ``ipBlock`` matches a pod's address, as the specification of NetworkPolicy leaves open
            and cyclonus does. Cilium knows pods and machines by identity: an address range never means one of them.
    """

    def __init__(self, policies: Iterable[Manifest], *, blocks_mean_pods: bool = False) -> None:
        self.blocks_mean_pods = blocks_mean_pods
        self._rules: dict[str, list[_Policy]] = {"ingress": [], "egress": []}
        for manifest in policies:
            for direction in ("ingress", "egress"):
                self._rules[direction] += _read(manifest, direction)

    def verdict(self, source: End, destination: End, port: int, protocol: str = "TCP") -> Verdict:
        """Whether each of the two sides lets this through."""
        return Verdict(
            egress=self._passes("egress", source, destination, destination, port, protocol),
            ingress=self._passes("ingress", destination, source, destination, port, protocol),
        )

    def allows(self, source: End, destination: End, port: int, protocol: str = "TCP") -> bool:
        """Whether both sides let this through."""
        return self.verdict(source, destination, port, protocol).allowed

    def selected(self, pod: Pod, direction: str) -> bool:
        """Whether any policy puts the pod into default deny in this direction."""
        return any(policy.denies_by_default and policy.selects(pod) for policy in self._rules[direction])

    def _passes(self, direction: str, subject: End, other: End, receiver: End, port: int, protocol: str) -> bool:
        if not isinstance(subject, Pod):
            return True  # Host policies are not ours: what no policy selects is open.
        if direction == "ingress" and other == HOST:
            return True  # A pod's own machine always gets through: its kubelet probes it.
        policies = [policy for policy in self._rules[direction] if policy.selects(subject)]
        for policy in policies:
            if any(
                rule.matches(policy, other, receiver, port, protocol, self.blocks_mean_pods) for rule in policy.deny
            ):
                return False
        if not any(policy.denies_by_default for policy in policies):
            return True
        return any(
            rule.matches(policy, other, receiver, port, protocol, self.blocks_mean_pods)
            for policy in policies
            for rule in policy.allow
        )


@dataclass(frozen=True)
class _Rule:
    peers: Sequence[Mapping[str, Any]] | None
    """None: everybody."""
    ports: Sequence[Mapping[str, Any]] | None
    """None: every port."""

    def matches(
        self, policy: "_Policy", other: End, receiver: End, port: int, protocol: str, blocks_mean_pods: bool
    ) -> bool:
        named = self.peers is None or any(_is(policy, peer, other, blocks_mean_pods) for peer in self.peers)
        return named and (self.ports is None or any(_is_port(each, receiver, port, protocol) for each in self.ports))


@dataclass(frozen=True)
class _Policy:
    namespace: str | None
    """None: of the whole cluster."""
    selector: Mapping[str, Any]
    denies_by_default: bool
    allow: Sequence[_Rule]
    deny: Sequence[_Rule] = ()

    def selects(self, pod: Pod) -> bool:
        if self.namespace is not None:
            return self.namespace == pod.namespace and selects(self.selector, pod.labels)
        return selects(self.selector, _cilium_labels(pod))


def _read(manifest: Manifest, direction: str) -> list[_Policy]:
    kind, spec = manifest["kind"], manifest["spec"]
    if kind == "NetworkPolicy":
        return _plain(manifest, spec, direction)
    if kind in ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy"):
        return [_cilium(manifest, spec, direction)]
    raise NotUnderstoodError(f"{kind} is no policy that is evaluated here")


def _plain(manifest: Manifest, spec: Mapping[str, Any], direction: str) -> list[_Policy]:
    _only("spec", spec, "podSelector", "policyTypes", "ingress", "egress")
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    if direction.capitalize() not in types:
        return []
    side = "from" if direction == "ingress" else "to"
    rules: list[_Rule] = []
    for rule in spec.get(direction) or ():
        _only(direction, rule, side, "ports")
        peers = [_plain_peer(peer) for peer in rule[side]] if rule.get(side) else None
        ports = [_plain_port(port) for port in rule["ports"]] if rule.get("ports") else None
        rules.append(_Rule(peers, ports))
    namespace = manifest["metadata"].get("namespace", "default")
    return [_Policy(namespace, spec.get("podSelector") or {}, denies_by_default=True, allow=rules)]


def _plain_peer(peer: Mapping[str, Any]) -> Mapping[str, Any]:
    _only("peer", peer, "podSelector", "namespaceSelector", "ipBlock")
    if "ipBlock" in peer:
        if len(peer) > 1:
            raise NotUnderstoodError("ipBlock stands beside a selector")
        _only("ipBlock", peer["ipBlock"], "cidr", "except")
    return peer


def _plain_port(port: Mapping[str, Any]) -> Mapping[str, Any]:
    _only("port", port, "protocol", "port", "endPort")
    return {"protocol": port.get("protocol", "TCP"), "port": port.get("port"), "end": port.get("endPort")}


def _cilium(manifest: Manifest, spec: Mapping[str, Any], direction: str) -> _Policy:
    known = ("endpointSelector", "ingress", "egress", "ingressDeny", "egressDeny", "enableDefaultDeny", "description")
    _only("spec", spec, *known)
    if "endpointSelector" not in spec:
        raise NotUnderstoodError("a policy of Cilium without endpointSelector")
    namespace = manifest["metadata"].get("namespace")
    if (manifest["kind"] == "CiliumNetworkPolicy") != (namespace is not None):
        raise NotUnderstoodError(f"{manifest['metadata']['name']}: kind and namespace do not fit")
    allow = [_cilium_rule(rule, direction, deny=False) for rule in spec.get(direction) or ()]
    deny = [_cilium_rule(rule, direction, deny=True) for rule in spec.get(f"{direction}Deny") or ()]
    has_section = direction in spec or f"{direction}Deny" in spec
    default = spec.get("enableDefaultDeny", {}).get(direction, has_section)
    return _Policy(namespace, spec["endpointSelector"], denies_by_default=default, allow=allow, deny=deny)


def _cilium_rule(rule: Mapping[str, Any], direction: str, *, deny: bool) -> _Rule:
    side = "from" if direction == "ingress" else "to"
    _only(direction, rule, f"{side}Endpoints", f"{side}Entities", f"{side}CIDR", f"{side}CIDRSet", "toPorts")
    peers: list[Mapping[str, Any]] = []
    named = False
    for key, word in (("Endpoints", "endpoint"), ("Entities", "entity"), ("CIDR", "cidr"), ("CIDRSet", "cidrSet")):
        if f"{side}{key}" in rule:
            named = True
            peers += [{word: each} for each in rule[f"{side}{key}"]]
    ports: list[Mapping[str, Any]] = []
    for group in rule.get("toPorts") or ():
        _only("toPorts", group, "ports")
        for port in group["ports"]:
            _only("port", port, "port", "protocol", "endPort")
            number = port["port"]
            ports.append(
                {
                    "protocol": port.get("protocol", "ANY"),
                    "port": int(number) if str(number).isdigit() else number,
                    "end": port.get("endPort"),
                }
            )
    if not named and not deny and "toPorts" not in rule and rule:
        raise NotUnderstoodError(f"a rule that names nobody: {rule}")
    # An empty list of peers matches nobody; a rule of ports alone matches everybody; an empty rule allows nothing.
    return _Rule(peers if named or not rule else None, ports if "toPorts" in rule else None)


def _is(policy: _Policy, peer: Mapping[str, Any], other: End, blocks_mean_pods: bool) -> bool:
    match peer:
        case {"ipBlock": block}:
            return _in_block(block["cidr"], block.get("except") or (), other, blocks_mean_pods)
        case {"cidr": cidr}:
            return _in_block(cidr, (), other, blocks_mean_pods=False)
        case {"cidrSet": block}:
            _only("CIDRSet", block, "cidr", "except")
            return _in_block(block["cidr"], block.get("except") or (), other, blocks_mean_pods=False)
        case {"entity": name}:
            return _is_entity(name, other)
        case {"endpoint": selector}:
            return isinstance(other, Pod) and _is_endpoint(policy, selector, other)
        case _:
            return isinstance(other, Pod) and _is_pod(policy, peer, other)


def _is_pod(policy: _Policy, peer: Mapping[str, Any], pod: Pod) -> bool:
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"] or {}, pod.all_namespace_labels):
            return False
    elif pod.namespace != policy.namespace:
        return False
    return selects(peer.get("podSelector") or {}, pod.labels)


def _is_endpoint(policy: _Policy, selector: Mapping[str, Any], pod: Pod) -> bool:
    keys = [*selector.get("matchLabels", {}), *(each["key"] for each in selector.get("matchExpressions", ()))]
    elsewhere = any(
        _stripped(key).startswith("io.kubernetes.pod.namespace") or "namespace.labels" in key for key in keys
    )
    if policy.namespace is not None and not elsewhere and pod.namespace != policy.namespace:
        return False
    return selects(selector, _cilium_labels(pod))


def _is_entity(name: str, other: End) -> bool:
    match name:
        case "all":
            return True
        case "world":
            return isinstance(other, Outside)
        case "cluster":
            return not isinstance(other, Outside)
        case "host" | "remote-node" | "kube-apiserver":
            return isinstance(other, Node) and name in other.entities
        case _:
            raise NotUnderstoodError(f"the entity {name!r}")


def _in_block(cidr: str, excluded: Iterable[str], other: End, blocks_mean_pods: bool) -> bool:
    if isinstance(other, Node) or (isinstance(other, Pod) and not blocks_mean_pods):
        return False
    address = ip_address(other.address)
    return address in ip_network(cidr) and not any(address in ip_network(each) for each in excluded)


def _is_port(wanted: Mapping[str, Any], receiver: End, port: int, protocol: str) -> bool:
    if wanted["protocol"] not in (protocol, "ANY"):
        return False
    number = wanted["port"]
    if number is None:
        return True
    if isinstance(number, str):
        number = receiver.ports.get(number) if isinstance(receiver, Pod) else None
    if wanted["end"] is not None:
        return number is not None and number <= port <= wanted["end"]
    return number == port


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches everything."""
    _only("selector", selector, "matchLabels", "matchExpressions")
    given = {_stripped(key): value for key, value in labels.items()}
    if any(given.get(_stripped(key)) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expressed(each, given) for each in selector.get("matchExpressions") or ())


def _expressed(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = _stripped(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values if key in labels else False
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise NotUnderstoodError(f"the operator {other!r}")


def _stripped(key: str) -> str:
    return key.removeprefix("k8s:").removeprefix("any:")


def _cilium_labels(pod: Pod) -> dict[str, str]:
    """A pod's labels as Cilium knows them: its namespace and that one's labels are among them."""
    namespaces = {f"io.cilium.k8s.namespace.labels.{key}": value for key, value in pod.all_namespace_labels.items()}
    return {**pod.labels, **namespaces, "io.kubernetes.pod.namespace": pod.namespace}


def _only(what: str, given: Mapping[str, Any], *known: str) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise NotUnderstoodError(f"{what} has {', '.join(unknown)}")
