"""Who may talk to whom, by the policies that the components make: tests/network/connections.yaml is the statement."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.policy import EXEMPT_NAMESPACES
from tests.network.cyclonus import answers, cyclonus
from tests.network.evaluator import Evaluator, Node, Pod
from tests.network.platform import SYSTEM_NAMESPACES, end, made, service_policy
from tests.rules import rules

Policies = Sequence[Mapping[str, Any]]
TABLE: dict[str, dict[str, list[list[str]]]] = yaml.safe_load(
    (Path(__file__).parent / "connections.yaml").read_text(encoding="utf-8")
)


def rows() -> Iterator[tuple[str, str, str, int, str, bool]]:
    for topic, sides in TABLE.items():
        for side, connections in sides.items():
            for source, destination, ports, *protocol in connections:
                for port in ports.split(","):
                    yield topic, source, destination, int(port), protocol[0] if protocol else "TCP", side == "allow"


def policies() -> list[Mapping[str, Any]]:
    return [*made().policies, service_policy("orders-production")]


def wrong(given: Policies) -> list[str]:
    """What the table says otherwise than the policies do."""
    evaluator = Evaluator(given)
    return [
        f"{topic}: {source} to {destination} {protocol} {port} should {'' if expected else 'not '}pass"
        for topic, source, destination, port, protocol, expected in rows()
        if evaluator.allows(end(source), end(destination), port, protocol) is not expected
    ]


def test_every_connection_is_allowed_or_denied_as_stated() -> None:
    assert wrong(policies()) == []


def test_cyclonus_agrees_about_what_plain_policies_decide_alone(tmp_path: Path) -> None:
    """Where neither machines nor Cilium's own policies are in it."""
    given = policies()
    plain = [each for each in given if each["kind"] == "NetworkPolicy"]
    evaluator = Evaluator(plain)
    asked = [
        (end(source), end(destination), port, protocol)
        for _, source, destination, port, protocol, _ in rows()
        if not isinstance(end(source), Node) and not isinstance(end(destination), Node)
    ]
    ours = [evaluator.allows(*each) for each in asked]
    assert answers(cyclonus(), tmp_path, plain, asked) == ours
    assert (True in ours, False in ours, len(ours) > 150) == (True, True, True)


def open_namespaces(given: Policies) -> set[tuple[str, str]]:
    """Namespaces where a pod that no flow is about is open in a direction."""
    evaluator = Evaluator(given)
    return {
        (name, direction)
        for name in {*made().namespaces, *SYSTEM_NAMESPACES}
        for direction in ("ingress", "egress")
        if not evaluator.selected(Pod(name, {"any": "pod"}), direction)
    }


def test_every_namespace_denies_by_default_in_both_directions() -> None:
    assert open_namespaces(policies()) == set()
    assert open_namespaces([]) == {
        (name, way) for name in {*made().namespaces, *SYSTEM_NAMESPACES} for way in ("ingress", "egress")
    }


@pytest.mark.parametrize("namespace", sorted({"kube-system", "orders-production", "openbao", "traefik", "platform"}))
def test_a_namespace_without_policies_is_noticed(namespace: str) -> None:
    given = [each for each in policies() if each["metadata"].get("namespace") != namespace]
    assert open_namespaces(given) == {(namespace, "ingress"), (namespace, "egress")}


def test_the_platforms_namespaces_are_there() -> None:
    assert set(EXEMPT_NAMESPACES) - {"monitoring", "argocd", "vault", "kube-public", "kube-node-lease"} <= {
        *made().namespaces,
        *SYSTEM_NAMESPACES,
        "default",
    }


def test_the_tables_namespaces_exist() -> None:
    """A misspelt one would be denied everything, and prove nothing."""
    named = {name.partition("/")[0] for _, *pair, _, _, _ in rows() for name in pair[:2] if "/" in name}
    assert named - {*made().namespaces, *SYSTEM_NAMESPACES} == {"monitoring", "nowhere"}


# --- negative controls: each change of the policies is noticed by the table


Change = Callable[[Any, Any], object]
"""Of a policy's spec, and of one of its rules."""


def without(name: str, namespace: str | None = None) -> list[Mapping[str, Any]]:
    """The policies but those of a name."""
    kept = [
        each
        for each in policies()
        if not (each["metadata"]["name"] == name and namespace in (None, each["metadata"].get("namespace")))
    ]
    assert len(kept) < len(policies()), f"there is no {name}"
    return kept


def changed(namespace: str, flow: str, change: Change) -> list[Mapping[str, Any]]:
    """With another rule of a flow; where it has one of Cilium's too, it is the plain policy's."""
    given = copy.deepcopy(policies())
    rule = max(rules(given, flow, namespace), key=lambda each: each.policy["kind"])
    change(rule.policy["spec"], rule.content)
    return given


def without_flow(flow: str, namespace: str) -> list[Mapping[str, Any]]:
    given = copy.deepcopy(policies())
    for rule in rules(given, flow, namespace):
        del rule.policy["spec"][rule.direction][rule.index]
    return given


def test_default_deny_is_what_keeps_strangers_from_pods_that_no_flow_is_about() -> None:
    assert set(wrong(without("default-deny", "kube-system"))) == {
        f"names: 203.0.113.7 to kube-system/other=x TCP {port} should not pass" for port in (80, 10250)
    }


# The flows of a tenant select all its pods, in both directions: default deny is the second wall there.
@pytest.mark.parametrize("namespace", ["orders-production", "billing-production", "platform", "openbao", "traefik"])
def test_a_namespace_that_is_open_is_noticed(namespace: str) -> None:
    assert wrong([each for each in policies() if each["metadata"].get("namespace") != namespace]) != []


def test_metadata_without_its_denial_is_noticed_where_all_addresses_are_open() -> None:
    everywhere = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "too-much", "namespace": "orders-production"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}],
        },
    }
    to_metadata = "169.254.169.254"
    assert not any(to_metadata in each for each in wrong([*policies(), everywhere]))
    assert any(to_metadata in each for each in wrong([*without("deny-metadata"), everywhere]))
    assert any("nowhere/" in each for each in wrong(without("deny-metadata")))


def all_namespaces(side: str) -> Change:
    return lambda _, rule: rule.update({side: [{"namespaceSelector": {}}]})


# Namespace, flow, change, and the namespace whose own policies are taken out: what is let through on one side only is
# still kept out by the other.
WIDENED: dict[str, tuple[str, str, Change, str | None]] = {
    "every namespace into the mesh's port": (
        "orders-production",
        "mesh-in",
        all_namespaces("from"),
        "billing-production",
    ),
    "a tenant to every namespace": (
        "orders-production",
        "within",
        all_namespaces("to"),
        "billing-production",
    ),
    "Traefik's port to everybody": (
        "traefik",
        "load-balancer",
        lambda _, rule: rule.update({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}),
        None,
    ),
    "every port of the database": (
        "orders-production",
        "to-postgres",
        lambda _, rule: rule.pop("ports"),
        None,
    ),
    "databases without asking": (
        "orders-production",
        "to-postgres",
        lambda spec, _: spec.update({"podSelector": {}}),
        None,
    ),
    "the whole network of databases": (
        "orders-production",
        "to-postgres",
        lambda _, rule: rule.update({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}),
        None,
    ),
    "private addresses as internet": (
        "orders-production",
        "to-internet",
        lambda _, rule: rule["to"][0]["ipBlock"].pop("except"),
        None,
    ),
    "the API server without asking": (
        "orders-production",
        "to-api-server",
        lambda spec, _: spec.update({"endpointSelector": {}}),
        None,
    ),
    "all machines as API server": (
        "orders-production",
        "to-api-server",
        lambda _, rule: rule.update({"toEntities": ["kube-apiserver", "remote-node"]}),
        None,
    ),
    "OpenBao for every namespace": ("openbao", "from-external-secrets", all_namespaces("from"), "platform"),
    "names from everywhere": ("kube-system", "dns-asked", lambda _, rule: rule.pop("from"), None),
}


@pytest.mark.parametrize("case", WIDENED)
def test_a_widened_policy_is_noticed(case: str) -> None:
    namespace, flow, change, opened = WIDENED[case]

    def seen(given: Policies) -> set[str]:
        return set(wrong([each for each in given if opened is None or each["metadata"].get("namespace") != opened]))

    assert seen(changed(namespace, flow, change)) - seen(policies()) != set()


@pytest.mark.parametrize(
    ("flow", "namespace"),
    [
        ("dns", "orders-production"),
        ("mesh-control", "billing-production"),
        ("mesh-metrics", "orders-production"),
        ("to-postgres", "orders-production"),
        ("to-object-store", "orders-production"),
        ("to-internet", "orders-production"),
        ("to-api-server", "orders-production"),
        ("authentication", "platform"),
        ("webhooks", "gatekeeper-system"),
        ("load-balancer", "traefik"),
    ],
)
def test_a_missing_flow_is_noticed(flow: str, namespace: str) -> None:
    assert wrong(without_flow(flow, namespace)) != []
