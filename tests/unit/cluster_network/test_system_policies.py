"""kube-system's policies and the one of the whole cluster, from plain data."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import yaml

from components.cluster_network import RESOLVERS, deny_metadata, system_flows
from components.layer import policies
from tests import upstream
from tests.rules import Rule, rules


def all_policies() -> list[dict[str, Any]]:
    return [deny_metadata(), *policies("kube-system", system_flows())]


def schema(kind: str) -> dict[str, Any]:
    """Cilium's own schema of a kind's specification."""
    path = upstream.required(f"cilium/schemas/{kind.lower()}_v2.json")
    # Go's \PC (no control character) is none of Python's expressions.
    return json.loads(path.read_text().replace(r"\\PC", r"[^\\x00-\\x1f]"))["properties"]["spec"]


def found(flow: str) -> list[Rule]:
    """The rules for a flow, Cilium's first."""
    return sorted(rules(policies("kube-system", system_flows()), flow), key=lambda rule: rule.policy["kind"])


def test_policies_are_as_reviewed(golden: Callable[[str, str], None]) -> None:
    golden("cluster_network/policies.yaml", yaml.safe_dump_all(all_policies(), sort_keys=False))


def test_no_pod_reaches_the_metadata_service_and_nothing_else_is_denied_by_that() -> None:
    spec = deny_metadata()["spec"]
    assert spec["endpointSelector"] == {}
    assert spec["egressDeny"] == [{"toCIDR": ["169.254.169.254/32"]}]
    # Otherwise a policy with a rule for one direction would close that direction for every pod of the cluster.
    assert spec["enableDefaultDeny"] == {"ingress": False, "egress": False}
    assert not {"egress", "ingress", "ingressDeny"} & spec.keys()


@pytest.mark.parametrize(
    "policy", [p for p in all_policies() if p["apiVersion"] == "cilium.io/v2"], ids=lambda p: p["metadata"]["name"]
)
def test_ciliums_policies_fit_its_own_schema(policy: dict[str, Any]) -> None:
    jsonschema.validate(policy["spec"], schema(policy["kind"]))


def test_ciliums_schema_notices_a_mistake() -> None:
    spec = deny_metadata()["spec"] | {"egressDeny": [{"toCidr": ["169.254.169.254/32"]}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec, schema("CiliumClusterwideNetworkPolicy"))


def test_every_pod_and_every_machine_may_ask_for_names() -> None:
    cilium, plain = found("dns-asked")
    assert plain.policy["spec"]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert (plain.direction, cilium.direction) == ("ingress", "ingress")
    assert plain.content == {
        "from": [{"namespaceSelector": {}}],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }
    # Pods in the host's network of other machines are no pods to Cilium.
    assert cilium.policy["spec"]["endpointSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert cilium.content == {
        "fromEntities": ["host", "remote-node"],
        "toPorts": [{"ports": [{"port": "53", "protocol": "UDP"}, {"port": "53", "protocol": "TCP"}]}],
    }


def test_names_outside_are_asked_of_the_machines_resolvers_alone() -> None:
    flows = {flow.name: flow for flow in system_flows(["192.0.2.53"])}
    assert [peer.cidr for peer in flows["dns-upstream"].peers] == ["192.0.2.53/32"]  # type: ignore[union-attr]
    assert RESOLVERS == ("185.12.64.1", "185.12.64.2")


def test_metrics_server_answers_the_api_and_asks_every_kubelet() -> None:
    cilium, plain = found("resource-metrics")
    assert cilium.content["fromEntities"] == ["kube-apiserver", "host", "remote-node"]
    assert plain.content["ports"] == [{"protocol": "TCP", "port": 10250}]
    (kubelets,) = found("kubelets")
    assert kubelets.content == {
        "toEntities": ["host", "remote-node"],
        "toPorts": [{"ports": [{"port": "10250", "protocol": "TCP"}]}],
    }


def test_the_volume_controller_reaches_the_cloud_and_no_private_address() -> None:
    (found_rule,) = found("volumes-in-cloud")
    rule = found_rule.content
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(rule["to"][0]["ipBlock"]["except"])
