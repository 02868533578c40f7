"""A real API server for what is made of tenants: the one that the sandbox's own tests use, for as long as this folder's take."""

from tests.sandbox.kubernetes.conftest import api, core, kinds, plane

__all__ = ["api", "core", "kinds", "plane"]
