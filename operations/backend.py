"""Reads a DIY backend (a directory or a bucket) beside the command line: locks, and copies of states."""

import json
import os
import shlex
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit


class BackendError(Exception):
    """The backend cannot be read."""


@dataclass(frozen=True)
class Lock:
    """What a command wrote down before it began to change a stack."""

    stack: str
    path: str
    pid: int
    user: str
    host: str
    taken: str

    @property
    def here(self) -> bool:
        """Whether it was taken on this machine."""
        return self.host == socket.gethostname()

    def runs(self) -> bool:
        """Whether the process is alive; only to be asked where it was taken."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        try:
            # The number may have been given to another program since.
            program = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")[:2]
            return any(Path(os.fsdecode(part)).name == "pulumi" for part in program)
        except OSError:
            return True


class Store(Protocol):
    """Files by key below the backend's ``.pulumi``."""

    def names(self, prefix: str) -> list[str]:
        """All keys below a prefix, newest last."""
        ...

    def read(self, name: str) -> bytes:
        """A file's content."""
        ...

    def copy_command(self, source: str, target: str) -> str:
        """A line for a shell that copies a file over another."""
        ...


@dataclass(frozen=True)
class Directory:
    """``file://<path>``."""

    path: Path

    def names(self, prefix: str) -> list[str]:  # noqa: D102
        base = self.path / ".pulumi"
        found = [each for each in (base / prefix).rglob("*") if each.is_file() and each.suffix != ".attrs"]
        return [str(each.relative_to(base)) for each in sorted(found, key=lambda each: (each.stat().st_mtime_ns, each))]

    def read(self, name: str) -> bytes:  # noqa: D102
        return (self.path / ".pulumi" / name).read_bytes()

    def copy_command(self, source: str, target: str) -> str:  # noqa: D102
        base = self.path / ".pulumi"
        return shlex.join(["cp", str(base / source), str(base / target)])


class Bucket:
    """``s3://<bucket>[/<prefix>]?endpoint=<host>``, with the keys that the command line uses.

    Args:
        url: Address of the backend.
        environment: Has ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``.
    """

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        from minio import Minio  # noqa: PLC0415  only buckets need it

        parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
        endpoint = query.get("endpoint", ["s3.amazonaws.com"])[0]
        scheme, _, host = endpoint.rpartition("://")
        insecure = scheme == "http" or query.get("disableSSL") == ["true"]
        self._bucket, self._base = parts.netloc, "/".join(filter(None, [parts.path.strip("/"), ".pulumi"]))
        self._endpoint = f"{'http' if insecure else 'https'}://{host}"
        self._client = Minio(
            host,
            access_key=environment.get("AWS_ACCESS_KEY_ID"),
            secret_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            region=query.get("region", [None])[0],
            secure=not insecure,
        )

    def names(self, prefix: str) -> list[str]:  # noqa: D102
        found = self._client.list_objects(self._bucket, prefix=f"{self._base}/{prefix}/", recursive=True)
        ordered = sorted(found, key=lambda each: (str(each.last_modified), str(each.object_name)))
        return [str(each.object_name).removeprefix(f"{self._base}/") for each in ordered]

    def read(self, name: str) -> bytes:  # noqa: D102
        answer = self._client.get_object(self._bucket, f"{self._base}/{name}")
        try:
            return answer.read()
        finally:
            answer.close()
            answer.release_conn()

    def copy_command(self, source: str, target: str) -> str:  # noqa: D102
        place = f"s3://{self._bucket}/{self._base}"
        return shlex.join(
            ["aws", "s3", "cp", f"{place}/{source}", f"{place}/{target}", "--endpoint-url", self._endpoint]
        )


def open_backend(url: str, environment: Mapping[str, str]) -> Store | None:
    """The store behind an address; None where locks are not files, as in Pulumi's own service.

    Raises:
        BackendError: it is of a kind that this program cannot read.
    """
    if url.startswith("file://"):
        return Directory(Path(urlsplit(url).path).expanduser())
    if url.startswith("s3://"):
        return Bucket(url, environment)
    if url.startswith(("https://", "http://")):
        return None
    raise BackendError(f"locks in {url.partition('://')[0]}:// are not looked at")


def read_locks(store: Store, project: str, stack: str) -> list[Lock]:
    """The locks of a stack."""
    return [_lock(store, stack, name) for name in store.names(f"locks/organization/{project}/{stack}")]


def stack_names(store: Store, project: str) -> list[str]:
    """The stacks that have a state, without reading any."""
    found = [name.rpartition("/")[2] for name in store.names(f"stacks/{project}")]
    return sorted(name.removesuffix(".json") for name in found if name.endswith(".json"))


def _lock(store: Store, stack: str, name: str) -> Lock:
    try:
        content: Any = json.loads(store.read(name))
        pid, taken = int(content["pid"]), datetime.fromisoformat(content["timestamp"]).isoformat(timespec="seconds")
        return Lock(stack, name, pid, str(content["username"]), str(content["hostname"]), taken)
    except (ValueError, KeyError, TypeError):
        return Lock(stack, name, 0, "?", "?", "?")


def restorations(store: Store, project: str, stack: str) -> Sequence[str]:
    """Lines for a shell that put a good copy in the place of a broken state, the newest copy first."""
    target = f"stacks/{project}/{stack}.json"
    kept = [*store.names(f"stacks/{project}")][::-1]
    candidates = [name for name in kept if name == f"{target}.bak"]
    candidates += [*store.names(f"backups/{project}/{stack}")][::-1]
    candidates += [
        name for name in store.names(f"history/{project}/{stack}")[::-1] if name.endswith(".checkpoint.json")
    ]
    return [store.copy_command(name, target) for name in candidates if _is_checkpoint(store.read(name))]


def _is_checkpoint(content: bytes) -> bool:
    try:
        found: Any = json.loads(content)
    except ValueError:
        return False
    return isinstance(found, dict) and "checkpoint" in found
