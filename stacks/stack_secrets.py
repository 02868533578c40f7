"""The secrets of each stack: which there are, when they are needed, and whether they are stored as they must be."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from components.problem import Problem

from .models import Region, RobotPool
from .platform_models import Platform
from .settings import PROJECT, SHARED

_HCLOUD_TOKEN: Final = re.compile(r"[A-Za-z0-9]{64}")
_CLOUDFLARE_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{40,80}")

BACKUP_SECRET_KEY: Final = f"{PROJECT}:backupSecretKey"
PREVIOUS_SEAL_KEY: Final = f"{PROJECT}:previousVaultSealKey"
"""Given while OpenBao's seal key is renewed, and taken out afterwards: docs/secrets.md."""
AWS_CREDENTIALS: Final = f"{PROJECT}:awsCredentials"
OBJECT_STORE_CREDENTIALS: Final = f"{PROJECT}:objectStoreCredentials"
ACME_TOKEN: Final = f"{PROJECT}:acmeToken"
ROBOT_USER: Final = f"{PROJECT}:robotUser"
ROBOT_PASSWORD: Final = f"{PROJECT}:robotPassword"


def _robots(region: Region, _: Platform) -> bool:
    return any(isinstance(pool, RobotPool) for pool in region.pools.values())


@dataclass(frozen=True)
class StackSecret:
    """A secret of a region's stack that only some configurations need.

    Args:
        key: Configuration key.
        purpose: What it is.
        needed: Whether a region and the platform's configuration need it.
        when: The same for people.
    """

    key: str
    purpose: str
    needed: Callable[[Region, Platform], bool]
    when: str


CONDITIONAL: Final = (
    StackSecret(
        ROBOT_USER,
        "the user of Robot's web service: without it the cloud controller would remove the Nodes of dedicated machines",
        _robots,
        "with a pool of kind robot",
    ),
    StackSecret(ROBOT_PASSWORD, "the password of Robot's web service", _robots, "with a pool of kind robot"),
    StackSecret(
        ACME_TOKEN,
        "a Cloudflare API token that may edit the zone's DNS records, for certificates of a public authority",
        lambda _, platform: platform.acme is not None,
        "with acme in config/platform.yaml",
    ),
    StackSecret(
        AWS_CREDENTIALS,
        'JSON, by namespace: {"accounts-production": {"access_key_id": "...", "secret_access_key": "..."}}, of IAM users',
        lambda _, platform: platform.secrets.engine == "aws",
        "with secrets.engine: aws",
    ),
    StackSecret(
        OBJECT_STORE_CREDENTIALS,
        'JSON, by namespace: {"accounts-production": {"access_key": "...", "secret_key": "..."}}, made in the console',
        lambda _, platform: platform.object_store.kind == "hetzner",
        "with object_store.kind: hetzner",
    ),
)


def required_secrets(stack: str, region: Region | None = None, platform: Platform | None = None) -> Mapping[str, str]:
    """Secrets of a stack by configuration key, each with what it is for.

    Args:
        stack: Its name.
        region: The stack's region, where it is known: what it needs is among them then.
        platform: What runs in it.
    """
    common = {"hcloud:token": "the Hetzner Cloud API token of the project (read and write)"}
    if stack == SHARED:
        return {
            **common,
            "cloudflare:apiToken": "the Cloudflare API token of the zone",
            "minio:minioPassword": "the secret of the administrators' access key to the object storage",
        }
    own = {**common, BACKUP_SECRET_KEY: "the secret of this site's access key to the object storage"}
    if region is not None and platform is not None:
        own |= {each.key: each.purpose for each in CONDITIONAL if each.needed(region, platform)}
    return own


def possible_secrets(stack: str) -> Mapping[str, str]:
    """Every secret that the stack may need, whatever its configuration."""
    conditional = {} if stack == SHARED else {each.key: each.purpose for each in CONDITIONAL}
    return {**required_secrets(stack), **conditional}


def check_secrets(
    stack: str, needed: Mapping[str, str], given: Callable[[str], str | None], is_secret: Callable[[str], bool]
) -> Iterator[Problem]:
    """Secrets that the stack needs: there, stored encrypted, of the right form. Their values are never shown.

    Args:
        stack: Its name.
        needed: As of `required_secrets`. What is stored without being needed must be encrypted all the same.
        given: Value of a configuration key.
        is_secret: Whether a configuration key is stored encrypted.
    """
    renewed = {PREVIOUS_SEAL_KEY: "OpenBao's seal key before the present one, while it is renewed"}
    for key, purpose in {**needed, **possible_secrets(stack), **renewed}.items():
        command = f"run: pulumi config set --secret {key} -s {stack}"
        value = given(key)
        if not value:
            if key in needed:
                yield Problem(key, None, f"is missing: {purpose}", command)
            continue
        if not is_secret(key):
            yield Problem(key, None, "is stored in clear", f"revoke it, make a new one, and {command}")
        if key == "hcloud:token" and not _HCLOUD_TOKEN.fullmatch(value):
            problem = f"has {len(value)} characters; a Hetzner Cloud token has exactly 64 letters and digits"
            yield Problem(key, None, problem, f"copy the whole token, and {command}")
        if key == "cloudflare:apiToken" and not _CLOUDFLARE_TOKEN.fullmatch(value):
            problem = f"has {len(value)} characters; a Cloudflare token has 40 to 80 letters, digits, '_' and '-'"
            yield Problem(key, None, problem, f"copy the whole token, and {command}")
