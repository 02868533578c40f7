"""Locks and copies of states in a bucket, as the command line writes them there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from minio import Minio

from operations.backend import Store, open_backend, read_locks, restorations, stack_names
from sandbox.object_store import ObjectStore
from sandbox.toolchain import find_tool

pytestmark = pytest.mark.engine


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    tool = find_tool("moto_server")
    if tool is None:
        pytest.skip("no S3 server on PATH or in the cache: `make toolchain` gets one")
    server = ObjectStore(tool.path, tmp_path, "user", "a-long-password")
    server.start()
    client = Minio(server.endpoint, access_key=server.user, secret_key=server.password, secure=False)
    client.make_bucket("state")
    held = {"pid": 7, "username": "ada", "hostname": "ci", "timestamp": "2026-11-24T03:12:14Z"}
    for name, content in {
        "locks/organization/p/prod/x.json": json.dumps(held),
        "stacks/p/prod.json": "{trunc",
        "stacks/p/prod.json.bak": json.dumps({"checkpoint": {}}),
    }.items():
        path = tmp_path / "content"
        path.write_text(content)
        client.fput_object("state", f".pulumi/{name}", str(path))
    url = f"s3://state?endpoint=http://{server.endpoint}&region=hel1"
    opened = open_backend(url, {"AWS_ACCESS_KEY_ID": server.user, "AWS_SECRET_ACCESS_KEY": server.password})
    assert opened is not None
    yield opened
    server.stop()


def test_a_bucket_holds_what_a_directory_holds(store: Store) -> None:
    [lock] = read_locks(store, "p", "prod")
    assert (lock.pid, lock.user, lock.host) == (7, "ada", "ci")
    assert read_locks(store, "p", "dr") == []
    assert stack_names(store, "p") == ["prod"]
    [line] = restorations(store, "p", "prod")
    assert line.startswith("aws s3 cp s3://state/.pulumi/stacks/p/prod.json.bak s3://state/.pulumi/stacks/p/prod.json")
