"""People who log in at an identity provider: what the API server takes of their tokens."""

from dataclasses import dataclass
from typing import Final, NotRequired, TypedDict
from urllib.parse import urlsplit

from ..problem import Problem

USERNAME_CLAIM: Final = "email"
GROUPS_CLAIM: Final = "groups"
USERNAME_PREFIX: Final = "oidc:"
"""Before every name, so that nobody is called as a certificate's holder or one of Kubernetes' own accounts is."""
RESERVED_PREFIXES: Final = ("system:", "hetzner-platform:")
"""Of groups that mean more than their members; a token that names one is refused as a whole."""


class OidcArgs(TypedDict):
    """An OpenID Connect provider; its groups are those that personas and tenants are bound to, without a prefix."""

    issuer: str
    """Its https address, exactly as in its tokens' ``iss``; the servers must reach it."""
    client_id: str
    """Whom its tokens are for (``aud``)."""
    username_claim: NotRequired[str]
    """What names somebody in the audit log; ``email`` unless told; refused where the token says that it is not verified."""
    groups_claim: NotRequired[str]
    """The list of groups; ``groups`` unless told."""
    certificate_authority: NotRequired[str]
    """PEM of who signed its certificate; whom the servers' operating system trusts unless told."""


@dataclass(frozen=True)
class Oidc:
    """The provider, as the API server's configuration names it."""

    issuer: str
    client_id: str
    username_claim: str = USERNAME_CLAIM
    groups_claim: str = GROUPS_CLAIM
    certificate_authority: str | None = None

    @classmethod
    def of(cls, args: OidcArgs) -> "Oidc":
        """From a component's arguments."""
        return cls(
            args["issuer"],
            args["client_id"],
            args.get("username_claim", USERNAME_CLAIM),
            args.get("groups_claim", GROUPS_CLAIM),
            args.get("certificate_authority"),
        )

    def authenticator(self) -> dict[str, object]:
        """An entry of ``jwt`` in an AuthenticationConfiguration (apiserver.config.k8s.io/v1)."""
        issuer: dict[str, object] = {"url": self.issuer, "audiences": [self.client_id]}
        if self.certificate_authority is not None:
            issuer["certificateAuthority"] = self.certificate_authority
        free = " && ".join(f"!group.startsWith('{prefix}')" for prefix in RESERVED_PREFIXES)
        return {
            "issuer": issuer,
            "claimMappings": {
                "username": {"claim": self.username_claim, "prefix": USERNAME_PREFIX},
                # None: configuration names groups as the provider does.
                "groups": {"claim": self.groups_claim, "prefix": ""},
            },
            "userValidationRules": [
                {
                    # A claim that is there and empty would do.
                    "expression": f"user.username != '{USERNAME_PREFIX}'",
                    "message": f"{self.username_claim} names nobody",
                },
                {
                    "expression": f"user.groups.all(group, {free})",
                    "message": f"groups that begin with {' or '.join(RESERVED_PREFIXES)} are no provider's to give",
                },
            ],
        }


def oidc_problems(args: OidcArgs) -> list[Problem]:
    """What the API server would not start with; keys are the arguments' names."""
    problems: list[Problem] = []
    url = urlsplit(args["issuer"])
    if url.scheme != "https" or not url.hostname or url.query or url.fragment or url.username is not None:
        remedy = "write it as in the tokens' iss, such as https://login.example.com/realms/platform"
        problems.append(Problem("oidc.issuer", args["issuer"], "is no plain https address", remedy))
    for key in ("client_id", "username_claim", "groups_claim"):
        value = args.get(key, key)
        if not isinstance(value, str) or not value.strip():
            problems.append(Problem(f"oidc.{key}", value, "is empty", "write it, or leave a claim out"))
    authority = args.get("certificate_authority")
    if authority is not None and "-----BEGIN CERTIFICATE-----" not in authority:
        remedy = "write the PEM of a CA's certificate"
        problems.append(Problem("oidc.certificate_authority", authority, "holds no certificate", remedy))
    return problems
