"""A real API server for the personas: the one that the sandbox's own tests use."""

from tests.sandbox.kubernetes.conftest import api, core, kinds, plane

__all__ = ["api", "core", "kinds", "plane"]
