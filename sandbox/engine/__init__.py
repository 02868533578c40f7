"""The real Pulumi engine on a scratch home and backend, with the sandbox's plugins."""

from .engine import Engine, EngineError

__all__ = ["Engine", "EngineError"]
