"""What the ingress lets in, where it runs, and what Pulumi makes of it."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pulumi
import pytest
import yaml

from components.component import ArgumentError
from components.ingress import (
    CHAIN,
    IDENTITY_HEADERS,
    STRIPPED_HEADERS,
    Ingress,
    authenticated,
    dynamic_configuration,
    flows,
    middlewares,
    values,
)
from components.ingress.ingress import BODY_MB, BURST, REQUESTS_PER_SECOND, check, fingerprint
from components.layer import chart_values, merged, policies
from components.load_balancer import INGRESS_HTTP_NODE_PORT, INGRESS_HTTPS_NODE_PORT
from components.tenancy import TENANT_NAMESPACES
from sandbox import inprocess
from sandbox.deployment import Deployment, DeploymentFailed
from stacks.platform_models import Ingress as Configured
from tests import upstream
from tests.rules import rule_of
from tests.waiting import before

Golden = Callable[[str, str], None]

LIMITS: dict[str, int] = {"requests_per_second": 100, "burst": 200, "body_mb": 100}
ADDRESS = "http://oauth2-proxy.platform.svc.cluster.local:4180/oauth2/auth"


def given(targets: str = "servers") -> dict[str, Any]:
    """Everything that the chart is told."""
    computed = values(targets=targets, load_balancer_ip="10.0.0.2", **LIMITS, fingerprint="0" * 64)
    return merged(chart_values("traefik"), computed)


def deploy(**changes: Any) -> Deployment:
    def program() -> None:
        arguments: Any = {
            "chart": {"repository": "oci://ghcr.io/traefik/helm", "version": "41.3.0"},
            "targets": "servers",
            "load_balancer_ip": "10.0.0.2",
            "origin_certificate": pulumi.Output.secret("certificate"),
            "origin_private_key": pulumi.Output.secret("text of the key"),
            "origin_pull_ca": "authority",
            **changes,
        }
        made = Ingress("ingress", arguments)
        pulumi.export("on", [workload.on for workload in made.workloads])

    return inprocess.run(program, project="test", stack="test", preview=False, skipped=frozenset({"kubernetes"}))


def test_values_are_as_reviewed(golden: Golden) -> None:
    golden("ingress/values.yaml", yaml.safe_dump(json.loads(json.dumps(given())), sort_keys=False))


def test_policies_are_as_reviewed(golden: Golden) -> None:
    made = policies("traefik", flows("10.0.0.2", ADDRESS))
    golden("ingress/policies.yaml", yaml.safe_dump_all(made, sort_keys=False))


def test_the_chart_takes_the_values() -> None:
    schema, defaults = upstream.values_schema("traefik"), upstream.values("traefik")
    jsonschema.validate(merged(defaults, given()), schema)
    spoilt = merged(given(), {"providers": {"kubernetesCRD": {"safeNames": True}}})
    with pytest.raises(jsonschema.ValidationError, match="safeNames"):
        jsonschema.validate(merged(defaults, spoilt), schema)


def test_forward_authentication_fits_its_definition() -> None:
    (schema,) = upstream.versions("traefik/middlewares.traefik.io").values()
    manifest = authenticated("shop-production", ADDRESS)
    jsonschema.validate(manifest, schema)
    known = schema["properties"]["spec"]["properties"]["forwardAuth"]["properties"]
    assert set(manifest["spec"]["forwardAuth"]) <= set(known)
    manifest["spec"]["forwardAuth"]["trustForwardHeader"] = "no"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest, schema)


def test_the_components_defaults_are_the_configurations() -> None:
    wanted = Configured()
    assert (wanted.requests_per_second, wanted.burst, wanted.body_mb) == (REQUESTS_PER_SECOND, BURST, BODY_MB)


def test_the_node_ports_are_those_that_the_load_balancer_passes_to() -> None:
    ports = given()["ports"]
    assert (ports["web"]["nodePort"], ports["websecure"]["nodePort"]) == (
        INGRESS_HTTP_NODE_PORT,
        INGRESS_HTTPS_NODE_PORT,
    )


def test_no_port_of_the_container_needs_a_privilege() -> None:
    assert [port["port"] for port in given()["ports"].values() if port["port"] < 1024] == []


def test_the_mesh_leaves_every_port_of_the_container_alone() -> None:
    skipped = given()["deployment"]["podAnnotations"]["config.linkerd.io/skip-inbound-ports"]
    assert sorted(map(int, skipped.split(","))) == sorted(port["port"] for port in given()["ports"].values())


def test_it_follows_the_load_balancer_to_a_pool() -> None:
    assert given("edge")["nodeSelector"] == {"hetzner-platform/pool": "edge"}
    assert given("edge")["tolerations"] == []
    assert given()["nodeSelector"] == {"node-role.kubernetes.io/control-plane": "true"}
    assert [toleration["key"] for toleration in given()["tolerations"]] == ["node-role.kubernetes.io/control-plane"]
    assert (deploy().exports["on"], deploy(targets="edge").exports["on"]) == (["servers"], ["agents"])


def test_the_chain_is_complete_and_in_order_in_front_of_every_route() -> None:
    assert list(middlewares(**LIMITS)) == list(CHAIN)
    assert given()["ports"]["websecure"]["http"]["middlewares"] == [f"{name}@file" for name in CHAIN]
    assert set(dynamic_configuration(**LIMITS)["http"]["middlewares"]) == set(CHAIN)


def test_what_authentication_sets_is_taken_from_every_request_before() -> None:
    answered = authenticated("shop-production", ADDRESS)["spec"]["forwardAuth"]["authResponseHeaders"]
    taken = middlewares(**LIMITS)["strip-identity"]["headers"]["customRequestHeaders"]
    assert tuple(answered) == IDENTITY_HEADERS
    assert taken == dict.fromkeys(STRIPPED_HEADERS, "")
    assert set(answered) <= set(taken)


def test_a_new_certificate_makes_new_pods_and_is_no_secret() -> None:
    assert fingerprint(["a", "b"]) != fingerprint(["a", "c"])
    assert fingerprint(["ab", ""]) != fingerprint(["a", "b"])
    release = deploy().named("ingress-traefik")
    annotations = release.inputs["values"]["deployment"]["podAnnotations"]
    assert annotations["hetzner-platform/certificates"] == fingerprint(["certificate", "authority"])


def test_keys_are_in_secrets_and_nowhere_else() -> None:
    made = deploy()
    secrets = {resource.name: resource.inputs for resource in made.by_type("kubernetes:core/v1:Secret")}
    assert {name: inputs["stringData"] for name, inputs in secrets.items()} == {
        "ingress-traefik-origin-certificate-secret": "[secret]",
        "ingress-traefik-origin-pull-ca-secret": "[secret]",
    }
    release = json.dumps(made.named("ingress-traefik").inputs)
    assert "[secret]" not in release
    assert "text of the key" not in release


def test_the_release_waits_for_certificates_and_policies() -> None:
    made = deploy()
    waited = before(made.resources, "ingress-traefik")
    assert {"ingress-traefik-origin-certificate-secret", "ingress-traefik-origin-pull-ca-secret"} <= waited
    assert {
        urn.rpartition("::")[2] for urn in (each.urn for each in made.resources) if urn.endswith("network-policy")
    } <= waited


def test_pods_are_restricted_and_may_be_meshed() -> None:
    labels = deploy().named("ingress-traefik-namespace").inputs["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert "config.linkerd.io/admission-webhooks" not in labels


def test_without_a_mesh_nothing_of_it_is_there() -> None:
    made = deploy(meshed=False)
    assert "linkerd" not in json.dumps([resource.inputs for resource in made.resources]).replace(
        "config.linkerd.io/admission-webhooks", ""
    )
    assert [resource.name for resource in deploy().resources if "proxy-metrics" in resource.name] != []


def test_connections_come_from_the_load_balancer_alone() -> None:
    incoming = {flow.name: flow for flow in flows("10.0.0.2") if flow.direction == "ingress"}
    assert set(incoming) == {"load-balancer", "metrics"}
    assert rule_of(policies("traefik", flows("10.0.0.2")), "load-balancer") == {
        "from": [{"ipBlock": {"cidr": "10.0.0.2/32"}}],
        "ports": [{"protocol": "TCP", "port": 8000}, {"protocol": "TCP", "port": 8443}],
    }


@pytest.mark.parametrize(
    ("address", "to"),
    [
        (ADDRESS, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "platform"}}}),
        (
            "http://auth.platform.svc/x",
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "platform"}}},
        ),
    ],
)
def test_authentication_in_the_cluster_is_reached_in_its_namespace(address: str, to: dict[str, Any]) -> None:
    assert rule_of(policies("traefik", flows("10.0.0.2", address)), "authentication") == {"to": [to]}


@pytest.mark.parametrize(
    ("address", "port"),
    [("https://id.example.com/x", 443), ("http://id.example.com", 80), ("https://id.example.com:8443", 8443)],
)
def test_authentication_elsewhere_is_reached_on_its_port_alone(address: str, port: int) -> None:
    egress = rule_of(policies("traefik", flows("10.0.0.2", address)), "authentication")
    assert egress["ports"] == [{"protocol": "TCP", "port": port}]
    assert egress["to"][0]["ipBlock"]["cidr"] == "0.0.0.0/0"


def test_authentication_on_an_address_of_the_network_is_reached_there_alone() -> None:
    rule = rule_of(policies("traefik", flows("10.0.0.2", "http://10.1.9.9:4180/auth")), "authentication")
    assert rule == {"to": [{"ipBlock": {"cidr": "10.1.9.9/32"}}], "ports": [{"protocol": "TCP", "port": 4180}]}


def test_tenants_are_known_by_their_label() -> None:
    rule = rule_of(policies("traefik", flows("10.0.0.2")), "tenants")
    assert rule == {"to": [{"namespaceSelector": {"matchLabels": TENANT_NAMESPACES}}]}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"load_balancer_ip": "192.0.2.300"}, "load_balancer_ip"),
        ({"load_balancer_ip": "8.8.8.8"}, "load_balancer_ip"),
        ({"load_balancer_ip": "10.0.0.0/8"}, "load_balancer_ip"),
        ({"targets": "My Pool"}, "targets"),
        ({"requests_per_second": 0}, "requests_per_second"),
        ({"burst": 1}, "burst"),
        ({"body_mb": -1}, "body_mb"),
        ({"forward_authentication": {"address": "oauth2-proxy:4180"}}, "forward_authentication.address"),
        ({"forward_authentication": {"address": "ftp://id.example.com"}}, "forward_authentication.address"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(DeploymentFailed) as refused:
        deploy(**changes)
    assert [line.split()[1] for line in str(refused.value).splitlines()[1:]] == [key]
    assert made(refused.value) == []


def made(failed: DeploymentFailed) -> list[str]:
    """What was registered beside the stack."""
    assert failed.deployment is not None
    return [resource.name for resource in failed.deployment.resources if resource.parent]


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'body_mb'"):
        deploy(body_mib=1)


def test_good_settings_have_no_problem() -> None:
    assert check("servers", "10.0.0.2", LIMITS, ADDRESS) == []
