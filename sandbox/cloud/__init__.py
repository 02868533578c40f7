"""The seam where clouds plug in: what the plugins create objects in, and look them up in.

`FileCloud` remembers objects in a directory. An emulator of a cloud's API takes its place by implementing `Cloud`.
"""

from .cloud import Cloud, CloudError, CloudObject
from .file_cloud import FileCloud
from .selectors import Selector, SelectorError

__all__ = ["Cloud", "CloudError", "CloudObject", "FileCloud", "Selector", "SelectorError"]
