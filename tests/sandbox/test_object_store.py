"""The object store: where it listens, what it keeps, what it does not check, and how it ends."""

import base64
import datetime
import hashlib
import io
import json
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from minio import Minio
from minio.commonconfig import GOVERNANCE
from minio.error import InvalidResponseError, S3Error
from minio.objectlockconfig import DAYS, ObjectLockConfig
from minio.retention import COMPLIANCE, Retention
from minio.versioningconfig import SUSPENDED, VersioningConfig

from sandbox import object_store
from sandbox.machines.processes import mortal
from sandbox.object_store import ObjectStore, ObjectStoreError
from sandbox.toolchain import CHECKOUT, find_tool

USER, PASSWORD = "EXAMPLEKEYADMIN00000", "labelled dummy"


def program(path: Path, body: str) -> Path:
    """A stand-in for the server."""
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o700)
    return path


# -- without moto


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    binary = program(tmp_path / "server", "import sys; sys.exit('no such option: --port')")
    store = ObjectStore(binary, tmp_path / "store", USER, PASSWORD)
    with pytest.raises(ObjectStoreError, match="does not start:\nno such option: --port"):
        store.start()
    store.stop()


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ObjectStoreError, match=r"does not start:\n.*No such file"):
        ObjectStore(tmp_path / "server", tmp_path / "store", USER, PASSWORD).start()


def test_a_server_that_never_answers_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **kwargs))
        return started[-1]

    popen = subprocess.Popen
    monkeypatch.setattr(object_store.subprocess, "Popen", start)
    monkeypatch.setattr(object_store, "_START_SECONDS", 0.3)
    binary = program(tmp_path / "server", "import time; time.sleep(600)")
    with pytest.raises(ObjectStoreError, match="does not start"):
        ObjectStore(binary, tmp_path / "store", USER, PASSWORD).start()
    assert [process.returncode for process in started] == [-signal.SIGTERM]


REFUSES = """
import http.server, os, pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Refuse(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(403)
pathlib.Path(__file__ + ".pid").write_text(str(os.getpid()))
http.server.HTTPServer((sys.argv[2], int(sys.argv[4])), Refuse).serve_forever()
"""
"""A server that refuses everything, its end among that."""


def test_a_server_that_does_not_listen_to_its_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = program(tmp_path / "server", REFUSES)
    store = ObjectStore(binary, tmp_path / "store", USER, PASSWORD)
    store.start()
    pid = int(Path(f"{binary}.pid").read_text())
    monkeypatch.setattr(object_store, "_STOP_SECONDS", 0.2)
    store.stop()
    assert not alive(pid)


STARTS = """
import pathlib, sys, time
from sandbox.object_store import ObjectStore
ObjectStore(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), "user", "password").start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not mortal(), reason="the system does not know how")
def test_a_server_ends_with_who_started_it_even_when_that_is_killed(tmp_path: Path) -> None:
    binary = program(tmp_path / "server", REFUSES)
    command = [sys.executable, "-c", STARTS, str(binary), str(tmp_path / "store")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as starting:
        assert starting.stdout is not None
        assert starting.stdout.readline() == "started\n"
        pid = int(Path(f"{binary}.pid").read_text())
        assert alive(pid)
        starting.kill()
    deadline = time.monotonic() + 60
    while alive(pid):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    # One that has ended may wait for somebody to ask how.
    return told.rpartition(")")[2].split()[0] not in "ZX"


# -- with moto

engine = pytest.mark.engine


def moto(directory: Path) -> ObjectStore:
    tool = find_tool("moto_server")
    if tool is None:
        pytest.skip("no S3 server on PATH or in the cache: `make toolchain` gets one")
    return ObjectStore(tool.path, directory, USER, PASSWORD)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    running = moto(tmp_path_factory.mktemp("store") / "made")
    running.start()
    yield running
    running.stop()


def client_of(store: ObjectStore, user: str | None = USER, password: str | None = PASSWORD) -> Minio:
    return Minio(store.endpoint, access_key=user, secret_key=password, secure=False)


@pytest.fixture
def client(store: ObjectStore) -> Minio:
    """The client of an empty store."""
    httpx.post(f"http://{store.endpoint}/moto-api/reset").raise_for_status()
    return client_of(store)


def put(client: Minio, content: bytes, bucket: str = "data", key: str = "key") -> Any:
    return client.put_object(bucket, key, io.BytesIO(content), len(content))


def got(client: Minio, version: str | None = None) -> bytes:
    response = client.get_object("data", "key", version_id=version)
    try:
        return response.read()
    finally:
        response.close()
        response.release_conn()


def refused(work: Callable[[], Any]) -> str:
    """The S3 code of a refusal."""
    with pytest.raises(S3Error) as told:
        work()
    return str(told.value.code)


def listeners(port: int) -> set[str]:
    """The addresses on which anything listens on a port, as the kernel writes them."""
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    return {row[1].partition(":")[0] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}


@engine
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_it_listens_on_loopback_alone(store: ObjectStore) -> None:
    host, _, port = store.endpoint.partition(":")
    assert host == "127.0.0.1"
    assert listeners(int(port)) == {"0100007F"}


@engine
def test_its_log_is_nobody_elses_and_knows_no_secret(store: ObjectStore, client: Minio) -> None:
    client.list_buckets()
    log = store._directory / "log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(store._directory.stat().st_mode) == 0o700
    assert PASSWORD not in log.read_text()


@engine
def test_objects_are_kept_and_found(client: Minio) -> None:
    client.make_bucket("data")
    put(client, b"content")
    assert got(client) == b"content"
    assert [each.object_name for each in client.list_objects("data")] == ["key"]
    client.remove_object("data", "key")
    assert refused(lambda: client.stat_object("data", "key")) == "NoSuchKey"
    client.remove_bucket("data")
    assert refused(lambda: put(client, b"content")) == "NoSuchBucket"


@engine
def test_versions_are_kept_until_they_are_deleted_by_their_ids(client: Minio) -> None:
    client.make_bucket("data")
    client.set_bucket_versioning("data", VersioningConfig("Enabled"))
    first, second = put(client, b"one").version_id, put(client, b"two").version_id
    assert first != second
    assert (got(client), got(client, first)) == (b"two", b"one")
    client.remove_object("data", "key")
    assert refused(lambda: got(client)) == "NoSuchKey"
    versions = list(client.list_objects("data", include_version=True))
    assert sorted(each.is_delete_marker for each in versions) == [False, False, True]
    assert refused(lambda: client.remove_bucket("data")) == "BucketNotEmpty"
    marker = next(each.version_id for each in versions if each.is_delete_marker)
    client.remove_object("data", "key", version_id=marker)
    assert got(client) == b"two"


def tomorrow() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)


@engine
@pytest.mark.parametrize("mode", [GOVERNANCE, COMPLIANCE])
def test_a_locked_version_is_not_deleted(client: Minio, mode: str) -> None:
    client.make_bucket("data", object_lock=True)
    assert client.get_bucket_versioning("data").status == "Enabled"
    version = put(client, b"one").version_id
    client.set_object_retention("data", "key", Retention(mode, tomorrow()), version_id=version)
    assert refused(lambda: client.remove_object("data", "key", version_id=version)) == "AccessDenied"
    # A marker hides it, and it is there still.
    client.remove_object("data", "key")
    assert refused(lambda: got(client)) == "NoSuchKey"
    assert got(client, version) == b"one"
    assert refused(lambda: client.remove_bucket("data")) == "BucketNotEmpty"


@engine
def test_a_buckets_own_retention_locks_what_is_put(store: ObjectStore, client: Minio) -> None:
    client.make_bucket("data", object_lock=True)
    client.set_object_lock_config("data", ObjectLockConfig(GOVERNANCE, 14, DAYS))
    found = client.get_object_lock_config("data")
    assert (found.mode, found.duration) == (GOVERNANCE, 14)
    # What is locked from its first moment on must come with a checksum.
    assert refused(lambda: put(client, b"one")) == "MissingUploadObjectWithObjectLockHeaders"
    checksum = base64.b64encode(hashlib.md5(b"one").digest()).decode()
    made = httpx.put(f"http://{store.endpoint}/data/key", content=b"one", headers={"Content-MD5": checksum})
    version = made.headers["x-amz-version-id"]
    assert refused(lambda: client.remove_object("data", "key", version_id=version)) == "AccessDenied"


@engine
def test_a_bucket_without_lock_takes_no_retention(client: Minio) -> None:
    client.make_bucket("data")
    version = put(client, b"one").version_id
    assert refused(lambda: client.get_object_lock_config("data")) == "ObjectLockConfigurationNotFoundError"
    retention = Retention(GOVERNANCE, tomorrow())
    work = lambda: client.set_object_retention("data", "key", retention, version_id=version)  # noqa: E731
    assert refused(work) == "InvalidRequest"


# -- what moto does not check, or does otherwise: when one of these fails, moto has become better


@engine
@pytest.mark.parametrize(("user", "password"), [(USER, "wrong"), ("NOBODY", "wrong"), (None, None)])
def test_credentials_are_not_checked(store: ObjectStore, client: Minio, user: str | None, password: str | None) -> None:
    client.make_bucket("data")
    stranger = client_of(store, user, password)
    assert [each.name for each in stranger.list_buckets()] == ["data"]


@engine
def test_policies_deny_everybody_the_actions_on_objects_and_nobody_else_anything(client: Minio) -> None:
    client.make_bucket("data")
    put(client, b"one")
    statement = {
        "Effect": "Deny",
        "Principal": {"AWS": ["arn:aws:iam:::user/p1:SOMEBODY"]},
        "Action": ["s3:GetObject", "s3:ListBucket", "s3:DeleteBucketPolicy"],
        "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client.set_bucket_policy("data", policy)
    assert client.get_bucket_policy("data") == policy
    # Whose key it is, is not looked at, since nobody's is known.
    with pytest.raises(InvalidResponseError, match="403"):
        got(client)
    assert [each.object_name for each in client.list_objects("data")] == ["key"]
    client.delete_bucket_policy("data")
    assert got(client) == b"one"


@engine
def test_policies_need_not_be_json(client: Minio) -> None:
    client.make_bucket("data")
    client.set_bucket_policy("data", "no JSON")
    assert client.get_bucket_policy("data") == "no JSON"


@engine
def test_what_is_put_while_versions_are_suspended_takes_the_older_ones_away(client: Minio) -> None:
    client.make_bucket("data")
    client.set_bucket_versioning("data", VersioningConfig("Enabled"))
    first = put(client, b"one").version_id
    client.set_bucket_versioning("data", VersioningConfig(SUSPENDED))
    put(client, b"two")
    assert refused(lambda: got(client, first)) == "NoSuchVersion"


@engine
def test_versions_of_a_locked_bucket_can_be_suspended(client: Minio) -> None:
    client.make_bucket("data", object_lock=True)
    client.set_bucket_versioning("data", VersioningConfig(SUSPENDED))
    assert client.get_bucket_versioning("data").status == SUSPENDED


@engine
def test_a_retention_can_be_shortened(client: Minio) -> None:
    client.make_bucket("data", object_lock=True)
    version = put(client, b"one").version_id
    for until in (tomorrow(), tomorrow() - datetime.timedelta(hours=12)):
        client.set_object_retention("data", "key", Retention(COMPLIANCE, until), version_id=version)


@engine
def test_a_bucket_of_ones_own_can_be_made_twice(client: Minio) -> None:
    client.make_bucket("data")
    put(client, b"one")
    client.make_bucket("data")
    assert got(client) == b"one"


# -- its end


@engine
def test_it_stops_cleanly_and_forgets_everything(tmp_path: Path) -> None:
    store = moto(tmp_path / "store")
    store.start()
    client_of(store).make_bucket("data")
    assert store._process is not None
    process, port = store._process, int(store.endpoint.partition(":")[2])
    store.stop()
    assert process.returncode == 0
    assert not alive(process.pid)
    assert listeners(port) == set()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/")
    store.stop()
    store.start()
    assert list(client_of(store).list_buckets()) == []
    store.stop()


@engine
def test_two_of_them_know_nothing_of_each_other(store: ObjectStore, client: Minio, tmp_path: Path) -> None:
    client.make_bucket("data")
    other = moto(tmp_path / "store")
    other.start()
    try:
        assert other.endpoint != store.endpoint
        assert list(client_of(other).list_buckets()) == []
    finally:
        other.stop()
    assert client.bucket_exists("data")
