"""As much of systemd as a machine needs: unit files are read, enabled by links, and started again when they fail."""

import configparser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_UNITS: Final = "etc/systemd/system"
_WANTED: Final = f"{_UNITS}/multi-user.target.wants"
_PACE: Final = 0.1
"""Of what a unit says about waiting: nobody waits ten seconds here."""


@dataclass(frozen=True)
class Unit:
    """A unit that stands on a machine's disk.

    Args:
        name: With its suffix.
        command: What it starts.
        restart: ``no``, ``on-failure`` or ``always``.
        pause: Seconds before it starts again.
        unless: It does nothing when this path exists.
        before: Units that start when this one has run.
    """

    name: str
    command: Sequence[str]
    restart: str = "no"
    pause: float = 0.0
    unless: str | None = None
    before: Sequence[str] = ()

    def restarts(self, code: int) -> bool:
        """Whether it starts again after it has ended with this code."""
        return self.restart == "always" or (self.restart == "on-failure" and code != 0)


def read_unit(disk: Path, name: str) -> Unit | None:
    """A unit of the machine's own; None for those that come with the distribution."""
    file = disk / _UNITS / Path(name).name
    if not file.is_file():
        return None
    content = configparser.ConfigParser(
        strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#", ";")
    )
    content.read_string(file.read_text())
    condition = content.get("Unit", "ConditionPathExists", fallback="")
    return Unit(
        name=file.name,
        command=content.get("Service", "ExecStart", fallback="").lstrip("-@:+!").split(),
        restart=content.get("Service", "Restart", fallback="no"),
        pause=float(content.get("Service", "RestartSec", fallback="0.1").removesuffix("s")) * _PACE,
        unless=condition.removeprefix("!") if condition.startswith("!") else None,
        before=content.get("Unit", "Before", fallback="").split(),
    )


def enable(disk: Path, name: str) -> None:
    """Start it at every boot."""
    link = disk / _WANTED / Path(name).name
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(f"../{Path(name).name}")


def enabled(disk: Path) -> list[str]:
    """What starts at every boot."""
    directory = disk / _WANTED
    return sorted(link.name for link in directory.iterdir()) if directory.is_dir() else []


def asked(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Units that a ``systemctl`` command enables, and those that it starts."""
    verb = next((word for word in words if not word.startswith("-")), "")
    units = [word for word in words[words.index(verb) + 1 :] if not word.startswith("-")] if verb else []
    match verb:
        case "enable":
            return units, units if "--now" in words else []
        case "start" | "restart":
            return [], units
        case _:
            return [], []
