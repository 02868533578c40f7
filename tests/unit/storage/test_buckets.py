"""Buckets as plain data: what would be refused, or would lock somebody out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.storage import Bucket, ObjectLock, check_access_keys, check_bucket_name, check_buckets

SITES = ["fsn1", "nbg1"]


@pytest.mark.parametrize("name", ["abc", "a-b-c", "0ab", "platform-etcd-fsn1", "a" * 63])
def test_good_names(name: str) -> None:
    assert check_bucket_name(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Abc",
        "a_b",
        "-abc",
        "abc-",
        "a.bc",
        "192.0.2.1",
        "xn--abc",
        "abc-s3alias",
        "",
        "a b",
        "abc\n",
        "äbc",
    ],
)
def test_bad_names(name: str) -> None:
    assert check_bucket_name(name)


@given(st.text(max_size=70))
def test_whatever_is_accepted_is_one_dns_label_of_the_right_length(name: str) -> None:
    if check_bucket_name(name) is None:
        assert 3 <= len(name) <= 63
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert not name.startswith("-")
        assert not name.endswith("-")


def test_a_bucket_as_the_platform_uses_it_is_accepted() -> None:
    backup = Bucket(
        "platform-postgres",
        "PostgreSQL archive",
        readers=frozenset({"nbg1"}),
        writers=frozenset({"fsn1"}),
        noncurrent_days=30,
        object_lock=ObjectLock("GOVERNANCE", 14),
    )
    assert check_buckets([backup], SITES) == []


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"acl": "public-read"}, "acl"),
        ({"acl": ""}, "acl"),
        ({"readers": frozenset({"hel1"})}, "readers"),
        ({"writers": frozenset({"hel1"})}, "writers"),
        ({"noncurrent_days": 0}, "noncurrent_days"),
        ({"expiry_days": -1}, "expiry_days"),
        ({"versioning": False, "noncurrent_days": 3}, "noncurrent_days"),
        ({"object_lock": ObjectLock("GOVERNANCE", 0)}, "object_lock.days"),
        ({"object_lock": ObjectLock("LEGAL", 1)}, "object_lock.mode"),  # type: ignore[arg-type]
        ({"object_lock": ObjectLock("COMPLIANCE", 30), "versioning": False}, "versioning"),
        ({"object_lock": ObjectLock("COMPLIANCE", 30), "noncurrent_days": 29}, "noncurrent_days"),
        ({"object_lock": ObjectLock("COMPLIANCE", 30), "expiry_days": 29}, "expiry_days"),
    ],
)
def test_bad_buckets_are_refused_by_key(changes: dict[str, Any], key: str) -> None:
    (problem,) = check_buckets([Bucket("some-bucket", "a test", **changes)], SITES)
    assert problem.key == f"buckets.some-bucket.{key}"


def test_one_name_for_two_buckets_is_refused() -> None:
    (problem,) = check_buckets([Bucket("twice", "one"), Bucket("twice", "two")], SITES)
    assert problem.problem == "stands twice"


def test_keys_that_tell_sites_apart_are_accepted() -> None:
    assert check_access_keys("4711", ["ADMIN"], {"fsn1": "A", "nbg1": "B"}) == []


@pytest.mark.parametrize(
    ("project", "administrators", "keys", "key"),
    [
        ("p4711", ["ADMIN"], {"fsn1": "A"}, "project_id"),
        ("", ["ADMIN"], {"fsn1": "A"}, "project_id"),
        ("4711", [], {"fsn1": "A"}, "administrators"),
        ("4711", [""], {"fsn1": "A"}, "administrators"),
        ("4711", ["ADMIN"], {"fsn1": ""}, "access_keys.fsn1"),
        ("4711", ["ADMIN"], {"fsn1": "A", "nbg1": "A"}, "access_keys.nbg1"),
        ("4711", ["ADMIN"], {"fsn1": "ADMIN"}, "access_keys.fsn1"),
    ],
)
def test_keys_that_would_shut_out_or_not_tell_apart_are_refused(
    project: str, administrators: list[str], keys: dict[str, str], key: str
) -> None:
    (problem,) = check_access_keys(project, administrators, keys)
    assert problem.key == key
