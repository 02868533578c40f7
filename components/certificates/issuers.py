"""Who signs in a cluster, and whom its pods trust: manifests and checks of plain data."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from ..layer import DNS, DNS_PROTOCOLS, INTERNET, Addresses, Flow, from_api_server, from_prometheus, to_api_server
from ..problem import Problem

Manifest = dict[str, Any]

CERTIFICATES_NAMESPACE: Final = "cert-manager"
INTERNAL_ISSUER: Final = "internal"
"""ClusterIssuer that signs with the region's own CA."""
ACME_ISSUER: Final = "acme"
"""ClusterIssuer of publicly trusted certificates; only there when configured."""
ACME_DIRECTORY: Final = "https://acme-v02.api.letsencrypt.org/directory"
"""Let's Encrypt's production directory."""

BUNDLE: Final = "internal-ca"
"""Bundle, and the ConfigMap of the same name in every namespace that asks for it; its key is ``ca.crt``."""
TRUST_LABEL: Final[Mapping[str, str]] = {"hetzner-platform/internal-ca": "trusted"}
"""On namespaces whose pods verify what the internal CA signed."""

CA_SECRET: Final = "internal-ca"  # noqa: S105  a name
TOKEN_SECRET: Final = "acme-cloudflare"  # noqa: S105
TOKEN_KEY: Final = "token"  # noqa: S105
_ACCOUNT_SECRET: Final = "acme-account"  # noqa: S105
_RESOLVER: Final = "1.1.1.1/32"
"""What charts/values/cert-manager.yaml has the challenges' records looked up at."""


class Acme(TypedDict):
    """A public authority that proves names by DNS records at Cloudflare."""

    email: str
    """Where the authority writes to before certificates run out."""
    zone: pulumi.Input[str]
    """The zone whose names it may ask for."""
    token: pulumi.Input[str]
    """Of Cloudflare's API, with Zone:Read and DNS:Edit on that zone (secret)."""
    directory: NotRequired[str]
    """URL of the ACME directory; Let's Encrypt's unless told."""


class InternalCa(TypedDict):
    """Which generations of the region's root there are."""

    generations: Sequence[int]
    """All that pods trust."""
    signs: int
    """The one that signs the CA which certificates are issued from."""


def check(internal_ca: InternalCa, acme: Acme | None) -> list[Problem]:
    """What would be refused, or would leave pods without anybody to trust."""
    problems: list[Problem] = []
    generations, signs = list(internal_ca["generations"]), internal_ca["signs"]
    if not generations or any(number < 1 for number in generations) or len(set(generations)) < len(generations):
        problems.append(
            Problem("internal_ca.generations", generations, "are no generations", "write different numbers from 1 on")
        )
    if signs not in generations:
        remedy = f"write one of {', '.join(map(str, generations))}, or trust it first"
        problems.append(Problem("internal_ca.signs", signs, "is a generation that nobody trusts", remedy))
    if acme is None:
        return problems
    local, _, domain = acme["email"].partition("@")
    if not local or "." not in domain:
        problems.append(Problem("acme.email", acme["email"], "is no address", "write one that is read"))
    zone = acme["zone"]
    if isinstance(zone, str) and "." not in zone.strip("."):
        problems.append(Problem("acme.zone", zone, "is no zone", "write its name, such as example.com"))
    directory = acme.get("directory", ACME_DIRECTORY)
    if not directory.startswith("https://"):
        problems.append(Problem("acme.directory", directory, "is no https URL", f"write one, such as {ACME_DIRECTORY}"))
    return problems


def internal_issuer() -> Manifest:
    """Signs with the CA in the Secret; what it issues carries the CA's own certificate, and the root as ``ca.crt``."""
    return _cluster_issuer(INTERNAL_ISSUER, {"ca": {"secretName": CA_SECRET}})


def acme_issuer(email: str, zone: pulumi.Input[str], directory: str = ACME_DIRECTORY) -> Manifest:
    """Proves by DNS, so that nothing must be reachable: the origin answers nobody but Cloudflare."""
    token = {"name": TOKEN_SECRET, "key": TOKEN_KEY}
    solver = {"selector": {"dnsZones": [zone]}, "dns01": {"cloudflare": {"apiTokenSecretRef": token}}}
    account = {"email": email, "server": directory, "privateKeySecretRef": {"name": _ACCOUNT_SECRET}}
    return _cluster_issuer(ACME_ISSUER, {"acme": {**account, "solvers": [solver]}})


def _cluster_issuer(name: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "ClusterIssuer",
        "metadata": {"name": name},
        "spec": spec,
    }


def bundle(roots: pulumi.Input[str]) -> Manifest:
    """The roots, in PEM, in every namespace that carries the label; never the CA that signs, which changes more often."""
    return {
        "apiVersion": "trust.cert-manager.io/v1alpha1",
        "kind": "Bundle",
        "metadata": {"name": BUNDLE},
        "spec": {
            "sources": [{"inLine": roots}],
            "target": {
                "configMap": {"key": "ca.crt"},
                "namespaceSelector": {"matchLabels": dict(TRUST_LABEL)},
            },
        },
    }


def flows(*, acme: bool) -> list[Flow]:
    """What both operators talk to.

    The job that ends the release's installation asks the API as well, so that rule is for all pods.
    """
    made = [
        to_api_server(),
        # The first of cert-manager, the other of trust-manager, whose charts label their pods differently.
        from_api_server(10250, 6443),
        from_prometheus(9402),
    ]
    if acme:
        controller = {"app.kubernetes.io/name": "cert-manager"}
        made += [
            Flow("acme", "egress", [INTERNET], [443], controller),
            Flow("acme-resolver", "egress", [Addresses(_RESOLVER)], [DNS], controller, DNS_PROTOCOLS),
        ]
    return made
