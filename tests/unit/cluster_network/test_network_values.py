"""What Cilium and the cloud controller are told, and which settings are refused."""

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import jsonschema
import pytest
import yaml

from components.cluster_network import Routing, cilium_values, cloud_controller_values
from components.cluster_network.values import CHARTS, problems
from components.layer import chart_values, merged
from tests.upstream import values_schema

PODS = IPv4Network("10.42.0.0/16")
PINS = {chart: {"repository": "https://charts.example.com", "version": "1.0.0"} for chart in CHARTS}


def settings(routing: Routing, *, with_robot: bool = False, mtu: int = 1450) -> dict[str, dict[str, Any]]:
    """Static values and ours together, by chart."""
    computed = {
        "cilium": cilium_values(PODS, mtu, routing),
        "hcloud-cloud-controller-manager": cloud_controller_values(PODS, routing, with_robot=with_robot),
    }
    return {chart: merged(chart_values(chart), values) for chart, values in computed.items()}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("tunnel", lambda: settings("tunnel")),
        ("tunnel-robot", lambda: settings("tunnel", with_robot=True, mtu=1400)),
        ("native", lambda: settings("native")),
    ],
)
def test_values_are_as_reviewed(name: str, values: Callable[[], Any], golden: Callable[[str, str], None]) -> None:
    golden(f"cluster_network/values-{name}.yaml", yaml.safe_dump(values(), sort_keys=False))


@pytest.mark.parametrize("routing", ["tunnel", "native"])
def test_every_computed_value_is_one_that_the_chart_knows(routing: Routing) -> None:
    from tests.unit.charts.test_values import Upstream  # Here, since it skips where the charts' values are not.

    for chart, values in settings(routing, with_robot=routing == "tunnel").items():
        assert Upstream(chart).unknown(values) == []


@pytest.mark.parametrize("routing", ["tunnel", "native"])
def test_ciliums_values_fit_the_charts_own_schema(routing: Routing) -> None:
    jsonschema.validate(settings(routing)["cilium"], values_schema("cilium"))


def test_the_charts_schema_notices_a_mistake() -> None:
    values = merged(settings("tunnel")["cilium"], {"hubble": {"relay": {"replicas": "two"}}})
    with pytest.raises(jsonschema.ValidationError, match="'two' is not of type 'integer'"):
        jsonschema.validate(values, values_schema("cilium"))


def test_a_fresh_cluster_does_not_wait_for_itself() -> None:
    """The cloud controller runs where no Node is Ready, and asks neither a Service nor the metadata service."""
    values = settings("tunnel")["hcloud-cloud-controller-manager"]
    tolerated = {(each["key"], each["effect"]) for each in values["additionalTolerations"]}
    assert ("node.kubernetes.io/not-ready", "NoSchedule") in tolerated
    assert {("node.cilium.io/agent-not-ready", effect) for effect in ("NoSchedule", "NoExecute")} <= tolerated
    assert values["env"]["HCLOUD_NETWORK_DISABLE_ATTACHED_CHECK"] == {"value": "true"}
    # Services lead nowhere before Cilium: both ask k3s's own load balancer of the API, on every machine.
    api = {"host": values["env"]["KUBERNETES_SERVICE_HOST"], "port": values["env"]["KUBERNETES_SERVICE_PORT"]}
    cilium = settings("tunnel")["cilium"]
    assert api == {"host": {"value": cilium["k8sServiceHost"]}, "port": {"value": str(cilium["k8sServicePort"])}}
    assert values["networking"] == {"enabled": True, "clusterCIDR": "10.42.0.0/16"}  # enabled: in the host's network


def test_hubble_is_given_its_certificates_by_the_names_of_secrets() -> None:
    hubble = settings("tunnel")["cilium"]["hubble"]
    assert hubble["tls"] == {
        "enabled": True,
        "auto": {"enabled": False},
        "server": {"existingSecret": "hubble-server-certs"},
    }
    assert hubble["relay"]["tls"] == {"client": {"existingSecret": "hubble-relay-client-certs"}}


def test_pods_pass_the_machines_own_forward_rules() -> None:
    """Or its block of the metadata address would hold for nobody: eBPF host routing jumps over it."""
    assert settings("tunnel")["cilium"]["bpf"]["hostLegacyRouting"] is True


@pytest.mark.parametrize(("routing", "enabled"), [("tunnel", "false"), ("native", "true")])
def test_the_cloud_controller_makes_routes_for_native_routing_alone(routing: Routing, enabled: str) -> None:
    values = settings(routing)
    environment = values["hcloud-cloud-controller-manager"]["env"]
    assert environment["HCLOUD_NETWORK_ROUTES_ENABLED"] == {"value": enabled}
    assert values["cilium"]["routingMode"] == routing


def test_with_native_routing_only_traffic_to_pods_keeps_its_address() -> None:
    """Data machines and the other region know Nodes alone."""
    cilium = settings("native")["cilium"]
    assert cilium["ipv4NativeRoutingCIDR"] == "10.42.0.0/16"
    assert cilium["autoDirectNodeRoutes"] is False
    assert cilium["bpf"]["masquerade"] is True


def test_a_dedicated_machine_keeps_the_address_of_its_kubelet() -> None:
    values = settings("tunnel", with_robot=True)["hcloud-cloud-controller-manager"]
    assert values["robot"] == {"enabled": True}
    assert values["env"]["ROBOT_FORWARD_INTERNAL_IPS"] == {"value": "true"}
    assert "robot" not in settings("tunnel")["hcloud-cloud-controller-manager"]


def check(routing: str = "tunnel", mtu: int = 1450, user: bool = False, password: bool = False) -> list[str]:
    return [problem.key for problem in problems(routing, mtu, PINS, has_robot_user=user, has_robot_password=password)]


def test_what_goes_together_is_not_refused() -> None:
    assert check() == []
    assert check("native") == []
    assert check(mtu=1400, user=True, password=True) == []


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ({"routing": "bgp"}, ["routing"]),
        ({"routing": "native", "mtu": 1400, "user": True, "password": True}, ["routing"]),
        ({"mtu": 1400, "user": True}, ["robot_password"]),
        ({"mtu": 1400, "password": True}, ["robot_user"]),
        ({"user": True, "password": True}, ["mtu"]),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: dict[str, Any], keys: list[str]) -> None:
    assert check(**arguments) == keys


def test_a_chart_that_is_not_pinned_is_refused() -> None:
    found = problems("tunnel", 1450, {"cilium": PINS["cilium"]}, has_robot_user=False, has_robot_password=False)
    assert [problem.key for problem in found] == ["charts.hcloud-cloud-controller-manager"]
