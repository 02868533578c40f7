"""Cloudflare's API, emulated, as far as the edge uses it."""

from .cloud import CloudflareCloud
from .errors import ApiError

__all__ = ["ApiError", "CloudflareCloud"]
