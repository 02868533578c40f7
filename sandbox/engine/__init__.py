"""The real Pulumi engine on a scratch home and backend, with the sandbox's plugins."""

from .cli import Cli, find_cli
from .engine import Engine, EngineError

__all__ = ["Cli", "Engine", "EngineError", "find_cli"]
