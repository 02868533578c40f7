"""Copies of the stacks' configuration to try things on: labelled dummies instead of secrets, no address of a real cloud.

The tracked files are only read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import yaml

from stacks.settings import PROJECT, Reader
from stacks.stack_secrets import DOCUMENTS, possible_secrets
from stacks.tenant_models import read_tenants

from .clouds import Access

STACKS = ("shared", "prod", "dr")
"""In the order in which they come up."""

POLL_INTERVAL = "20ms"
"""How often the providers ask for an action's progress: the sandbox's clouds need no longer."""

READINESS = {"ready_within": 180, "ready_interval": 0.5}
"""How long a region's API may take here, and how often it is looked at: seconds."""

NO_SERVER = "127.0.0.1:1"
"""Nobody answers there."""

SANDBOX_INPUTS = frozenset({"endpoint", "pollInterval", "pollFunction", "baseUrl", "minioServer", "minioSsl"})
"""Inputs of providers that say where a sandbox's clouds are: nothing that a deployment would have."""

_ENDPOINTS = ("hcloud:endpoint", "cloudflare:baseUrl", "minio:minioServer")
"""Where a real cloud might answer; a preview must not reach one."""


def dummy(key: str, length: int = 64) -> str:
    """A value that says what it is, of a length and alphabet that every provider takes."""
    text = f"dummy{''.join(character for character in key if character.isalnum())}"
    return (text * (length // len(text) + 1))[:length]


def dummies(root: Path, stack: str) -> dict[str, str]:
    """A dummy for every secret that a stack may need.

    Where that is JSON, each of its fields holds the secret's dummy, for every namespace of config/tenants.yaml that needs it.
    """
    tenants = read_tenants(Reader(root)).tenants  # What is wrong there is told by whoever checks the configuration.
    return {
        key: DOCUMENTS[key].filled(tenants, dummy(key)) if key in DOCUMENTS else dummy(key)
        for key in possible_secrets(stack)
    }


@dataclass(frozen=True)
class ScratchStack:
    """One stack's configuration for a run without secrets.

    Args:
        name: The stack's name.
        config: Plain values by namespaced key.
        secrets: Labelled dummies by namespaced key.
        missing: Secrets that the tracked file does not hold yet.
        in_clear: Secrets that the tracked file holds unencrypted, to be refused; never shown.
    """

    name: str
    config: Mapping[str, object]
    secrets: Mapping[str, str]
    missing: tuple[str, ...]
    in_clear: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def given(self, key: str) -> str | None:
        """What a check of the secrets is to see: what stands there in clear, else the dummy."""
        return self.in_clear.get(key, self.secrets.get(key))

    def is_encrypted(self, key: str) -> bool:
        """Whether a deployment would find this secret encrypted."""
        return key not in self.in_clear

    @property
    def block(self) -> str | None:
        """The stack's own block as JSON, as an engine hands it over."""
        value = self.config.get(f"{PROJECT}:stack")
        return None if value is None else json.dumps(value)

    def texts(self) -> dict[str, str]:
        """All values as an engine hands them over: structured ones as JSON."""
        plain = {key: value if isinstance(value, str) else json.dumps(value) for key, value in self.config.items()}
        return plain | dict(self.secrets)

    def against(self, access: Access) -> "ScratchStack":
        """The same for a sandbox's clouds: their addresses and credentials, and the steady address of the region's API."""
        config = dict(self.config) | {
            "hcloud:endpoint": access.hetzner,
            "hcloud:pollInterval": POLL_INTERVAL,
            "hcloud:pollFunction": "constant",
        }
        given = {"hcloud:token": access.token}
        if "cloudflare:apiToken" in self.secrets:
            config |= {
                "cloudflare:baseUrl": access.cloudflare,
                "minio:minioServer": access.object_store or NO_SERVER,
                "minio:minioSsl": "false",
            }
            given |= {"cloudflare:apiToken": access.api_token}
            if access.object_store:
                given |= {"minio:minioPassword": access.object_store_password}
        block = config.get(f"{PROJECT}:stack")
        if isinstance(block, dict) and (front := access.fronts.get(str(cast("dict[str, Any]", block).get("region")))):
            own = cast("dict[str, Any]", block)
            config[f"{PROJECT}:stack"] = {
                **own,
                "api": {**own.get("api", {}), "endpoint": "address", "connect_to": front, **READINESS},
            }
        return replace(self, config=config, secrets=dict(self.secrets) | given)

    def write(self, directory: Path) -> Path:
        """Write the plain values as a stack file, mode 0600; dummies are not among them."""
        path = directory / f"Pulumi.{self.name}.yaml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump({"config": dict(self.config)}), encoding="utf-8")
        return path


def read(root: Path, stack: str) -> ScratchStack:
    """The stack's tracked file without what is secret in it; an unreadable file counts as empty."""
    try:
        document: Any = yaml.safe_load((root / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
        given = cast("dict[str, object]", document["config"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        given = {}
    encrypted = {key for key, value in given.items() if isinstance(value, dict) and "secure" in value}
    wanted = possible_secrets(stack)
    plain = {key: value for key, value in given.items() if key not in encrypted | set(wanted) and key not in _ENDPOINTS}
    return ScratchStack(
        stack,
        plain,
        dummies(root, stack),
        tuple(key for key in wanted if key not in encrypted),
        {key: str(given[key]) for key in wanted if key in given and key not in encrypted},
    )
