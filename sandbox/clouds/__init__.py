"""The emulated clouds together: Hetzner, Cloudflare, the machines, and the surface that controls them."""

from .access import Access, new_secret
from .clouds import Clouds, Options
from .loopback import Loopback, LoopbackError
from .threaded import ThreadedClouds

__all__ = ["Access", "Clouds", "Loopback", "LoopbackError", "Options", "ThreadedClouds", "new_secret"]
