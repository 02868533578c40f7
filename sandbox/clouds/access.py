"""How clients reach a sandbox's clouds: addresses and generated credentials."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Access:
    """Addresses and credentials of a running sandbox.

    Args:
        hetzner: Address of the Hetzner API, with its version path.
        cloudflare: Address of Cloudflare's API.
        control: Address of the control surface.
        token: Of the project that the platform is in; 64 characters.
        read_only_token: Of the same project.
        other_token: Of another, empty project.
        api_token: Of Cloudflare.
        control_token: Of the control surface.
        fronts: Where each region's API is reached, by region: ``127.11.255.1:6443``.
        object_store: ``host:port`` of the S3 server; empty when there is none.
        object_store_user: Its administrator's access key id.
        object_store_password: Its administrator's secret key.
        pid: Of the process that runs it all.
    """

    hetzner: str
    cloudflare: str
    control: str
    token: str = field(repr=False)
    read_only_token: str = field(repr=False)
    other_token: str = field(repr=False)
    api_token: str = field(repr=False)
    control_token: str = field(repr=False)
    fronts: Mapping[str, str]
    object_store: str = ""
    object_store_user: str = ""
    object_store_password: str = field(default="", repr=False)
    pid: int = 0

    def write(self, path: Path) -> None:
        """Keep it in a file of mode 0600; readers see the old content or the new."""
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file, indent=2)
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Access":
        """What `write` kept.

        Raises:
            FileNotFoundError: nothing was kept.
        """
        return cls(**json.loads(path.read_text()))


def new_secret(length: int = 64) -> str:
    """A credential that every API takes: letters and digits."""
    return secrets.token_hex(length // 2)
