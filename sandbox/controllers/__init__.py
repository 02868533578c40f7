"""Stand-ins for controllers in a cluster: each does what a deployment waits for, and no more."""

from .attendants import controllers

__all__ = ["controllers"]
