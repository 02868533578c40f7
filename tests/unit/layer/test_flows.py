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

Golden = Callable[[str, str], None]

FLOWS = [
    to_api_server({"app": "controller"}),
    from_api_server(9443),
    from_prometheus(9090, 9091),
    *within("peers", 7000),
    Flow("web", "egress", [INTERNET], [443], {"hetzner-platform/internet": "allowed"}),
    Flow("both", "ingress", [CONTROL_PLANE, Pods("x", {"app": "a"}), Addresses("192.0.2.1/32")], [80]),
    Flow("everywhere", "ingress", [Pods(namespace_labels={})], [81], protocol="UDP"),
    Flow("labelled", "egress", [Pods(namespace_labels={"tenancy": "tenant"})]),
]


def test_flows_become_the_policies_that_were_reviewed(golden: Golden) -> None:
    golden("flows/policies.yaml", yaml.safe_dump_all(policies("orders", FLOWS), sort_keys=False))


def test_a_namespace_without_flows_allows_names_and_nothing_else() -> None:
    deny, dns = policies("orders", [])
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert [each["port"] for each in dns["spec"]["egress"][0]["ports"]] == [53, 53]


def test_machines_and_the_api_server_are_never_an_address_range() -> None:
    cilium = [each for each in policies("orders", FLOWS) if each["kind"] == "CiliumNetworkPolicy"]
    assert [each["metadata"]["name"] for each in cilium] == ["to-api-server", "webhooks", "both"]
    assert cilium[0]["spec"]["egress"] == [
        {"toEntities": ["kube-apiserver"], "toPorts": [{"ports": [{"port": "6443", "protocol": "TCP"}]}]}
    ]


def test_two_flows_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="namespace orders: two flows are named 'metrics'"):
        policies("orders", [from_prometheus(1), from_prometheus(2)])


@pytest.mark.parametrize("name", ["default-deny", "dns"])
def test_a_flow_cannot_take_the_place_of_a_default(name: str) -> None:
    with pytest.raises(ValueError, match=f"two flows are named '{name}'"):
        policies("orders", [Flow(name, "ingress", [Pods()])])


def test_a_flow_with_nobody_is_refused_since_it_would_mean_everybody() -> None:
    with pytest.raises(ValueError, match="the flow 'open' names nobody"):
        policies("orders", [Flow("open", "ingress", [])])
