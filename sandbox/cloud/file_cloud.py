"""A cloud in a directory: one JSON file an object, so that look-ups find what earlier runs made."""

import contextlib
import fcntl
import json
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from .cloud import CloudError, CloudObject
from .selectors import Selector

_FIRST_ID = 1_000_001


class FileCloud:
    """Objects below ``directory``, which is made with mode 0700 (files: 0600) when it is missing.

    It keeps what look-ups and deletions need; the state of a deployment belongs to the engine.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CloudError(f"cannot use {directory} as a cloud: {error.strerror}") from error

    def create(
        self,
        kind: str,
        attributes: Mapping[str, Any],
        labels: Mapping[str, str] | None = None,
        *,
        id: str | None = None,
    ) -> CloudObject:
        chosen = id if id is not None else str(_FIRST_ID - 1 + self.next_number("id"))
        made = CloudObject(kind, chosen, dict(attributes), dict(labels or {}))
        with self._locked():
            if self._path(kind, chosen).exists():
                raise CloudError(f"{kind} {chosen} exists already")
            self._write(made)
        return made

    def read(self, kind: str, id: str) -> CloudObject | None:
        try:
            content = json.loads(self._path(kind, id).read_text())
        except FileNotFoundError:
            return None
        return CloudObject(kind, id, content["attributes"], content["labels"])

    def update(
        self, kind: str, id: str, attributes: Mapping[str, Any], labels: Mapping[str, str] | None = None
    ) -> CloudObject:
        changed = CloudObject(kind, id, dict(attributes), dict(labels or {}))
        with self._locked():
            if not self._path(kind, id).exists():
                raise CloudError(f"there is no {kind} {id}")
            self._write(changed)
        return changed

    def delete(self, kind: str, id: str) -> None:
        self._path(kind, id).unlink(missing_ok=True)

    def list(self, kind: str, selector: str = "") -> list[CloudObject]:
        wanted = Selector(selector)
        names = [path.stem for path in (self.directory / kind).glob("*.json")]
        found = [self.read(kind, name) for name in sorted(names, key=lambda name: (len(name), name))]
        return [entry for entry in found if entry is not None and wanted.matches(entry.labels)]

    def next_number(self, sequence: str) -> int:
        counter = self.directory / f"{sequence}.counter"
        with self._locked():
            number = int(counter.read_text()) + 1 if counter.exists() else 1
            _write_private(counter, str(number))
        return number

    def _path(self, kind: str, id: str) -> Path:
        return self.directory / kind / f"{id.replace('/', '%2F')}.json"

    def _write(self, entry: CloudObject) -> None:
        path = self._path(entry.kind, entry.id)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _write_private(path, json.dumps({"attributes": entry.attributes, "labels": entry.labels}))

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        descriptor = os.open(self.directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _write_private(path: Path, content: str) -> None:
    """Write under the lock: readers see the old content or the new, never a part."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    draft.replace(path)
