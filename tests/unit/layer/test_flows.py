"""A namespace denies everything but names, and what its flows name: as plain policies say it, or as only Cilium can."""

from collections.abc import Callable

import pytest
import yaml

from components.layer import (
    CONTROL_PLANE,
    INTERNET,
    Addresses,
    Flow,
    Pods,
    from_api_server,
    from_prometheus,
    policies,
    to_api_server,
    within,
)
from tests.rules import all_rules

Golden = Callable[[str, str], None]

FLOWS = [
    to_api_server({"app": "controller"}),
    from_api_server(9443),
    from_prometheus(9090, 9091),
    *within("peers", 7000),
    Flow("web", "egress", [INTERNET], [443], {"hetzner-platform/internet": "allowed"}),
    Flow("both", "ingress", [CONTROL_PLANE, Pods("x", {"app": "a"}), Addresses("192.0.2.1/32")], [80]),
    Flow("everywhere", "ingress", [Pods(namespace_labels={})], [81], protocols=("UDP", "TCP")),
    Flow("labelled", "egress", [Pods(namespace_labels={"tenancy": "tenant"})]),
]


def test_flows_become_the_policies_that_were_reviewed(golden: Golden) -> None:
    golden("flows/policies.yaml", yaml.safe_dump_all(policies("orders", FLOWS), sort_keys=False))


def test_a_namespace_without_flows_allows_names_and_nothing_else() -> None:
    deny, allowed = policies("orders", [])
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (rule,) = allowed["spec"]["egress"]
    assert [(each["protocol"], each["port"]) for each in rule["ports"]] == [("UDP", 53), ("TCP", 53)]
    assert allowed["spec"].keys() == {"podSelector", "policyTypes", "egress"}


def test_what_is_for_the_same_pods_stands_in_one_policy_and_tells_why() -> None:
    asked = {"hetzner-platform/databases": "allowed"}
    other = {"app.kubernetes.io/name": "store", "app.kubernetes.io/component": "api"}
    made = {
        (each["kind"], each["metadata"]["name"]): each
        for each in policies(
            "orders",
            [
                Flow("callers", "ingress", [Pods("x"), CONTROL_PLANE], [80]),
                Flow("to-postgres", "egress", [Addresses("192.0.2.1/32")], [5432], asked),
                Flow("to-redis", "egress", [Addresses("192.0.2.1/32")], [6379], asked),
                Flow("api", "ingress", [Pods("y")], [], other),
            ],
        )
    }
    assert [*made] == [
        ("NetworkPolicy", "default-deny"),
        ("NetworkPolicy", "allowed"),
        ("CiliumNetworkPolicy", "allowed"),
        ("NetworkPolicy", "allowed-databases"),
        ("NetworkPolicy", "allowed-store-api"),
    ]
    everybody = made["NetworkPolicy", "allowed"]
    assert everybody["metadata"]["annotations"] == {
        "hetzner-platform/ingress": "callers",
        "hetzner-platform/egress": "dns",
    }
    assert everybody["spec"]["policyTypes"] == ["Ingress", "Egress"]
    databases = made["NetworkPolicy", "allowed-databases"]
    assert databases["metadata"]["annotations"] == {"hetzner-platform/egress": "to-postgres, to-redis"}
    assert [rule["ports"][0]["port"] for rule in databases["spec"]["egress"]] == [5432, 6379]
    assert databases["spec"]["podSelector"] == {"matchLabels": asked}
    assert made["NetworkPolicy", "allowed-store-api"]["spec"]["ingress"] == [
        {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "y"}}}]}
    ]


def test_sets_of_pods_that_would_share_a_name_are_refused() -> None:
    one, other = ({"a": "store"}, {"b": "store"})
    with pytest.raises(
        ValueError, match="namespace orders: several sets of pods would have the policy 'allowed-store'"
    ):
        policies("orders", [Flow("x", "ingress", [Pods()], [], one), Flow("y", "ingress", [Pods()], [], other)])


def test_machines_and_the_api_server_are_never_an_address_range() -> None:
    made = policies("orders", FLOWS)
    cilium = {rule.flow: rule for rule in all_rules(made) if rule.policy["kind"] == "CiliumNetworkPolicy"}
    assert cilium.keys() == {"to-api-server", "webhooks", "both"}
    assert cilium["to-api-server"].policy["spec"]["egress"] == [
        {"toEntities": ["kube-apiserver"], "toPorts": [{"ports": [{"port": "6443", "protocol": "TCP"}]}]}
    ]
    plain = {rule.flow for rule in all_rules(made) if rule.policy["kind"] == "NetworkPolicy"}
    assert plain & cilium.keys() == {"both"}


@pytest.mark.parametrize("name", ["metrics", "dns"])
def test_two_flows_of_one_name_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"namespace orders: two flows are named '{name}'"):
        policies("orders", [from_prometheus(1), Flow(name, "ingress", [Pods()])])


def test_a_flow_with_nobody_is_refused_since_it_would_mean_everybody() -> None:
    with pytest.raises(ValueError, match="the flow 'open' names nobody"):
        policies("orders", [Flow("open", "ingress", [])])
