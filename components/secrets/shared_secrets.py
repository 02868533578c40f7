"""The secrets on which both regions must agree."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import pulumi
import pulumi_random as random

from ..component import Component, check_arguments
from ..problem import refuse
from .authority import CertificateAuthority
from .generations import check_generations

AUTHORITIES: Mapping[str, str] = {
    "data_ca": "data.platform.internal",
    "mesh_trust_anchor": "root.linkerd.cluster.local",
    "origin_pull_ca": "origin-pull.platform.internal",
}
"""Name → common name."""

PASSWORDS: Mapping[str, int] = {
    "replication": 40,
    "rewind": 40,
    "application": 40,
    "archive_cipher": 64,
}
"""Name → length in letters and digits, which need no quoting in a DSN or a password file (5.95 bits each)."""

KEYS: Mapping[str, int] = {"vault_seal_key": 32}
"""Name → length in bytes; OpenBao's static seal takes 32."""

SHARED_SECRETS = (*AUTHORITIES, *PASSWORDS, *KEYS)
"""Every name that has a generation."""


class SharedSecretsArgs(TypedDict):
    """Arguments of ``SharedSecrets``."""

    generations: NotRequired[Mapping[str, int]]
    """Name → generation; 1 for all that are not named. Raising a number renews that secret alone."""


class SharedSecrets(Component):
    """One owner for everything that a standby needs to take over.

    What renewing one entails stands in docs/secrets.md: an archive cipher cannot read what its predecessor wrote, a
    vault seal key must be handed over, and an authority must be trusted before it signs.

    Raises:
        ProblemsError: a generation names nothing or is no number from 1 on; nothing has been registered then.
    """

    authorities: Mapping[str, CertificateAuthority]
    """``data_ca`` (PostgreSQL and Redis), ``mesh_trust_anchor`` (Linkerd), ``origin_pull_ca`` (Cloudflare)."""
    values: Mapping[str, pulumi.Output[str]]
    """``replication``, ``rewind``, ``application``, ``archive_cipher`` and, in base64, ``vault_seal_key`` (secret)."""

    def __init__(self, name: str, args: SharedSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_arguments("SharedSecrets", name, args, SharedSecretsArgs)
        generations = args.get("generations", {})
        refuse(f"SharedSecrets {name!r}", check_generations(generations, SHARED_SECRETS))
        super().__init__("SharedSecrets", name, args, SharedSecretsArgs, opts)
        self.authorities = {
            secret: CertificateAuthority(
                _child(name, secret),
                {"common_name": common_name, "generation": generations.get(secret, 1)},
                self.child(),
            )
            for secret, common_name in AUTHORITIES.items()
        }
        self.values = {
            **{secret: self._password(name, secret, length, generations) for secret, length in PASSWORDS.items()},
            **{secret: self._key(name, secret, length, generations) for secret, length in KEYS.items()},
        }
        self.register_outputs(dict(self.values))

    def _password(self, name: str, secret: str, length: int, generations: Mapping[str, int]) -> pulumi.Output[str]:
        password = random.RandomPassword(
            _child(name, secret), length=length, special=False, opts=self._renewed(secret, generations)
        )
        return pulumi.Output.secret(password.result)

    def _key(self, name: str, secret: str, length: int, generations: Mapping[str, int]) -> pulumi.Output[str]:
        key = random.RandomBytes(_child(name, secret), length=length, opts=self._renewed(secret, generations))
        return pulumi.Output.secret(key.base64)

    def _renewed(self, secret: str, generations: Mapping[str, int]) -> pulumi.ResourceOptions:
        return self.child(replacement_trigger=generations.get(secret, 1))


def _child(name: str, secret: str) -> str:
    return f"{name}-{secret.replace('_', '-')}"
