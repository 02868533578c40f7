"""A machine's disk: a directory in which its own boot script runs, with stand-ins for what touches the world outside.

This is the contract between cloud-init and the sandbox: ``boot.sh`` itself decides whether its server initialises a
cluster or joins one. It sees the network through ``ip`` and ``curl``, fetches k3s with ``curl``, and starts it with
``systemctl``; these, ``sha256sum`` and ``sleep`` are stand-ins, everything else is real.
"""

import os
import shutil
from pathlib import Path
from typing import Final

from .cloud_init import WrittenFile

STAND_IN: Final = "stand-in for k3s\n"

_STUBS: Final = {
    # The machine's interfaces.
    "ip": 'cat "$SANDBOX_MACHINE/interfaces"\n',
    # k3s is not downloaded; other machines are reached where the address map says.
    "curl": """out= url=
for word in "$@"; do url=$word; done
previous=
for word in "$@"; do
  if [ "$previous" = --output ]; then out=$word; fi
  previous=$word
done
case "$url" in
  file:*) exec {curl} "$@" ;;
  https://*:6443/*)
    host=${{url#https://}}
    host=${{host%%:*}}
    address=$(cat "$SANDBOX_ADDRESSES/$host" 2> /dev/null) || exit 7
    exec {curl} --connect-to "$host:6443:$address:6443" "$@" ;;
  *) printf '%s' '{stand_in}' > "$out" ;;
esac
""",
    # The stand-in has no checksum that could be right.
    "sha256sum": """read -r _ file
[ "$(cat "$file" 2> /dev/null)" = '{stand_in}' ]
""",
    # Units are started by whoever runs the machine.
    "systemctl": """mkdir -p "$SANDBOX_MACHINE/units"
for word in "$@"; do
  case "$word" in *.service) : > "$SANDBOX_MACHINE/units/$word" ;; esac
done
""",
    # Waiting costs nobody anything here.
    "sleep": "exec {sleep} 0.2\n",
}


class Root:
    """A machine's directory: ``root`` is its disk, the rest is about it.

    Args:
        directory: Made with mode 0700.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.disk = directory / "root"
        self._bin = directory / "bin"

    def make(self) -> None:
        """An empty disk, with the stand-ins beside it."""
        for made in (self.directory, self.disk, self._bin, self.directory / "metadata"):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
        for made in ("etc/platform", "etc/rancher/k3s/config.yaml.d", "usr/local/bin", "var/lib"):
            (self.disk / made).mkdir(mode=0o700, parents=True, exist_ok=True)
        real = {name: shutil.which(name) or f"/usr/bin/{name}" for name in ("curl", "sleep")}
        for name, script in _STUBS.items():
            path = self._bin / name
            path.write_text("#!/bin/sh\n" + script.format(stand_in=STAND_IN.strip(), **real))
            path.chmod(0o700)

    def write(self, files: tuple[WrittenFile, ...]) -> None:
        """Write files as cloud-init would, below the disk."""
        for file in files:
            path = self.disk / file.path.lstrip("/")
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(file.content)
            # Others on this computer are not root of that machine: nothing is readable for them.
            path.chmod(file.mode & 0o700)

    def describe(self, interfaces: list[str], metadata: dict[str, str]) -> None:
        """Tell what ``ip`` shows and what the metadata service answers."""
        lines = [
            f"{number}: enp{number}s0    inet {ip}/32 scope global enp{number}s0"
            for number, ip in enumerate(interfaces, 2)
        ]
        (self.directory / "interfaces").write_text(
            "\n".join(["1: lo    inet 127.0.0.1/8 scope host lo", *lines]) + "\n"
        )
        for name, value in metadata.items():
            (self.directory / "metadata" / name).write_text(value)

    def environment(self, addresses: Path) -> dict[str, str]:
        """What the boot script runs with."""
        return {
            "PATH": f"{self._bin}:{os.environ.get('PATH', os.defpath)}",
            "PLATFORM_ROOT": str(self.disk),
            "PLATFORM_METADATA": f"file://{self.directory}/metadata",
            "SANDBOX_MACHINE": str(self.directory),
            "SANDBOX_ADDRESSES": str(addresses),
        }

    def started_units(self) -> list[str]:
        """Units that ``systemctl`` was asked to start."""
        units = self.directory / "units"
        return sorted(path.name for path in units.iterdir()) if units.is_dir() else []

    def wipe(self) -> None:
        """An empty disk."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.make()
