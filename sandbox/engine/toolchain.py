"""Gets the Pulumi command line: from PATH, the cache, the official release, or a build of its Go module."""

import hashlib
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from .cli import MODULE, Cli, cache_directory, find_cli

VERSION: Final = "3.259.0"
_RELEASES: Final = f"https://github.com/pulumi/pulumi/releases/download/v{VERSION}"
_PACKAGE: Final = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_FLAG: Final = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"


class ToolchainError(Exception):
    """There is no Pulumi command line and none can be got; the message says what to do."""


def get_cli(*, download: bool, say: Callable[[str], None]) -> Cli:
    """The command line, got if need be.

    Args:
        download: Take the official release instead of building.
        say: Told what happens and how long it takes.

    Raises:
        ToolchainError: it can neither be found, downloaded nor built.
    """
    found = find_cli()
    if found is not None:
        return found
    target = cache_directory()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as directory:
        made = _download(Path(directory), say) if download else _build(Path(directory), say)
        # Moved into place in one step: an interrupted build leaves nothing that looks finished.
        made.replace(target / "pulumi")
    return Cli(target / "pulumi", "cache")


def _build(directory: Path, say: Callable[[str], None]) -> Path:
    if shutil.which("go") is None:
        raise ToolchainError(
            "There is no Pulumi command line on PATH, and no Go to build one with. Install Pulumi "
            f"(https://www.pulumi.com/docs/install), or Go 1.25 or later, or run: make toolchain DOWNLOAD=1 (release {VERSION})"
        )
    say(f"building Pulumi {VERSION} from its Go module: about 6 minutes on two cores, once ...")
    made = directory / "pulumi"
    finished = subprocess.run(
        ["go", "build", "-trimpath", "-ldflags", _VERSION_FLAG, "-o", str(made), _PACKAGE],
        cwd=MODULE,
        env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise ToolchainError(f"Pulumi could not be built from {MODULE.name}/go.mod:\n{finished.stderr.strip()[-2000:]}")
    return made


def _download(directory: Path, say: Callable[[str], None]) -> Path:
    archive = f"pulumi-v{VERSION}-{_platform()}.tar.gz"
    say(f"downloading {archive} from Pulumi's releases (about 150 MB) ...")
    try:
        wanted = checksum(archive, _get(f"{_RELEASES}/pulumi-{VERSION}-checksums.txt").decode())
        content = _get(f"{_RELEASES}/{archive}")
    except httpx.HTTPError as error:
        raise ToolchainError(
            f"the release could not be downloaded ({error}). Without the internet, `make toolchain` builds it with Go."
        ) from error
    if hashlib.sha256(content).hexdigest() != wanted:
        raise ToolchainError(f"{archive} has another SHA-256 than the release's checksums say: not used")
    (directory / archive).write_bytes(content)
    with tarfile.open(directory / archive) as tar:
        tar.extract("pulumi/pulumi", directory, filter="data")
    return directory / "pulumi" / "pulumi"


def checksum(archive: str, listing: str) -> str:
    """SHA-256 of ``archive`` in a release's checksums file.

    Raises:
        ToolchainError: the file does not name it.
    """
    for line in listing.splitlines():
        digest, _, name = line.partition("  ")
        if name.strip() == archive:
            return digest
    raise ToolchainError(f"the release's checksums do not name {archive}: not used")


def _get(url: str) -> bytes:
    return httpx.get(url, follow_redirects=True, timeout=300).raise_for_status().content


def _platform() -> str:
    machines = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
    return f"{platform.system().lower()}-{machines.get(platform.machine().lower(), platform.machine())}"
