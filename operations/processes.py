"""What runs on this machine."""

from collections.abc import Iterator
from pathlib import Path


def orphaned_plugins(processes: Path = Path("/proc")) -> Iterator[int]:
    """Provider plugins whose command line was killed: they end what they had begun, and may make things meanwhile."""
    for status in processes.glob("[0-9]*/stat"):
        try:
            program = status.with_name("cmdline").read_bytes().partition(b"\0")[0]
            # The name in parentheses may hold anything; the parent is the second field after it.
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if parent == 1 and program.rpartition(b"/")[2].startswith(b"pulumi-resource-"):
            yield int(status.parent.name)
