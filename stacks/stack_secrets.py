"""The secrets of each stack: which there are, when they are needed, and whether they are stored as they must be."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast

from components.problem import Problem

from .models import Region, RobotPool
from .platform_models import Platform
from .settings import PROJECT, SHARED
from .tenant_models import Tenant
from .tenants import namespaces, object_store_buckets

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


def _with_buckets(tenants: Mapping[str, Tenant]) -> list[str]:
    return [each.name for each in object_store_buckets(tenants)]


@dataclass(frozen=True)
class Document:
    """The form of a secret that is JSON: texts by namespace and field.

    Args:
        fields: What each namespace has, and nothing else.
        namespaces: Whose there must be, among tenants' namespaces; others may be prepared, and are not looked at.
    """

    fields: tuple[str, ...]
    namespaces: Callable[[Mapping[str, Tenant]], list[str]]

    def filled(self, tenants: Mapping[str, Tenant], text: str) -> str:
        """The document with this text in every field."""
        return json.dumps({namespace: dict.fromkeys(self.fields, text) for namespace in self.namespaces(tenants)})

    def problems(self, text: str, tenants: Mapping[str, Tenant]) -> Iterator[tuple[str, str]]:
        """What is wrong with a text, and what to write; neither shows anything of it, keys included."""
        wanted = self.namespaces(tenants)
        example = self._example(next(iter(wanted), "accounts-production"))
        try:
            content: object = json.loads(text)
        except (ValueError, RecursionError):
            yield "is no JSON", example
            return
        if not isinstance(content, dict):
            yield "is JSON, but holds nothing by namespace", example
            return
        by_namespace = cast("dict[str, object]", content)
        for namespace in wanted:
            for problem in self._of(namespace, by_namespace.get(namespace)):
                yield problem, self._example(namespace)

    def _of(self, namespace: str, content: object) -> Iterator[str]:
        if not isinstance(content, dict):
            yield f"holds nothing for {namespace}" if content is None else f"holds no fields for {namespace}"
            return
        fields = cast("dict[str, object]", content)
        for field in self.fields:
            value = fields.get(field)
            if not isinstance(value, str) or not value.strip():
                yield f"holds no {field} for {namespace}"
        unknown = len(fields.keys() - set(self.fields))
        if unknown:
            known = " and ".join(self.fields)
            yield f"holds {unknown} unknown field{'s' if unknown > 1 else ''} for {namespace}; known are {known}"

    def _example(self, namespace: str) -> str:
        return f"write JSON such as {json.dumps({namespace: dict.fromkeys(self.fields, '...')})}"


@dataclass(frozen=True)
class StackSecret:
    """A secret of a region's stack that only some configurations need.

    Args:
        key: Configuration key.
        purpose: What it is.
        needed: Whether a region and the platform's configuration need it.
        when: The same for people.
        document: Its form, where it is JSON.
    """

    key: str
    purpose: str
    needed: Callable[[Region, Platform], bool]
    when: str
    document: Document | None = None


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
        Document(("access_key_id", "secret_access_key"), namespaces),
    ),
    StackSecret(
        OBJECT_STORE_CREDENTIALS,
        'JSON, by namespace: {"accounts-production": {"access_key": "...", "secret_key": "..."}}, made in the console',
        lambda _, platform: platform.object_store.kind == "hetzner",
        "with object_store.kind: hetzner",
        Document(("access_key", "secret_key"), _with_buckets),
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


DOCUMENTS: Final = {each.key: each.document for each in CONDITIONAL if each.document is not None}
"""Secrets that are JSON, by configuration key."""


def check_secrets(
    stack: str,
    needed: Mapping[str, str],
    given: Callable[[str], str | None],
    is_secret: Callable[[str], bool],
    tenants: Mapping[str, Tenant],
) -> Iterator[Problem]:
    """Secrets that the stack needs: there, stored encrypted, of the right form. Their values are never shown.

    Args:
        stack: Its name.
        needed: As of `required_secrets`. What is stored without being needed must be encrypted all the same.
        given: Value of a configuration key.
        is_secret: Whether a configuration key is stored encrypted.
        tenants: Who has namespaces, for the secrets that are JSON by namespace.
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
        if key in DOCUMENTS and key in needed:
            for problem, remedy in DOCUMENTS[key].problems(value, tenants):
                yield Problem(key, None, problem, f"{remedy}, and {command}")
