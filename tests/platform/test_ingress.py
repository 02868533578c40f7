"""The ingress as API servers hold it, with Traefik's release and two tenants' services installed by Helm: no violation; and what
is spoilt in a live cluster is seen.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from components.network import AddressPlan
from sandbox.plugins.package import Package, Target
from tests.ingress.checker import Expected, load, violations

from .cluster import Refused, RegionCluster
from .composition import REGIONS, Object
from .services import Services

RELEASE = Target("kubernetes:helm.sh/v3:Release", "traefik")
TRAEFIK = "traefik.io/v1alpha1"
ACCOUNTS, GATEWAY = "accounts-production", "gateway-production"


@pytest.fixture(scope="package")
def expected(cluster: RegionCluster) -> Expected:
    """The region's load balancer, and the CA that the stack ``shared`` made."""
    index = list(REGIONS.values()).index(cluster.region) + 1
    secrets = [each for each in cluster.composition.objects() if each["kind"] == "Secret"]
    (pulls,) = (each for each in secrets if each["metadata"]["name"] == "origin-pull-ca")
    return Expected(str(AddressPlan(index).ingress_load_balancer), pulls["stringData"]["ca.crt"])


@pytest.fixture(scope="package")
def release(cluster: RegionCluster) -> Object:
    """Inputs of Traefik's."""
    (found,) = (each for each in cluster.composition.releases() if each["name"] == "traefik")
    return found


@pytest.fixture(scope="package")
def installed(cluster: RegionCluster, release: Object, helm: Package, services: Services) -> Object:
    """Traefik's release and two tenants' services are there; what the provider says of the release."""
    checked = helm.check(RELEASE, release)
    assert checked.failures == []
    services.install()
    return dict(helm.create(RELEASE, checked.inputs, preview=False).outputs)


def seen(cluster: RegionCluster, expected: Expected) -> list[str]:
    return violations(load(cluster.client), expected)


@pytest.mark.usefixtures("installed")
def test_what_is_in_the_cluster_has_no_violation(cluster: RegionCluster, expected: Expected) -> None:
    dump = load(cluster.client)
    routes = {
        (each["metadata"]["namespace"], bool(each["spec"]["routes"][0].get("middlewares")))
        for each in dump["IngressRoute"]
    }
    assert routes == {(ACCOUNTS, True), (GATEWAY, False)}
    assert len(dump["Middleware"]) == 5
    assert violations(dump, expected) == []


def test_another_regions_load_balancer_would_be_noticed(
    cluster: RegionCluster, expected: Expected, installed: Object
) -> None:
    del installed
    other = "10.0.0.3" if expected.load_balancer == "10.0.0.2" else "10.0.0.2"
    assert any(other in each for each in seen(cluster, Expected(other, expected.origin_pull_ca)))


# --- what somebody could do to the objects of a live cluster


def custom(kind: str, namespace: str, name: str, **spec: Any) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": TRAEFIK, "kind": kind, "metadata": metadata, "spec": spec}


@contextmanager
def made(cluster: RegionCluster, manifest: Object) -> Iterator[None]:
    cluster.make(manifest)
    try:
        yield
    finally:
        metadata = manifest["metadata"]
        path = cluster.path(manifest["apiVersion"], manifest["kind"], metadata["namespace"], metadata["name"])
        cluster.ask("DELETE", path)


RAW = {"routes": [{"match": "HostSNI(`*`)", "services": [{"name": "web", "port": 80}]}]}
ADDED: dict[str, tuple[Object, str]] = {
    "TLS options": (custom("TLSOption", ACCOUNTS, "open"), "a route that names it escapes the client certificate"),
    "the default of TLS options": (custom("TLSOption", "traefik", "default"), "meets the file's default"),
    "a TLS store": (custom("TLSStore", ACCOUNTS, "default"), "certificates of all hosts are in one store"),
    "TCP": (custom("IngressRouteTCP", ACCOUNTS, "raw", **RAW), "connections are without TLS"),
    "TLS passed through": (
        custom("IngressRouteTCP", ACCOUNTS, "raw", **RAW, tls={"passthrough": True}),
        "connections are passed through",
    ),
    "UDP": (
        custom("IngressRouteUDP", ACCOUNTS, "raw", routes=[{"services": [{"name": "web", "port": 53}]}]),
        "datagrams pass no check",
    ),
    "a transport": (custom("ServersTransport", ACCOUNTS, "other"), "by no other way"),
    "a service of Traefik's": (
        custom("TraefikService", ACCOUNTS, "other", mirroring={"name": "web", "port": 80}),
        "by no other way",
    ),
    "a middleware": (
        custom("Middleware", ACCOUNTS, "headers", headers={"customRequestHeaders": {"X-Auth-Request-User": "root"}}),
        "is for namespaces",
    ),
    "a host of two namespaces": (
        custom(
            "IngressRoute",
            "platform",
            "theirs",
            entryPoints=["websecure"],
            tls={},
            routes=[
                {"kind": "Rule", "match": "Host(`accounts.example.com`)", "services": [{"name": "web", "port": 80}]}
            ],
        ),
        "accounts.example.com: claimed by",
    ),
    "another way in": (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "open", "namespace": "traefik"},
            "spec": {"type": "NodePort", "ports": [{"name": "metrics", "port": 9100, "nodePort": 31910}]},
        },
        "publishes {'metrics': 31910}",
    ),
}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("case", ADDED)
def test_what_is_added_is_seen(cluster: RegionCluster, expected: Expected, case: str) -> None:
    manifest, told = ADDED[case]
    if case == "a host of two namespaces":
        # The API server takes it nowhere but where no tenant is.
        assert "tenant-hosts" in cluster.refusal({**manifest, "metadata": {"name": "theirs", "namespace": GATEWAY}})
        manifest = {**manifest, "metadata": {"name": "theirs", "namespace": "openbao"}}
    with made(cluster, manifest):
        assert any(told in each for each in seen(cluster, expected)), seen(cluster, expected)


def guard(change: Callable[[Object], Any]) -> Callable[[Object], None]:
    return lambda held: change(held["spec"]["forwardAuth"])


CHANGED: dict[str, tuple[tuple[str, str, str, str], Callable[[Object], Any], str]] = {
    "what visitors say": (
        (TRAEFIK, "Middleware", "authenticated", ACCOUNTS),
        guard(lambda asked: asked.update(trustForwardHeader=True)),
        "what visitors say of themselves",
    ),
    "half an identity": (
        (TRAEFIK, "Middleware", "authenticated", ACCOUNTS),
        guard(lambda asked: asked["authResponseHeaders"].remove("X-Auth-Request-Groups")),
        "does not set ['x-auth-request-groups']",
    ),
    "a header that nobody strips": (
        (TRAEFIK, "Middleware", "authenticated", ACCOUNTS),
        guard(lambda asked: asked["authResponseHeaders"].append("X-Role")),
        "sets ['x-role'], which the chain does not take",
    ),
    "another service": (
        (TRAEFIK, "Middleware", "authenticated", ACCOUNTS),
        guard(lambda asked: asked.update(address="http://evil.example.com")),
        "different services are asked",
    ),
    "who may connect": (
        ("networking.k8s.io/v1", "NetworkPolicy", "allowed", "traefik"),
        lambda held: held["spec"]["ingress"][0]["from"].append({"ipBlock": {"cidr": "10.0.0.0/8"}}),
        "10.0.0.0/8",
    ),
    "no CA": (
        ("v1", "Secret", "origin-pull-ca", "traefik"),
        lambda held: held.update(data={}),
        "ours must be the only one and be there",
    ),
    "no certificate": (
        ("v1", "Secret", "origin-certificate", "traefik"),
        lambda held: held.update(data={"tls.crt": "", "tls.key": ""}),
        "is not there",
    ),
    "a service that leads away": (
        ("v1", "Service", "users", ACCOUNTS),
        lambda held: held.update(spec={"type": "ExternalName", "externalName": "evil.example.com"}),
        "leads to evil.example.com",
    ),
    "another's middleware": (
        (TRAEFIK, "IngressRoute", "users", ACCOUNTS),
        lambda held: held["spec"]["routes"][0].update(middlewares=[{"name": "authenticated", "namespace": GATEWAY}]),
        f"of {GATEWAY}",
    ),
    "a file's middleware": (
        (TRAEFIK, "IngressRoute", "users", ACCOUNTS),
        lambda held: held["spec"]["routes"][0].update(middlewares=[{"name": "rate-limit@file"}]),
        "of another provider",
    ),
}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("case", CHANGED)
def test_what_is_changed_is_seen(cluster: RegionCluster, expected: Expected, case: str) -> None:
    (version, kind, name, namespace), change, told = CHANGED[case]
    path = cluster.path(version, kind, namespace, name)
    before = cluster.ask("GET", path)
    spoilt = copy.deepcopy(before)
    change(spoilt)
    held = cluster.ask("PUT", path, spoilt)
    try:
        assert any(told in each for each in seen(cluster, expected)), seen(cluster, expected)
    finally:
        before["metadata"]["resourceVersion"] = held["metadata"]["resourceVersion"]
        cluster.ask("PUT", path, before)
    assert seen(cluster, expected) == []


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("namespace", [ACCOUNTS, GATEWAY])
def test_the_api_server_itself_keeps_routes_to_their_tenants_hosts(cluster: RegionCluster, namespace: str) -> None:
    """Even the administrator's."""
    rule = {"kind": "Rule", "match": "Host(`ml.example.com`)", "services": [{"name": "web", "port": 80}]}
    given = custom("IngressRoute", namespace, "theirs", entryPoints=["websecure"], tls={}, routes=[rule])
    assert "tenant-hosts" in cluster.refusal(given)
    for key in ("options", "store"):
        own = {**rule, "match": f"Host(`{'accounts' if namespace == ACCOUNTS else 'api'}.example.com`)"}
        chosen = custom(
            "IngressRoute", namespace, "own", entryPoints=["websecure"], tls={key: {"name": "open"}}, routes=[own]
        )
        assert "tenant-hosts" in cluster.refusal(chosen)
    for entry_points in (["web"], ["websecure", "web"], ["traefik"], []):
        own = {**rule, "match": f"Host(`{'accounts' if namespace == ACCOUNTS else 'api'}.example.com`)"}
        plain = custom("IngressRoute", namespace, "own", entryPoints=entry_points, tls={}, routes=[own])
        assert "entryPoints must be [websecure]" in cluster.refusal(plain)


def spoil(values: Object) -> None:
    values["providers"]["kubernetesCRD"]["allowCrossNamespace"] = True
    values["ports"]["websecure"]["http"]["middlewares"].pop(1)
    values["ports"]["web"]["http"].pop("redirections")
    values["ports"]["websecure"]["proxyProtocol"]["trustedIPs"].append("0.0.0.0/0")
    values["providers"]["file"]["content"]["tls"]["options"]["default"].pop("clientAuth")
    values["accessLog"]["enabled"] = False


SPOILT = (
    "allowCrossNamespace: routes reach what is not their tenant's",
    "websecure: its chain is",
    "web: requests are not redirected",
    "0.0.0.0/0",
    "clients are asked for nothing",
    "requests are not logged",
)


def test_a_release_with_other_values_is_seen(
    cluster: RegionCluster, expected: Expected, release: Object, helm: Package, installed: Object
) -> None:
    other = copy.deepcopy(release)
    spoil(other["values"])
    old, new = (helm.check(RELEASE, each).inputs for each in (release, other))
    changed = helm.update(RELEASE, "traefik/traefik", old, new, installed, preview=False)
    try:
        told = seen(cluster, expected)
        assert [each for each in SPOILT if not any(each in line for line in told)] == []
    finally:
        helm.update(RELEASE, "traefik/traefik", new, old, dict(changed), preview=False)
    assert seen(cluster, expected) == []


def test_a_route_without_its_middleware_is_seen(cluster: RegionCluster, expected: Expected, installed: Object) -> None:
    del installed
    path = cluster.path(TRAEFIK, "Middleware", ACCOUNTS, "authenticated")
    before = cluster.ask("GET", path)
    cluster.ask("DELETE", path)
    try:
        assert any("its namespace has no authenticated" in each for each in seen(cluster, expected))
    finally:
        del before["metadata"]["resourceVersion"], before["metadata"]["uid"]
        cluster.make(before)
    with pytest.raises(Refused, match="already exists"):
        cluster.make(before)
