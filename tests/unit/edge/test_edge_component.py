"""The edge as a whole, as the engine would receive it."""

from typing import Any

import pulumi
import pulumi_cloudflare as cloudflare
import pulumi_tls as tls
import pytest

from components.component import ArgumentError
from components.edge import Edge
from components.problem import ProblemsError
from tests.unit.edge.recording import Recording, record

ORIGINS = {
    "fsn1": {"ipv4": "192.0.2.10", "ipv6": "2001:db8:1::1"},
    "nbg1": {"ipv4": "198.51.100.10", "ipv6": "2001:db8:2::1"},
}


def arguments(**changes: Any) -> Any:
    return {
        "zone_id": "0" * 32,
        "account_id": "1" * 32,
        "zone": "example.com",
        "plan": "pro",
        "active_region": "fsn1",
        "origins": ORIGINS,
        "hostnames": ["@", "*"],
        "origin_pull_ca": {"certificate": "CA", "private_key": pulumi.Output.secret("CA KEY")},
        "api_names": {
            "k8s-fsn1": {"1": "203.0.113.1", "2": "203.0.113.2", "3": "203.0.113.3"},
            "k8s-nbg1": {"1": "203.0.113.11", "2": "203.0.113.12", "3": "203.0.113.13"},
        },
        "custom_rules": [
            {"description": "Block xmlrpc", "expression": 'http.request.uri.path eq "/x.php"', "action": "block"}
        ],
        "rate_limits": [
            {
                "description": "Log in",
                "expression": 'http.request.uri.path eq "/login"',
                "period": 60,
                "requests": 20,
                "timeout": 600,
            }
        ],
        **changes,
    }


def edge(*, preview: bool = False, **changes: Any) -> Recording:
    def program() -> dict[str, Any]:
        made = Edge("edge", arguments(**changes))
        exports: dict[str, Any] = {"ca": made.origin_pull_ca}
        for region, certificate in made.origin_certificates.items():
            exports[f"certificate-{region}"] = certificate.certificate
            exports[f"key-{region}"] = certificate.private_key
        for region, token in made.tunnel_tokens.items():
            exports[f"token-{region}"] = token
        return exports

    return record(program, preview=preview)


@pytest.fixture(scope="module")
def deployed() -> Recording:
    return edge()


def test_names_lead_to_the_active_region_through_the_proxy(deployed: Recording) -> None:
    records = {(r.inputs["name"], r.inputs["type"]): r.inputs for r in deployed.of("DnsRecord").values()}
    assert len(records) == 4 + 2  # three addresses share each API name
    for name in ("example.com", "*.example.com"):
        assert records[name, "A"]["content"] == "192.0.2.10"
        assert records[name, "AAAA"]["content"] == "2001:db8:1::1"
        assert records[name, "A"]["proxied"] is True
        assert records[name, "A"]["ttl"] == 1


def test_api_names_show_all_three_servers_without_the_proxy(deployed: Recording) -> None:
    records = [r.inputs for r in deployed.of("DnsRecord").values() if r.inputs["name"] == "k8s-fsn1.example.com"]
    assert sorted(r["content"] for r in records) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
    assert {r["proxied"] for r in records} == {False}


def test_a_failover_changes_contents_and_no_name(deployed: Recording) -> None:
    standby = edge(active_region="nbg1")
    assert standby.resources.keys() == deployed.resources.keys()
    changed = {key for key, r in deployed.resources.items() if r.inputs != standby.resources[key].inputs}
    assert {key.split("/")[0] for key in changed} == {"DnsRecord"}
    assert len(changed) == 4


def test_a_hostname_inserted_in_the_middle_changes_no_other_resource(deployed: Recording) -> None:
    more = edge(hostnames=["@", "www", "*"])
    assert deployed.resources.items() <= more.resources.items()
    assert len(more.resources) == len(deployed.resources) + 2


def test_one_ruleset_a_phase(deployed: Recording) -> None:
    phases = {r.inputs["phase"]: r.inputs for r in deployed.of("Ruleset").values()}
    assert phases.keys() == {
        "http_request_firewall_managed",
        "http_request_firewall_custom",
        "http_ratelimit",
    }
    managed = phases["http_request_firewall_managed"]["rules"]
    assert [rule["actionParameters"]["id"] for rule in managed] == [
        "efb7b8c949ac4650a09736fc376e9aee",
        "4814384a9e5d4991b9815dcfc25d2f1f",
    ]
    assert phases["http_ratelimit"]["rules"][0]["ratelimit"] == {
        "characteristics": ["cf.colo.id", "ip.src"],
        "period": 60,
        "requestsPerPeriod": 20,
        "mitigationTimeout": 600,
    }


def test_the_ddos_override_gets_its_phase_only_when_asked_for() -> None:
    rulesets = edge(ddos={"sensitivity_level": "low"}).of("Ruleset")
    (rule,) = rulesets["edge-firewall-ddos_l7"].inputs["rules"]
    assert rule["actionParameters"] == {
        "id": "4d21379b4f9f4bb088e0729962c8b3cf",
        "overrides": {"sensitivityLevel": "low"},
    }


def test_the_zone_insists_on_strict_modern_tls(deployed: Recording) -> None:
    settings = {r.inputs["settingId"]: r.inputs["value"] for r in deployed.of("ZoneSetting").values()}
    assert settings["ssl"] == "strict"
    assert settings["min_tls_version"] == "1.2"
    assert settings["always_use_https"] == "on"
    assert settings["security_header"]["strict_transport_security"]["max_age"] == 31_536_000


def test_cloudflare_presents_a_leaf_of_our_own_ca(deployed: Recording) -> None:
    (leaf,) = deployed.of("LocallySignedCert").values()
    assert leaf.inputs["caCertPem"] == "CA"
    assert "client_auth" in leaf.inputs["allowedUses"]
    assert "isCaCertificate" not in leaf.inputs
    (uploaded,) = deployed.of("AuthenticatedOriginPullsCertificate").values()
    assert uploaded.inputs["certificate"] == "certificate of edge-origin-pulls-certificate"
    (enabled,) = deployed.of("AuthenticatedOriginPullsSettings").values()
    assert enabled.inputs["enabled"] is True
    assert uploaded.name in enabled.dependencies


def test_each_region_has_its_own_origin_certificate(deployed: Recording) -> None:
    signed = deployed.of("OriginCaCertificate")
    assert signed.keys() == {"edge-origin-fsn1-certificate", "edge-origin-nbg1-certificate"}
    assert {tuple(r.inputs["hostnames"]) for r in signed.values()} == {("example.com", "*.example.com")}
    assert deployed.exports["certificate-fsn1"] != deployed.exports["certificate-nbg1"]


def test_private_keys_and_certificates_are_secret_and_the_ca_is_not(deployed: Recording) -> None:
    assert deployed.secret_exports == {"certificate-fsn1", "certificate-nbg1", "key-fsn1", "key-nbg1"}
    for resource in deployed.resources.values():
        for key in ("privateKey", "privateKeyPem", "caPrivateKeyPem"):
            assert key not in resource.inputs or key in resource.secret_inputs, resource.name
        assert "private key" not in str(resource.inputs)
        assert "CA KEY" not in str(resource.inputs)


def test_no_name_leads_to_the_platform_before_it_is_protected(deployed: Recording) -> None:
    protection = {
        r.name for kind in ("Ruleset", "AuthenticatedOriginPullsSettings") for r in deployed.of(kind).values()
    }
    for resource in deployed.of("DnsRecord").values():
        assert protection <= resource.dependencies


def test_an_ipv6_record_follows_the_record_that_may_take_a_cname_s_place(deployed: Recording) -> None:
    records = deployed.of("DnsRecord")
    for name in ("edge-dns-example.com", "edge-dns-_any.example.com"):
        assert name in records[f"{name}-ipv6"].dependencies


def test_what_the_cloud_accepts_once_is_deleted_before_it_is_replaced(deployed: Recording) -> None:
    for kind in ("DnsRecord", "Ruleset"):
        assert all(r.delete_before_replace for r in deployed.of(kind).values())
    # The other way round here: visitors would meet errors between the two.
    for kind in ("AuthenticatedOriginPullsCertificate", "OriginCaCertificate"):
        assert not any(r.delete_before_replace for r in deployed.of(kind).values())


def test_a_generation_renews_its_own_keys_only(deployed: Recording) -> None:
    renewed = edge(generations={"origin_certificates": 2})
    changed = {key for key, r in deployed.resources.items() if r != renewed.resources[key]}
    assert changed == {"PrivateKey/edge-origin-fsn1-key", "PrivateKey/edge-origin-nbg1-key"}
    assert {deployed.resources[key].replacement_trigger for key in changed} == {1}
    assert {renewed.resources[key].replacement_trigger for key in changed} == {2}


def test_a_tunnel_takes_the_place_of_the_addresses() -> None:
    tunnelled = edge(origin="tunnel", tunnel_service="http://traefik.ingress.svc:8000")
    records = {r.inputs["name"]: r.inputs for r in tunnelled.of("DnsRecord").values() if r.inputs["proxied"]}
    assert {r["type"] for r in records.values()} == {"CNAME"}
    assert records["*.example.com"]["content"] == "edge-tunnel-fsn1-tunnel-id.cfargotunnel.com"
    configuration = tunnelled.of("ZeroTrustTunnelCloudflaredConfig")["edge-tunnel-nbg1-config"].inputs["config"]
    assert configuration["ingresses"] == [
        {"hostname": "example.com", "service": "http://traefik.ingress.svc:8000"},
        {"hostname": "*.example.com", "service": "http://traefik.ingress.svc:8000"},
        {"service": "http_status:404"},
    ]
    assert tunnelled.exports["token-nbg1"] == "token of edge-tunnel-nbg1-tunnel-id"
    assert {"token-fsn1", "token-nbg1"} <= tunnelled.secret_exports


def test_the_preview_registers_what_the_deployment_does(deployed: Recording) -> None:
    assert edge(preview=True).resources.keys() == deployed.resources.keys()


def test_every_child_stands_inside_a_component(deployed: Recording) -> None:
    names = {r.name for r in deployed.resources.values() if r.type.startswith("hetzner-platform:")}
    assert {r.parent for r in deployed.resources.values() if r.name != "edge"} <= names


def test_every_resource_and_look_up_uses_the_provider_that_the_edge_was_given() -> None:
    providers = (cloudflare.Provider, tls.Provider)

    def program() -> dict[str, Any]:
        given = [provider(f"given-{provider.__module__.split('.')[0]}") for provider in providers]
        arguments_ = arguments(origin="tunnel", tunnel_service="http://traefik.ingress.svc:8000")
        return {"token": Edge("edge", arguments_, pulumi.ResourceOptions(providers=given)).tunnel_tokens["fsn1"]}

    recording = record(program)
    for resource in recording.resources.values():
        package = resource.type.split(":")[0]
        if package in ("cloudflare", "tls"):
            assert f"::given-pulumi_{package}::" in resource.provider, resource.name
    (provider,) = recording.look_ups.values()
    assert "::given-pulumi_cloudflare::" in provider


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"active_region": "hel1"}, "active_region"),
        ({"origin": "vpn"}, "origin"),
        ({"origin": "tunnel"}, "tunnel_service"),
        ({"origins": {"fsn1": {}}}, "origins.fsn1"),
        ({"plan": "enterprise"}, "plan"),
        ({"hostnames": []}, "hostnames"),
        ({"hostnames": ["k8s-fsn1"]}, "api_names.k8s-fsn1"),
        ({"managed_rulesets": ["free"]}, "managed_rulesets[0]"),
        ({"generations": {"origin_certificate": 2}}, "generations.origin_certificate"),
    ],
)
def test_what_cannot_be_deployed_registers_nothing(changes: dict[str, Any], key: str) -> None:
    registered: list[Recording] = []

    def program() -> dict[str, Any]:
        with pytest.raises(ProblemsError) as refused:
            Edge("edge", arguments(**changes))
        assert [problem.key for problem in refused.value.problems] == [key]
        return {}

    registered.append(record(program))
    assert registered[0].resources == {}


def test_unknown_arguments_are_refused_by_name() -> None:
    def program() -> dict[str, Any]:
        with pytest.raises(ArgumentError, match="'hostnames'"):
            Edge("edge", arguments(hostname=["@"]))
        return {}

    record(program)
