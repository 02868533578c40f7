"""What the component makes has no violation, and each property that is spoilt is found: one control for each at least."""

import copy
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.ingress import authenticated
from components.layer import chart_values, merged
from sandbox.toolchain import find_tool
from tests.rules import rule_of

from .checker import RULES, Expected, violations
from .dump import RELEASE, Dump, Object
from .objects import AUTHENTICATION, route, service
from .traefik import Traefik, arguments, found

ROOT = Path(__file__).resolve().parents[2]
SHOP, BANK = "shop-production", "bank-production"


def custom(kind: str, namespace: str, name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def values(dump: Dump) -> dict[str, Any]:
    return next(each["values"] for each in dump[RELEASE] if each["metadata"]["name"] == "traefik")


def content(dump: Dump) -> dict[str, Any]:
    return values(dump)["providers"]["file"]["content"]


def default(dump: Dump) -> dict[str, Any]:
    return content(dump)["tls"]["options"]["default"]


def port(dump: Dump, name: str = "websecure") -> dict[str, Any]:
    return values(dump)["ports"][name]


def provider(dump: Dump) -> dict[str, Any]:
    return values(dump)["providers"]["kubernetesCRD"]


def member(dump: Dump, name: str) -> dict[str, Any]:
    return content(dump)["http"]["middlewares"][name]


def secret(dump: Dump, name: str) -> dict[str, str]:
    return next(each["stringData"] for each in dump["Secret"] if each["metadata"]["name"] == name)


def bank(dump: Dump) -> dict[str, Any]:
    return next(each["spec"] for each in dump["IngressRoute"] if each["metadata"]["namespace"] == BANK)


def rule(dump: Dump) -> dict[str, Any]:
    return bank(dump)["routes"][0]


def guard(dump: Dump) -> dict[str, Any]:
    return next(each["spec"] for each in dump["Middleware"] if each["metadata"]["namespace"] == SHOP)["forwardAuth"]


def ingress_policy(dump: Dump) -> list[dict[str, Any]]:
    return rule_of(dump["NetworkPolicy"], "load-balancer")["from"]


def published(dump: Dump, **spec: Any) -> None:
    ports = [{"name": "web", "nodePort": 30080}, {"name": "websecure", "nodePort": 30443}]
    made: dict[str, Any] = {"type": "NodePort", "ports": ports, "externalTrafficPolicy": "Local", **spec}
    dump["Service"].append(service("traefik", "traefik", **made))


def foreign(dump: Dump) -> None:
    secret(dump, "origin-pull-ca")["ca.crt"] = secret(dump, "origin-certificate")["tls.crt"]


def second_authority(dump: Dump) -> None:
    secret(dump, "origin-pull-ca")["ca.crt"] += secret(dump, "origin-certificate")["tls.crt"]


def options_by_objects(dump: Dump, *namespaces: str, kind: str = "RequireAndVerifyClientCert") -> None:
    """As it would be without the file."""
    del content(dump)["tls"]["options"]
    provider(dump)["defaultTLSResourcesNamespace"] = ""
    client = {"clientAuthType": kind, "secretNames": ["origin-pull-ca"]}
    for namespace in namespaces:
        spec = {"minVersion": "VersionTLS12", "sniStrict": True, "clientAuth": client}
        dump["TLSOption"].append(custom("TLSOption", namespace, "default", **spec))


Spoil = Callable[[Dump], Any]

SPOILT: Mapping[str, tuple[Spoil, str]] = {
    # Client certificates.
    "nobody is asked": (lambda d: default(d).pop("clientAuth"), "clients are asked for nothing"),
    "only who has one": (
        lambda d: default(d)["clientAuth"].update(clientAuthType="VerifyClientCertIfGiven"),
        "clients are asked for VerifyClientCertIfGiven",
    ),
    "any certificate": (
        lambda d: default(d)["clientAuth"].update(clientAuthType="RequireAnyClientCert"),
        "clients are asked for RequireAnyClientCert",
    ),
    "another CA": (foreign, "the client CA is not ours"),
    "a second CA": (second_authority, "2 client CAs are accepted"),
    "no CA": (lambda d: secret(d, "origin-pull-ca").clear(), "ours must be the only one and be there"),
    "nonsense for a CA": (
        lambda d: secret(d, "origin-pull-ca").update({"ca.crt": "x"}),
        "the client CA is no certificate",
    ),
    "old TLS": (lambda d: default(d).update(minVersion="VersionTLS10"), "VersionTLS10 is older than TLS 1.2"),
    "unknown names": (lambda d: default(d).update(sniStrict=False), "names without a certificate are served"),
    "options to choose": (
        lambda d: content(d)["tls"]["options"].update(open={}),
        "TLS options ['open']: a route could choose them",
    ),
    "no options at all": (options_by_objects, "nobody defines them; Traefik asks no client"),
    "two objects named default": (
        lambda d: options_by_objects(d, "traefik", BANK),
        "2 objects; Traefik drops all, and asks no client",
    ),
    "a tenant's default alone": (
        lambda d: options_by_objects(d, BANK, kind="NoClientCert"),
        "clients are asked for NoClientCert",
    ),
    "an object beside the file": (
        lambda d: d["TLSOption"].append(custom("TLSOption", "traefik", "default")),
        "meets the file's default",
    ),
    "a tenant's options": (
        lambda d: d["TLSOption"].append(custom("TLSOption", BANK, "open")),
        f"TLSOption {BANK}/open: a route that names it escapes",
    ),
    "a route that names options": (lambda d: bank(d)["tls"].update(options={"name": "open"}), "tls.options: chooses"),
    "an entry point's options": (
        lambda d: port(d)["http"]["tls"].update(options="open@file"),
        "its TLS options are open@file",
    ),
    # What is shown.
    "a tenant's certificate": (lambda d: bank(d)["tls"].update(secretName="mine"), "tls.secretName: changes"),
    "a tenant's store": (
        lambda d: d["TLSStore"].append(custom("TLSStore", BANK, "default")),
        f"TLSStore {BANK}/default: certificates of all hosts",
    ),
    "a certificate by ACME": (lambda d: bank(d)["tls"].update(certResolver="le"), "tls.certResolver: changes"),
    "no certificate": (lambda d: secret(d, "origin-certificate").clear(), "/certificates/origin/tls.crt is not there"),
    "no certificate by name": (lambda d: content(d)["tls"].pop("certificates"), "strict SNI has none to serve"),
    # Other ways in.
    "passed through": (
        lambda d: d["IngressRouteTCP"].append(custom("IngressRouteTCP", BANK, "raw", tls={"passthrough": True})),
        "connections are passed through",
    ),
    "ended beside HTTP": (
        lambda d: d["IngressRouteTCP"].append(custom("IngressRouteTCP", BANK, "raw", tls={})),
        "connections are ended without the chain",
    ),
    "TCP": (
        lambda d: d["IngressRouteTCP"].append(custom("IngressRouteTCP", BANK, "raw")),
        "connections are without TLS",
    ),
    "UDP": (lambda d: d["IngressRouteUDP"].append(custom("IngressRouteUDP", BANK, "raw")), "datagrams pass no check"),
    "http3": (lambda d: port(d).update(http3={"enabled": True}), "websecure: http3 is on"),
    "acme": (lambda d: port(d).update(allowACMEByPass=True), "websecure: allowacmebypass is on"),
    "an entry point": (lambda d: values(d)["ports"].update(raw={"port": 9999}), "entry points ['raw']: unknown"),
    "Ingress objects": (
        lambda d: values(d)["providers"]["kubernetesIngress"].update(enabled=True),
        "providers ['kubernetesingress']",
    ),
    "Gateway objects": (
        lambda d: values(d)["providers"]["kubernetesGateway"].update(enabled=True),
        "providers ['kubernetesgateway']",
    ),
    "an argument": (
        lambda d: values(d).update(additionalArguments=["--providers.docker=true"]),
        "providers ['docker']",
    ),
    "plugins": (
        lambda d: values(d).update(experimental={"plugins": {"x": {}}}),
        "code and providers that nobody here has read",
    ),
    "the dashboard": (lambda d: values(d)["api"].update(dashboard=True), "the dashboard is on"),
    "a load balancer's Service": (lambda d: published(d, type="LoadBalancer"), "as LoadBalancer, not"),
    "other node ports": (
        lambda d: published(d, ports=[{"name": "web", "nodePort": 30080}, {"name": "websecure", "nodePort": 31443}]),
        "publishes {'web': 30080, 'websecure': 31443}",
    ),
    "senders that are lost": (
        lambda d: published(d, externalTrafficPolicy="Cluster"),
        "the sender's address is lost",
    ),
    # Plain HTTP.
    "no redirection": (
        lambda d: port(d, "web")["http"].pop("redirections"),
        "web: requests are not redirected to https",
    ),
    "redirection for now": (
        lambda d: port(d, "web")["http"]["redirections"]["entryPoint"].update(permanent=False),
        "web: requests are not redirected to https for good",
    ),
    "no TLS": (lambda d: port(d)["http"]["tls"].update(enabled=False), "websecure: routes that do not ask for TLS"),
    "routes everywhere": (lambda d: port(d).update(asDefault=False), "are on every one, not on websecure alone"),
    "a route on web": (lambda d: bank(d).update(entryPoints=["web"]), "is on ['web']"),
    "a route on an inner port": (lambda d: bank(d).update(entryPoints=["websecure", "metrics"]), "'metrics'"),
    # The chain.
    "a member left out": (lambda d: port(d)["http"]["middlewares"].pop(1), "websecure: its chain is"),
    "another order": (lambda d: port(d)["http"]["middlewares"].reverse(), "websecure: its chain is"),
    "no chain": (lambda d: port(d)["http"].pop("middlewares"), "websecure: its chain is []"),
    "no chain on web": (lambda d: port(d, "web")["http"].pop("middlewares"), "web: its chain is []"),
    "a tenant's chain": (
        lambda d: port(d)["http"].update(middlewares=[f"{BANK}-open@kubernetescrd"]),
        "websecure: its chain is",
    ),
    "a member that is missing": (
        lambda d: content(d)["http"]["middlewares"].pop("rate-limit"),
        "rate-limit: the file does not define it",
    ),
    "a header that stays": (
        lambda d: member(d, "strip-identity")["headers"]["customRequestHeaders"].pop("X-Auth-Request-User"),
        "strip-identity: does not do what its name says",
    ),
    "a header that is set": (
        lambda d: member(d, "strip-identity")["headers"]["customRequestHeaders"].update(
            {"X-Auth-Request-User": "root"}
        ),
        "strip-identity: does not do what its name says",
    ),
    "underscores": (
        lambda d: port(d)["http"].pop("underscoreHeadersStrategy"),
        "websecure: X_Auth_Request_User passes",
    ),
    "no rate": (
        lambda d: member(d, "rate-limit")["rateLimit"].update(average=0),
        "rate-limit: does not do what its name says",
    ),
    "a rate for all together": (
        lambda d: member(d, "rate-limit")["rateLimit"].pop("sourceCriterion"),
        "rate-limit: does not do what its name says",
    ),
    "any body": (
        lambda d: member(d, "body-limit")["buffering"].update(maxRequestBodyBytes=0),
        "body-limit: does not do what its name says",
    ),
    "no headers": (
        lambda d: member(d, "security-headers")["headers"].pop("stsSeconds"),
        "security-headers: does not do what its name says",
    ),
    "a router in the file": (lambda d: content(d)["http"].update(routers={"x": {}}), "the file defines routers"),
    # Senders.
    "the PROXY protocol from anybody": (
        lambda d: port(d)["proxyProtocol"].update(insecure=True),
        "websecure: the PROXY protocol is taken from anybody",
    ),
    "the PROXY protocol from the Network": (
        lambda d: port(d)["proxyProtocol"].update(trustedIPs=["10.0.0.0/8"]),
        "websecure: the PROXY protocol is taken from ['10.0.0.0/8']",
    ),
    "the PROXY protocol from nobody": (
        lambda d: port(d, "web").pop("proxyProtocol"),
        "web: the PROXY protocol is taken from []",
    ),
    "the PROXY protocol on an inner port": (
        lambda d: port(d, "metrics").update(proxyProtocol={"trustedIPs": ["10.0.0.2/32"]}),
        "metrics: the PROXY protocol is taken from ['10.0.0.2/32']",
    ),
    "another load balancer": (
        lambda d: ingress_policy(d)[0].update(ipBlock={"cidr": "10.0.0.3/32"}),
        "connections are let in from ['10.0.0.3/32']",
    ),
    "the whole Network": (
        lambda d: ingress_policy(d).append({"ipBlock": {"cidr": "10.0.0.0/8"}}),
        "connections are let in from ['10.0.0.0/8', '10.0.0.2/32']",
    ),
    "forwarded headers": (
        lambda d: port(d).update(forwardedHeaders={"trustedIPs": ["173.245.48.0/20"]}),
        "websecure: X-Forwarded headers are believed",
    ),
    "forwarded headers from anybody": (
        lambda d: port(d).update(forwardedHeaders={"insecure": True}),
        "websecure: X-Forwarded headers are believed",
    ),
    # From tenant to tenant.
    "namespaces do not matter": (lambda d: provider(d).update(allowCrossNamespace=True), "allowCrossNamespace: routes"),
    "names out of the cluster": (
        lambda d: provider(d).update(allowExternalNameServices=True),
        "allowExternalNameServices: routes",
    ),
    "names that collide": (lambda d: provider(d).update(safeNaming=False), "a-b/c and a/b-c are one name"),
    "others' providers": (lambda d: provider(d).update(crossProviderNamespaces=[]), "crossProviderNamespaces: every"),
    "any default": (
        lambda d: provider(d).update(defaultTLSResourcesNamespace=""),
        "defaultTLSResourcesNamespace: every namespace",
    ),
    "another's service": (
        lambda d: rule(d)["services"][0].update(namespace=SHOP),
        f"names the service web of {SHOP}",
    ),
    "another's middleware": (
        lambda d: rule(d).update(middlewares=[{"name": "authenticated", "namespace": SHOP}]),
        f"names the middleware authenticated of {SHOP}",
    ),
    "a middleware by its full name": (
        lambda d: rule(d).update(middlewares=[{"name": f"{SHOP}-authenticated@kubernetescrd"}]),
        "of another provider",
    ),
    "what is inside Traefik": (
        lambda d: rule(d).update(services=[{"name": "api@internal", "kind": "TraefikService"}]),
        "names the service api@internal of another provider",
    ),
    "a service of Traefik's": (
        lambda d: rule(d)["services"][0].update(kind="TraefikService"),
        "leads to the TraefikService web",
    ),
    "a TraefikService": (
        lambda d: d["TraefikService"].append(custom("TraefikService", BANK, "mix")),
        f"TraefikService {BANK}/mix",
    ),
    "a name out of the cluster": (
        lambda d: next(e for e in d["Service"] if e["metadata"]["namespace"] == BANK)["spec"].update(
            type="ExternalName", externalName="web.shop-production.svc.cluster.local"
        ),
        "leads to web.shop-production.svc.cluster.local, out of its namespace",
    ),
    "a transport": (
        lambda d: rule(d)["services"][0].update(serversTransport="open"),
        "its service sets serversTransport",
    ),
    "a transport that is there": (
        lambda d: d["ServersTransport"].append(custom("ServersTransport", BANK, "open", insecureSkipVerify=True)),
        f"ServersTransport {BANK}/open",
    ),
    "machines' ports": (lambda d: rule(d)["services"][0].update(nodePortLB=True), "its service sets nodePortLB"),
    "a parent": (lambda d: bank(d).update(parentRefs=[{"name": "web"}]), "is another's child"),
    "a middleware of its own": (
        lambda d: rule(d).update(middlewares=[{"name": "mine"}]),
        "names the middleware mine; only authenticated",
    ),
    "a middleware that is there": (
        lambda d: d["Middleware"].append(custom("Middleware", BANK, "mine", headers={})),
        f"Middleware {BANK}/mine",
    ),
    "another's host": (
        lambda d: d["IngressRoute"].append(route(BANK, "shop.example.com", name="steal")),
        f"shop.example.com: claimed by {BANK} and {SHOP}",
    ),
    "every host": (lambda d: rule(d).update(match="PathPrefix(`/`)"), "matches more than one named host"),
    "hosts by a pattern": (lambda d: rule(d).update(match="HostRegexp(`.*`)"), "matches more than one named host"),
    "one more host": (
        lambda d: rule(d).update(match="Host(`bank.example.com`) || PathPrefix(`/`)"),
        "matches more than one named host",
    ),
    "an old syntax": (lambda d: rule(d).update(syntax="v2"), "read in the syntax v2"),
    # Who somebody is.
    "what visitors say": (lambda d: guard(d).update(trustForwardHeader=True), "what visitors say of themselves"),
    "not said at all": (lambda d: guard(d).pop("trustForwardHeader"), "what visitors say of themselves"),
    "a header that nobody strips": (
        lambda d: guard(d)["authResponseHeaders"].append("X-Role"),
        "sets ['x-role'], which the chain does not take",
    ),
    "headers by a pattern": (lambda d: guard(d).update(authResponseHeadersRegex="^X-"), "sets headers by a pattern"),
    "no identity": (lambda d: guard(d).update(authResponseHeaders=[]), "sets no identity header"),
    "half an identity": (
        lambda d: guard(d)["authResponseHeaders"].remove("X-Auth-Request-Groups"),
        "does not set ['x-auth-request-groups']",
    ),
    "another service": (lambda d: guard(d).update(address="http://evil.example.com"), "different services are asked"),
    "nobody to ask": (
        lambda d: d["Middleware"].remove(next(e for e in d["Middleware"] if e["metadata"]["namespace"] == SHOP)),
        "its namespace has no authenticated",
    ),
    # What is written down.
    "no log": (lambda d: values(d)["accessLog"].update(enabled=False), "requests are not logged"),
    "all headers": (
        lambda d: values(d)["accessLog"]["fields"]["headers"].update(defaultMode="keep"),
        "cookies and authorization among them",
    ),
    "an identity": (
        lambda d: values(d)["accessLog"]["fields"]["headers"]["names"].update({"X-Auth-Request-User": "keep"}),
        "the headers ['x-auth-request-user'] are logged",
    ),
    "tokens in addresses": (
        lambda d: values(d)["accessLog"]["fields"]["queryParameters"].update(defaultMode="keep"),
        "query parameters are logged",
    ),
}
"""How it is spoilt, and what must be told."""


def test_what_is_made_has_no_violation(dump: Dump, expected: Expected) -> None:
    assert violations(dump, expected) == []


def test_without_knowing_what_to_expect_it_agrees_with_itself(dump: Dump) -> None:
    assert violations(dump) == []


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_is_spoilt_is_found(spoilt: str, dump: Dump, expected: Expected) -> None:
    spoil, told = SPOILT[spoilt]
    spoil(dump)
    assert any(told in each for each in violations(dump, expected)), violations(dump, expected)


def test_every_rule_has_something_spoilt_that_it_alone_or_with_others_finds(whole: Dump, expected: Expected) -> None:
    finding: set[str] = set()
    for spoil, _ in SPOILT.values():
        spoilt = copy.deepcopy(whole)
        spoil(spoilt)
        traefik = found(spoilt)
        assert isinstance(traefik, Traefik)
        finding |= {rule.__name__ for rule in RULES if list(rule(spoilt, traefik, expected))}
    assert finding == {rule.__name__ for rule in RULES}


def test_a_tenants_default_options_change_nothing_while_the_file_has_its_own(dump: Dump, expected: Expected) -> None:
    """It is told because it has no business there; handshakes ask for the certificate as before."""
    dump["TLSOption"].append(custom("TLSOption", BANK, "default"))
    assert violations(dump, expected) == [
        f"TLSOption {BANK}/default: a route that names it escapes the client certificate"
    ]


def test_no_traefik_is_no_good_ingress(dump: Dump, expected: Expected) -> None:
    dump[RELEASE] = []
    assert violations(dump, expected) == ["there is no Traefik: neither a DaemonSet with arguments nor a release"]


def test_what_runs_counts_for_more_than_what_the_release_says(dump: Dump, expected: Expected) -> None:
    said = arguments(values(dump))
    volumes = [{"name": name, "secret": {"secretName": name}} for name in ("origin-certificate", "origin-pull-ca")]
    paths = {"origin-certificate": "/certificates/origin", "origin-pull-ca": "/certificates/origin-pull-ca"}
    container = {"args": said, "volumeMounts": [{"name": name, "mountPath": path} for name, path in paths.items()]}
    pod = {"containers": [container], "volumes": volumes}
    name = {"name": "traefik", "namespace": "traefik"}
    dump["DaemonSet"] = [{"kind": "DaemonSet", "metadata": name, "spec": {"template": {"spec": pod}}}]
    assert violations(dump, expected) == []
    container["args"] = [*said, "--providers.kubernetescrd.allowCrossNamespace=true"]
    assert violations(dump, expected) == [
        "providers.kubernetescrd.allowCrossNamespace: routes reach what is not their tenant's"
    ]


def test_the_file_that_is_mounted_counts_for_more_than_the_releases(dump: Dump, expected: Expected) -> None:
    mounted = copy.deepcopy(content(dump))
    mounted["tls"]["options"]["default"]["sniStrict"] = False
    name = {"name": "traefik-file-provider", "namespace": "traefik"}
    dump["ConfigMap"] = [{"kind": "ConfigMap", "metadata": name, "data": {"config.yml": yaml.safe_dump(mounted)}}]
    assert violations(dump, expected) == ["TLS options default: names without a certificate are served (sniStrict)"]


def test_the_node_ports_of_the_load_balancer_are_the_only_way_in(dump: Dump, expected: Expected) -> None:
    published(dump)
    assert violations(dump, expected) == []


def test_a_tenants_chart_renders_routes_without_violation(dump: Dump, expected: Expected) -> None:
    helm = shutil.which("helm") or _ours()
    if helm is None:
        pytest.skip("helm is neither on PATH nor in the cache: `make toolchain` gets it")
    shown = subprocess.run(
        [helm, "template", "web", str(ROOT / "charts/service"), "--namespace", "mill-staging", "--values", "-"],
        input=yaml.safe_dump(
            {
                "tenant": "mill",
                "environment": "staging",
                "owner": "mill",
                "image": {"repository": "registry.example.com/mill/web", "digest": f"sha256:{'0' * 64}"},
                "route": {"hosts": ["mill.example.com"], "pathPrefix": "/"},
            }
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    rendered = [each for each in yaml.safe_load_all(shown.stdout) if each]
    routes = [each for each in rendered if each["kind"] == "IngressRoute"]
    assert len(routes) == 1
    for each in rendered:
        if each["kind"] in ("IngressRoute", "Service", "Middleware"):
            each["metadata"].setdefault("namespace", "mill-staging")
            dump[each["kind"]].append(each)
    dump["Middleware"].append(authenticated("mill-staging", AUTHENTICATION))
    assert violations(dump, expected) == []


def _ours() -> str | None:
    tool = find_tool("helm")
    return str(tool.path) if tool else None


def test_what_the_chart_makes_of_no_values_is_known(dump: Dump) -> None:
    """Its defaults are open in many ways, and an empty release must not pass for a closed one."""
    del dump
    said = arguments({})
    assert {"--providers.kubernetesingress", "--api.dashboard=true", "--entryPoints.websecure.http.tls=true"} <= set(
        said
    )
    assert not [each for each in arguments(merged(chart_values("traefik"), {})) if "kubernetesingress" in each]
