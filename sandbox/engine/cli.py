"""Where the Pulumi command line is."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
MODULE = CHECKOUT / "tools" / "pulumi"


@dataclass(frozen=True)
class Cli:
    """A Pulumi command line.

    Args:
        path: The executable.
        source: How it was found: ``PATH`` or ``cache``.
    """

    path: Path
    source: str


def cache_directory(module: Path = MODULE) -> Path:
    """Where a tool built from (or downloaded for) a Go module is kept, by the hash of its go.mod and go.sum."""
    key = hashlib.sha256((module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "hetzner-platform" / "tools" / f"{module.name}-{key}"


def find_cli() -> Cli | None:
    """The Pulumi command line on PATH, else in the cache; nothing is downloaded or built for it."""
    on_path = shutil.which("pulumi")
    if on_path:
        return Cli(Path(on_path), "PATH")
    cached = cache_directory() / "pulumi"
    return Cli(cached, "cache") if os.access(cached, os.X_OK) else None
