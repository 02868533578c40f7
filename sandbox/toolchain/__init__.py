"""The programs that a sandbox is made of: found on PATH or in the cache, else downloaded or built."""

from .get import ToolchainError, get_tools
from .releases import checksum
from .tools import CHECKOUT, TOOLS, Tool, find_tool, version_of, why_not_path

__all__ = [
    "CHECKOUT",
    "TOOLS",
    "Tool",
    "ToolchainError",
    "checksum",
    "find_tool",
    "get_tools",
    "version_of",
    "why_not_path",
]
