"""A Pulumi program without an engine: the same plugin code behind a monitor of ours, in this process.

It does what the engine does for a first run. There is no state, so a stack that is up cannot be updated, only taken down.
"""

from .run import down, run, unprotect

__all__ = ["down", "run", "unprotect"]
