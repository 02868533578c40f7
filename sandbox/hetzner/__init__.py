"""The Hetzner Cloud API, emulated: stateful, strict, for any official client.

A kind of object is a module with a subclass of `Kind`; `Project` holds the objects; `application` speaks HTTP.
"""

from .addresses import AddressPool
from .catalogue import Catalogue
from .cloud import HetznerCloud
from .errors import ApiError
from .limits import Settings
from .project import Project

__all__ = ["AddressPool", "ApiError", "Catalogue", "HetznerCloud", "Project", "Settings"]
