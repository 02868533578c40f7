"""A machine's disk: a directory in which its own scripts run, with stand-ins for what touches the world outside.

This is the contract between cloud-init and the sandbox: ``boot.sh`` itself decides whether its server initialises a
cluster or joins one. It sees the network through ``ip`` and ``curl``, fetches k3s with ``curl``, and starts it with
``systemctl``; these, ``sha256sum``, ``sleep`` and ``uname`` are stand-ins (``stand_ins/bin``), everything else is real.
"""

import os
import posixpath
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from .cloud_init import WrittenFile
from .facts import Attachment

_STAND_INS: Final = Path(__file__).resolve().parent / "stand_ins"
_SKELETON: Final = ("etc/rancher/k3s", "etc/rancher/node", "usr/local/bin", "var/lib", "var/log", "tmp")


class Root:
    """A machine's directory: ``root`` is its disk, the rest is about it.

    Args:
        directory: Made with mode 0700.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.disk = directory / "root"
        self.logs = directory / "logs"

    def make(self) -> None:
        """The disk, where it is missing."""
        for made in (self.directory, self.disk, self.logs, *(self.disk / each for each in _SKELETON)):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, path: str) -> Path:
        """Where an absolute path of the machine is here; nothing leads out of its disk."""
        return self.disk / posixpath.normpath(f"/{path}").lstrip("/")

    def write(self, files: Iterable[WrittenFile]) -> None:
        """Write files as cloud-init would, below the disk.

        Raises:
            OSError: one cannot be written.
        """
        for file in files:
            path = self.path(file.path)
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            flags = os.O_CREAT | os.O_WRONLY | (os.O_APPEND if file.append else os.O_TRUNC)
            with os.fdopen(os.open(path, flags, 0o600), "wb") as opened:
                opened.write(file.content)
            path.chmod(file.mode)

    def describe(self, public: str | None, attachments: Iterable[Attachment], *, dedicated: bool) -> None:
        """Tell what ``ip`` shows, and into which Networks ``curl`` reaches.

        A dedicated machine has no private interface before it makes its VLAN.
        """
        places = list(attachments)
        lines = ["1: lo    inet 127.0.0.1/8 scope host lo"]
        if public is not None:
            lines.append(f"2: eth0    inet {public}/32 metric 100 scope global dynamic eth0")
        for number, place in enumerate([] if dedicated else places, 7):
            lines.append(f"{number}: enp{number}s0    inet {place.ip}/32 scope global dynamic enp{number}s0")
        _replace(self.directory / "interfaces", "".join(f"{line}\n" for line in lines))
        _replace(self.directory / "networks", "".join(f"{place.network_id}\n" for place in places))

    def environment(self, addresses: Path, metadata: str, architecture: str, attempts: int | None) -> dict[str, str]:
        """What the machine's scripts run with; nothing of ours is in it.

        Args:
            addresses: Directory of the address map.
            metadata: URL of the metadata service; empty when there is none.
            architecture: As ``uname -m`` tells it.
            attempts: How often the boot script looks for something; its own number unless told.
        """
        real = {name: shutil.which(name) or f"/usr/bin/{name}" for name in ("curl", "sleep")}
        environment = {
            "PATH": f"{_STAND_INS / 'bin'}:{os.defpath}:/usr/sbin:/sbin",
            "HOME": str(self.disk),
            "PLATFORM_ROOT": str(self.disk),
            "PLATFORM_METADATA": metadata,
            "PLATFORM_MACHINE": str(self.directory),
            "PLATFORM_ADDRESSES": str(addresses),
            "PLATFORM_ARCHITECTURE": architecture,
            "PLATFORM_STAND_IN": str(_STAND_INS / "k3s"),
            "PLATFORM_CURL": real["curl"],
            "PLATFORM_SLEEP": real["sleep"],
        }
        return environment if attempts is None else {**environment, "PLATFORM_ATTEMPTS": str(attempts)}

    def asked_of_systemd(self) -> list[list[str]]:
        """What ``systemctl`` was called with since the last time."""
        file = self.directory / "systemctl"
        try:
            lines = file.read_text().splitlines()
        except FileNotFoundError:
            return []
        file.unlink()
        return [line.split() for line in lines]

    def wipe(self) -> None:
        """Nothing is left of the disk, nor of what is known about it."""
        shutil.rmtree(self.directory, ignore_errors=True)


def _replace(file: Path, text: str) -> None:
    """Write a file at once, for somebody may be reading it."""
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(text)
    draft.replace(file)
