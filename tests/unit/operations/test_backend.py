"""Locks and copies of states in a backend of files, and which addresses are read at all."""

import json
from pathlib import Path

import pytest

from operations.backend import BackendError, Bucket, Directory, open_backend, read_locks, restorations, stack_names

CHECKPOINT = json.dumps({"version": 3, "checkpoint": {"stack": "prod"}})


def write(base: Path, name: str, content: str) -> Path:
    path = base / ".pulumi" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_a_lock_tells_who_holds_it(tmp_path: Path) -> None:
    content = {"pid": 7, "username": "ada", "hostname": "ci", "timestamp": "2026-11-24T03:12:14.5+01:00"}
    write(tmp_path, "locks/organization/p/prod/x.json", json.dumps(content))
    write(tmp_path, "locks/organization/p/prod/x.json.attrs", "{}")
    write(tmp_path, "locks/organization/p/dr/y.json", json.dumps(content))
    [lock] = read_locks(Directory(tmp_path), "p", "prod")
    assert (lock.pid, lock.user, lock.host, lock.taken) == (7, "ada", "ci", "2026-11-24T03:12:14+01:00")
    assert not lock.here


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": "x"}'])
def test_a_lock_that_cannot_be_read_is_a_lock_all_the_same(tmp_path: Path, content: str) -> None:
    write(tmp_path, "locks/organization/p/prod/x.json", content)
    [lock] = read_locks(Directory(tmp_path), "p", "prod")
    assert (lock.host, lock.here) == ("?", False)


def test_no_locks_are_none(tmp_path: Path) -> None:
    assert read_locks(Directory(tmp_path), "p", "prod") == []


def test_the_newest_good_copy_comes_first(tmp_path: Path) -> None:
    state = write(tmp_path, "stacks/p/prod.json", "{trunc")
    write(tmp_path, "history/p/prod/prod-1.checkpoint.json", CHECKPOINT)
    write(tmp_path, "history/p/prod/prod-1.history.json", "{}")
    write(tmp_path, "backups/p/prod/prod.2.json", "{trunc")
    backup = write(tmp_path, "stacks/p/prod.json.bak", CHECKPOINT)
    write(tmp_path, "stacks/p/dr.json.bak", CHECKPOINT)
    lines = restorations(Directory(tmp_path), "p", "prod")
    assert lines == [
        f"cp {backup} {state}",
        f"cp {tmp_path}/.pulumi/history/p/prod/prod-1.checkpoint.json {state}",
    ]


def test_without_a_good_copy_there_is_no_line(tmp_path: Path) -> None:
    write(tmp_path, "stacks/p/prod.json.bak", "[]")
    assert restorations(Directory(tmp_path), "p", "prod") == []


def test_stacks_are_known_without_reading_them(tmp_path: Path) -> None:
    for name in ("prod.json", "prod.json.bak", "prod.json.attrs", "dr.json"):
        write(tmp_path, f"stacks/p/{name}", "{trunc")
    assert stack_names(Directory(tmp_path), "p") == ["dr", "prod"]


def test_addresses_of_backends() -> None:
    assert open_backend("file:///srv/state", {}) == Directory(Path("/srv/state"))
    assert open_backend("https://api.pulumi.com", {}) is None
    with pytest.raises(BackendError, match="gs://"):
        open_backend("gs://bucket", {})


def test_a_bucket_is_reached_at_its_endpoint() -> None:
    url = "s3://example-state/sub?endpoint=hel1.your-objectstorage.com&region=hel1"
    bucket = open_backend(url, {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
    assert isinstance(bucket, Bucket)
    assert bucket.copy_command("stacks/p/prod.json.bak", "stacks/p/prod.json") == (
        "aws s3 cp s3://example-state/sub/.pulumi/stacks/p/prod.json.bak s3://example-state/sub/.pulumi/stacks/p/prod.json "
        "--endpoint-url https://hel1.your-objectstorage.com"
    )
