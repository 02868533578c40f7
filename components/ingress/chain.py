"""What every request passes before a tenant's route has a say, and the forward authentication that a route may ask for."""

from typing import Any, Final

Manifest = dict[str, Any]

IDENTITY_HEADERS: Final = ("X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups")
"""Who a visitor is: set by forward authentication, and by nobody else."""

STRIPPED_HEADERS: Final = (
    *IDENTITY_HEADERS,
    "X-Auth-Request-Preferred-Username",
    "X-Auth-Request-Access-Token",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Remote-User",
    "X-Remote-Group",
    "X-WebAuth-User",
    "Remote-User",
    "Remote-Email",
    "Remote-Groups",
    "Remote-Name",
)
"""Taken from every request: ours, and those that applications commonly take for an identity."""

CHAIN: Final = ("strip-identity", "rate-limit", "body-limit", "security-headers")
"""In this order, on every router of an entry point.

Headers go first, so that nothing behind sees a forged one; who asks too often costs no buffer.
"""

AUTHENTICATED: Final = "authenticated"
"""Middleware in a tenant's namespace that its routes may name."""

VISITOR_HEADER: Final = "CF-Connecting-IP"
"""Cloudflare sets it on every request, over what a visitor sent; nobody else gets past the client certificate."""

_ANSWER_BYTES: Final = 2**20
_HSTS_SECONDS: Final = 365 * 24 * 3600


def middlewares(requests_per_second: int, burst: int, body_mb: int) -> dict[str, Manifest]:
    """The chain's members as Traefik's file provider reads them, by name, in their order.

    Args:
        requests_per_second: On average, for a visitor's address, in each of the ingress's pods.
        burst: Requests at once.
        body_mb: Largest body of a request, MiB. Bodies are collected before they are passed on.
    """
    average = {"average": requests_per_second, "period": "1s", "burst": burst}
    bodies = {"maxRequestBodyBytes": body_mb * 2**20, "memRequestBodyBytes": 2**20, "memResponseBodyBytes": 2**20}
    security: Manifest = {
        "stsSeconds": _HSTS_SECONDS,
        "stsIncludeSubdomains": True,
        "contentTypeNosniff": True,
        "customFrameOptionsValue": "SAMEORIGIN",
        "referrerPolicy": "strict-origin-when-cross-origin",
        "permissionsPolicy": "camera=(), microphone=(), geolocation=()",
        # Empty means: taken out of the answer.
        "customResponseHeaders": {"Server": "", "X-Powered-By": ""},
    }
    made = (
        # Empty means: taken out of the request.
        {"headers": {"customRequestHeaders": dict.fromkeys(STRIPPED_HEADERS, "")}},
        {"rateLimit": {**average, "sourceCriterion": {"requestHeaderName": VISITOR_HEADER}}},
        {"buffering": bodies},
        {"headers": security},
    )
    return dict(zip(CHAIN, made, strict=True))


def authenticated(namespace: str, address: str) -> Manifest:
    """Forward authentication, for the routes of one namespace: Traefik takes no Middleware from another.

    It runs after the entry point's chain, which has taken the identity headers out; it takes them out again, and puts in
    what the authentication service answered. An answer that is no 2xx goes to the visitor, and the request no further.

    Args:
        namespace: The tenant's.
        address: URL that is asked about every request.
    """
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "Middleware",
        "metadata": {"name": AUTHENTICATED, "namespace": namespace},
        "spec": {
            "forwardAuth": {
                "address": address,
                "trustForwardHeader": False,
                "authResponseHeaders": list(IDENTITY_HEADERS),
                "maxResponseBodySize": _ANSWER_BYTES,
            }
        },
    }
