"""The administrators' SSH keys in a Hetzner project, which takes each key once."""

from typing import TypedDict

import pulumi
import pulumi_hcloud as hcloud

from ..component import Component
from ..naming import check_name


class SshKeysArgs(TypedDict):
    keys: dict[str, str]
    """Public keys by name."""


class SshKeys(Component):
    """One SSH key a name."""

    ids: pulumi.Output[dict[str, str]]
    """Ids by name."""

    def __init__(self, name: str, args: SshKeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("SshKeys", name, args, SshKeysArgs, opts)
        keys = {
            key: hcloud.SshKey(
                f"{name}-{key}",
                name=check_name(key),
                public_key=public_key,
                # A project takes a key once: its predecessor has to go first.
                opts=self.child(delete_before_replace=True),
            )
            for key, public_key in args["keys"].items()
        }
        self.ids = pulumi.Output.all(**{key: made.id for key, made in keys.items()})
        self.register_outputs({"ids": self.ids})
