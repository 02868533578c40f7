"""How long a cloud takes for what it does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml


class Latencies:
    """Virtual seconds by name. A name with a qualifier (``create_server/dedicated``) wins over the bare one.

    Args:
        seconds: The table; empty means that nothing takes any time.
    """

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.table = dict(seconds or {})

    @classmethod
    def read(cls, path: Path) -> "Latencies":
        """The table of a data file: ``<name>: {seconds: <number>, source: <where the figure is from>}``."""
        content = cast("dict[str, dict[str, Any]]", yaml.safe_load(path.read_text(encoding="utf-8")))
        return cls({name: float(entry["seconds"]) for name, entry in content.items()})

    def seconds(self, name: str, *qualifiers: str) -> float:
        """Virtual seconds; 0 for what the table does not name."""
        for qualifier in qualifiers:
            if (found := self.table.get(f"{name}/{qualifier}")) is not None:
                return found
        return self.table.get(name, 0.0)
