"""The mesh's chain of trust below the anchor that both regions share: manifests of plain data.

anchor (ten years, its key only in Pulumi) → the region's intermediate (two years, in cert-manager's namespace) → the identity
issuer (48 hours, renewed by cert-manager) → certificates of proxies (24 hours).
"""

from typing import Any, Final

Manifest = dict[str, Any]

NAMESPACE: Final = "linkerd"
TRUST_DOMAIN: Final = "cluster.local"
ISSUER: Final = "linkerd-identity"
"""ClusterIssuer that the identity issuer is renewed from; its Secret of the same name is in cert-manager's namespace."""
IDENTITY_ISSUER: Final = "linkerd-identity-issuer"
"""Certificate and Secret; the name is Linkerd's."""
TRUST_ROOTS: Final = "linkerd-identity-trust-roots"
"""ConfigMap; the name is Linkerd's, as is its key ``ca-bundle.crt``."""
WEBHOOKS: Final = ("linkerd-proxy-injector", "linkerd-sp-validator", "linkerd-policy-validator")
"""Certificates; their Secrets have ``-k8s-tls`` behind the name, which is Linkerd's too."""
_READY: Final = {"pulumi.com/waitFor": "condition=Ready"}


def cluster_issuer() -> Manifest:
    """Signs with the region's intermediate."""
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "ClusterIssuer",
        "metadata": {"name": ISSUER, "annotations": _READY},
        "spec": {"ca": {"secretName": ISSUER}},
    }


def identity_issuer() -> Manifest:
    """The CA that Linkerd signs proxies' certificates with: 48 hours, a new one with a new key after 23."""
    return _certificate(
        IDENTITY_ISSUER,
        IDENTITY_ISSUER,
        ISSUER,
        f"identity.linkerd.{TRUST_DOMAIN}",
        {
            "isCA": True,
            "duration": "48h",
            "renewBefore": "25h",
            "usages": ["cert sign", "crl sign", "server auth", "client auth"],
        },
    )


def webhook(name: str, issuer: str) -> Manifest:
    """What a webhook shows the API server; 90 days, renewed after 60. The chart is told to let its CA be injected."""
    settings = {"duration": "2160h", "renewBefore": "720h", "usages": ["digital signature", "server auth"]}
    return _certificate(name, f"{name}-k8s-tls", issuer, f"{name}.{NAMESPACE}.svc", settings)


def trust_roots(bundle: Any) -> Manifest:
    """Whom proxies trust: the anchor, and the one before it while that is handed over; never an intermediate."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": TRUST_ROOTS, "namespace": NAMESPACE},
        "data": {"ca-bundle.crt": bundle},
    }


def _certificate(name: str, secret: str, issuer: str, host: str, settings: Manifest) -> Manifest:
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": _READY},
        "spec": {
            "secretName": secret,
            "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": issuer},
            "commonName": host,
            "dnsNames": [host],
            # The only kind of key that Linkerd takes.
            "privateKey": {"algorithm": "ECDSA", "size": 256, "encoding": "PKCS8", "rotationPolicy": "Always"},
            **settings,
        },
    }
