"""Official releases: downloaded, and used only with the checksum that the release tells."""

import hashlib
import json
import platform
import tarfile
from pathlib import Path
from typing import Any, Final

import httpx

from .tools import Recipe

_PULUMI: Final = "https://github.com/pulumi/pulumi/releases/download/v{version}"
_ETCD: Final = "https://github.com/etcd-io/etcd/releases/download/v{version}"
_HELM: Final = "https://get.helm.sh"
_GATOR: Final = "https://github.com/open-policy-agent/gatekeeper/releases/download/{version}"
# Its authors publish no checksums: the digests are those that GitHub tells of what they uploaded.
_GATOR_DIGESTS: Final = "https://api.github.com/repos/open-policy-agent/gatekeeper/releases/tags/{version}"
_CYCLONUS: Final = "https://github.com/mattfenwick/cyclonus/releases/download/{version}"
_KUBERNETES: Final = "https://dl.k8s.io/{version}/bin/{system}/{architecture}/{name}"


class ReleaseError(Exception):
    """A release cannot be had, or is not what it says."""


def download(recipe: Recipe, directory: Path) -> Path:
    """The tool of a recipe, from its authors' release.

    Raises:
        ReleaseError: it cannot be reached, or has another checksum.
    """
    try:
        match recipe.module:
            case "pulumi":
                return _pulumi(recipe, directory)
            case "etcd":
                return _etcd(recipe, directory)
            case "helm":
                return _helm(recipe, directory)
            case "gator":
                return _gator(recipe, directory)
            case "cyclonus":
                return _cyclonus(recipe, directory)
            case _:
                return _kubernetes(recipe, directory)
    except httpx.HTTPError as error:
        raise ReleaseError(
            f"the release of {recipe.name} could not be downloaded ({error}). Without the internet, `make toolchain` "
            "builds it with Go."
        ) from error


def checksum(archive: str, listing: str) -> str:
    """SHA-256 of ``archive`` in a release's checksums file.

    Raises:
        ReleaseError: the file does not name it.
    """
    for line in listing.splitlines():
        digest, _, name = line.partition("  ")
        if name.strip() == archive:
            return digest
    raise ReleaseError(f"the release's checksums do not name {archive}: not used")


def _pulumi(recipe: Recipe, directory: Path) -> Path:
    base = _PULUMI.format(version=recipe.version)
    archive = f"pulumi-v{recipe.version}-{_system()}-{'x64' if _architecture() == 'amd64' else 'arm64'}.tar.gz"
    listing = _get(f"{base}/pulumi-{recipe.version}-checksums.txt").decode()
    return _unpacked(directory, archive, _get(f"{base}/{archive}"), checksum(archive, listing), "pulumi/pulumi")


def _etcd(recipe: Recipe, directory: Path) -> Path:
    base = _ETCD.format(version=recipe.version)
    name = f"etcd-v{recipe.version}-{_system()}-{_architecture()}"
    archive = f"{name}.tar.gz"
    listing = _get(f"{base}/SHA256SUMS").decode()
    return _unpacked(directory, archive, _get(f"{base}/{archive}"), checksum(archive, listing), f"{name}/etcd")


def _helm(recipe: Recipe, directory: Path) -> Path:
    system = f"{_system()}-{_architecture()}"
    archive = f"helm-{recipe.version}-{system}.tar.gz"
    listing = _get(f"{_HELM}/{archive}.sha256sum").decode()
    return _unpacked(directory, archive, _get(f"{_HELM}/{archive}"), checksum(archive, listing), f"{system}/helm")


def _gator(recipe: Recipe, directory: Path) -> Path:
    archive = f"gator-{recipe.version}-{_system()}-{_architecture()}.tar.gz"
    digest = uploaded_digest(archive, _get(_GATOR_DIGESTS.format(version=recipe.version)))
    return _unpacked(directory, archive, _get(f"{_GATOR.format(version=recipe.version)}/{archive}"), digest, "gator")


def _cyclonus(recipe: Recipe, directory: Path) -> Path:
    base = _CYCLONUS.format(version=recipe.version)
    name = f"cyclonus_{_system()}_{_architecture()}"
    archive = f"{name}.tar.gz"
    listing = _get(f"{base}/cyclonus_{recipe.version.removeprefix('v')}_checksums.txt").decode()
    return _unpacked(directory, archive, _get(f"{base}/{archive}"), checksum(archive, listing), f"{name}/cyclonus")


def uploaded_digest(archive: str, release: bytes) -> str:
    """SHA-256 that GitHub tells of a file of a release.

    Args:
        archive: Name of the file.
        release: What its API says of the release.

    Raises:
        ReleaseError: it tells none.
    """
    try:
        told: Any = json.loads(release)
        digests = {str(asset["name"]): str(asset.get("digest") or "") for asset in told["assets"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"what is told of the release of {archive} is not understood: not used") from error
    kind, _, digest = digests.get(archive, "").partition(":")
    if kind != "sha256" or not digest:
        raise ReleaseError(f"no SHA-256 is told of {archive}: not used")
    return digest


def _kubernetes(recipe: Recipe, directory: Path) -> Path:
    url = _KUBERNETES.format(version=recipe.version, system=_system(), architecture=_architecture(), name=recipe.name)
    content = _get(url)
    _verify(recipe.name, content, _get(f"{url}.sha256").decode().strip())
    path = directory / recipe.name
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def _unpacked(directory: Path, archive: str, content: bytes, wanted: str, member: str) -> Path:
    _verify(archive, content, wanted)
    (directory / archive).write_bytes(content)
    try:
        with tarfile.open(directory / archive) as tar:
            tar.extract(member, directory, filter="data")
    except (KeyError, tarfile.TarError) as error:
        raise ReleaseError(f"{archive} does not hold {member}: not used") from error
    return directory / member


def _verify(name: str, content: bytes, wanted: str) -> None:
    if hashlib.sha256(content).hexdigest() != wanted:
        raise ReleaseError(f"{name} has another SHA-256 than the release says: not used")


def _get(url: str) -> bytes:
    return httpx.get(url, follow_redirects=True, timeout=300).raise_for_status().content


def _system() -> str:
    return platform.system().lower()


def _architecture() -> str:
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
