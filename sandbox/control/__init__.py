"""The surface that controls the sandbox: faults, time, state, logs, and a page to look at."""

from .control import Control

__all__ = ["Control"]
