"""Traefik's settings, from plain data.

Everything that keeps strangers out is in one file that Traefik reads at its start: TLS options, certificates, the chain.
Nobody but who may change the release can change it, and no custom resource can:

- A TLSOption or TLSStore named ``default``, were one made, meets the file's. Two providers with one default make Traefik
  drop both and refuse every handshake; with ``defaultTLSResourcesNamespace`` it does not even look at a tenant's.
- Nothing is applied before the file was read, or else without the chain that every router needs: a router whose
  middleware is missing is not built. So there is no moment in which a route is open.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi

from ..load_balancer import INGRESS_HTTP_NODE_PORT, INGRESS_HTTPS_NODE_PORT
from .chain import CHAIN, VISITOR_HEADER, middlewares
from .flows import HEALTH_PORT, HTTP_PORT, HTTPS_PORT, METRICS_PORT

SERVERS: Final = "servers"
"""Targets of the load balancer that are the control plane's machines; anything else is a pool's name."""

ORIGIN_CERTIFICATE: Final = "origin-certificate"
ORIGIN_PULL_CA: Final = "origin-pull-ca"
CERTIFICATES: Final[Mapping[str, str]] = {
    ORIGIN_CERTIFICATE: "/certificates/origin",
    ORIGIN_PULL_CA: "/certificates/origin-pull-ca",
}
"""Secret → where it is mounted."""

_CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"
_POOL: Final = "hetzner-platform/pool"


def dynamic_configuration(requests_per_second: int, burst: int, body_mb: int) -> dict[str, Any]:
    """The file: the chain, who must show which certificate, and which one is shown."""
    origin = {
        "certFile": f"{CERTIFICATES[ORIGIN_CERTIFICATE]}/tls.crt",
        "keyFile": f"{CERTIFICATES[ORIGIN_CERTIFICATE]}/tls.key",
    }
    client = {
        "caFiles": [f"{CERTIFICATES[ORIGIN_PULL_CA]}/ca.crt"],
        "clientAuthType": "RequireAndVerifyClientCert",
    }
    return {
        "http": {"middlewares": middlewares(requests_per_second, burst, body_mb)},
        "tls": {
            "options": {"default": {"minVersion": "VersionTLS12", "sniStrict": True, "clientAuth": client}},
            # Strict SNI knows the names of certificates in this list; the default one has none for it.
            "certificates": [origin],
            "stores": {"default": {"defaultCertificate": origin}},
        },
    }


def placement(targets: str) -> dict[str, Any]:
    """Where its pods run: one on each machine that the load balancer targets."""
    if targets != SERVERS:
        return {"nodeSelector": {_POOL: targets}, "tolerations": []}
    return {
        "nodeSelector": {_CONTROL_PLANE: "true"},
        "tolerations": [{"key": _CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"}],
    }


def values(
    *,
    targets: str,
    load_balancer_ip: str,
    requests_per_second: int,
    burst: int,
    body_mb: int,
    fingerprint: pulumi.Input[str] = "",
    meshed: bool = True,
) -> dict[str, Any]:
    """What is laid over charts/values/traefik.yaml.

    Args:
        targets: ``servers``, or the name of the pool that the load balancer targets.
        load_balancer_ip: Its private address; the PROXY protocol's word is taken from nobody else.
        requests_per_second, burst, body_mb: See `middlewares`.
        fingerprint: Of the certificates. Traefik reads their files once, so that new ones need new pods.
        meshed: Whether there is a proxy of the mesh beside it.
    """
    # X-Forwarded-* is taken from nobody: Cloudflare passes on what visitors put into most of them.
    balancer = {"trustedIPs": [f"{load_balancer_ip}/32"], "insecure": False}
    # To Go, X_Auth_Request_User is another header than X-Auth-Request-User; to many applications it is not.
    underscores = {"underscoreHeadersStrategy": "delete"}
    redirection = {"entryPoint": {"to": "websecure", "scheme": "https", "permanent": True}}
    annotations: dict[str, pulumi.Input[str]] = {"hetzner-platform/certificates": fingerprint}
    if meshed:
        # Visitors come from outside the mesh; only what goes out to the tenants is meshed.
        own = ",".join(map(str, (HTTP_PORT, HEALTH_PORT, HTTPS_PORT, METRICS_PORT)))
        annotations |= {"linkerd.io/inject": "enabled", "config.linkerd.io/skip-inbound-ports": own}
    return {
        **placement(targets),
        "deployment": {"podAnnotations": annotations},
        "providers": {"file": {"content": dynamic_configuration(requests_per_second, burst, body_mb)}},
        "volumes": [{"name": name, "mountPath": path, "type": "secret"} for name, path in CERTIFICATES.items()],
        "accessLog": {"fields": {"headers": {"names": {VISITOR_HEADER: "keep"}}}},
        "ports": {
            "traefik": {"port": HEALTH_PORT},
            "metrics": {"port": METRICS_PORT},
            "web": {
                "port": HTTP_PORT,
                "nodePort": INGRESS_HTTP_NODE_PORT,
                # Anybody can reach this one: nothing is counted by a header, and no body collected, only to be redirected.
                "http": {**underscores, "middlewares": _members(CHAIN[:1]), "redirections": redirection},
                "proxyProtocol": balancer,
            },
            "websecure": {
                "port": HTTPS_PORT,
                "nodePort": INGRESS_HTTPS_NODE_PORT,
                "asDefault": True,
                "http": {**underscores, "middlewares": _members(CHAIN), "tls": {"enabled": True}},
                "proxyProtocol": balancer,
            },
        },
    }


def _members(chain: Sequence[str]) -> list[str]:
    """As routers name what the file defines."""
    return [f"{member}@file" for member in chain]
