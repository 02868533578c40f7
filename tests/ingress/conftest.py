"""The ingress as the component makes it, with two tenants behind it, as a dump."""

import copy
from typing import Any

import pytest

from components.ingress import Ingress, authenticated
from components.secrets import CertificateAuthority
from sandbox import inprocess
from sandbox.deployment import Deployment

from .checker import Expected
from .dump import Dump, Object, from_deployment, from_objects

BALANCER = "10.0.0.2"
AUTHENTICATION = "http://oauth2-proxy.platform.svc.cluster.local:4180/oauth2/auth"
SKIPPED = frozenset({"kubernetes"})


def program() -> None:
    authority = CertificateAuthority("authority", {"common_name": "origin-pull.platform.internal"})
    origin = CertificateAuthority("origin", {"common_name": "example.com"})
    arguments: Any = {
        "chart": {"repository": "oci://ghcr.io/traefik/helm", "version": "41.3.0"},
        "targets": "servers",
        "load_balancer_ip": BALANCER,
        "origin_certificate": origin.certificate,
        "origin_private_key": origin.private_key,
        "origin_pull_ca": authority.certificate,
        "forward_authentication": {"address": AUTHENTICATION},
    }
    Ingress("ingress", arguments)


@pytest.fixture(scope="session")
def deployed() -> Deployment:
    return inprocess.run(program, project="test", stack="test", preview=False, skipped=SKIPPED)


@pytest.fixture(scope="session")
def authority(deployed: Deployment) -> str:
    """PEM of the CA whose client certificates are accepted."""
    return next(
        str(state.outputs["certPem"]) for state in deployed.states if state.urn.endswith("::authority-certificate")
    )


@pytest.fixture(scope="session")
def expected(authority: str) -> Expected:
    return Expected(BALANCER, authority)


def route(namespace: str, host: str, *, name: str = "web", guarded: bool = False) -> Object:
    """As charts/service makes it."""
    rule: dict[str, Any] = {
        "kind": "Rule",
        "match": f"Host(`{host}`) && PathPrefix(`/`)",
        "services": [{"name": name, "port": "http"}],
    }
    if guarded:
        rule["middlewares"] = [{"name": "authenticated"}]
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"entryPoints": ["websecure"], "routes": [rule], "tls": {}},
    }


def service(namespace: str, name: str = "web", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "ClusterIP", "ports": [{"name": "http", "port": 80}], **spec},
    }


def tenants() -> list[Object]:
    return [
        service("shop-production"),
        route("shop-production", "shop.example.com", guarded=True),
        authenticated("shop-production", AUTHENTICATION),
        service("bank-production"),
        route("bank-production", "bank.example.com"),
        authenticated("bank-production", AUTHENTICATION),
    ]


@pytest.fixture(scope="session")
def whole(deployed: Deployment) -> Dump:
    made = from_deployment(deployed)
    for kind, objects in from_objects(tenants()).items():
        made[kind] = [*made[kind], *objects]
    return made


@pytest.fixture
def dump(whole: Dump) -> Dump:
    """All as it must be; one's own to spoil."""
    return copy.deepcopy(whole)
