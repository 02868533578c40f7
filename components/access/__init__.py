"""Who may reach machines: the administrators' SSH keys."""

from .ssh_keys import SshKeys, SshKeysArgs

__all__ = ["SshKeys", "SshKeysArgs"]
