"""The ingress as the component makes it, and two tenants behind it."""

from typing import Any

from components.ingress import Ingress, authenticated
from components.secrets import CertificateAuthority
from sandbox import inprocess
from sandbox.deployment import Deployment

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


def deployment() -> Deployment:
    """What the program makes, with real keys and certificates, and no cluster."""
    return inprocess.run(program, project="test", stack="test", preview=False, skipped=SKIPPED)


def dump_of(deployed: Deployment) -> Dump:
    """With the tenants."""
    made = from_deployment(deployed)
    for kind, objects in from_objects(tenants()).items():
        made[kind] = [*made[kind], *objects]
    return made


def authority_of(deployed: Deployment) -> str:
    """PEM of the CA whose client certificates are accepted."""
    return next(
        str(state.outputs["certPem"]) for state in deployed.states if state.urn.endswith("::authority-certificate")
    )


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
