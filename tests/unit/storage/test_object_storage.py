"""The buckets as the engine would receive them."""

from typing import Any

import pytest

from components.problem import ProblemsError
from components.storage import Bucket, ObjectLock, ObjectStorage
from tests.unit.edge.recording import Recording, record

BUCKETS = [
    Bucket("p-etcd-fsn1", "etcd snapshots", writers=frozenset({"fsn1"}), noncurrent_days=7, expiry_days=90),
    Bucket("p-postgres", "archive", writers=frozenset({"fsn1", "nbg1"}), object_lock=ObjectLock("GOVERNANCE", 14)),
    Bucket("p-scratch", "nothing of worth", versioning=False),
]


def storage(buckets: list[Bucket] = BUCKETS, **changes: Any) -> Recording:
    def program() -> dict[str, Any]:
        arguments: Any = {
            "buckets": buckets,
            "project_id": "4711",
            "administrators": ["AKADMIN"],
            "access_keys": {"fsn1": "AKFSN1", "nbg1": "AKNBG1"},
            **changes,
        }
        made = ObjectStorage("storage", arguments)
        return {"names": made.names, "kept": made.kept, "default_retention": made.default_retention}

    return record(program)


@pytest.fixture(scope="module")
def deployed() -> Recording:
    return storage()


def test_every_bucket_is_private_protected_and_has_its_policy(deployed: Recording) -> None:
    buckets = deployed.of("S3Bucket")
    assert {r.inputs["bucket"] for r in buckets.values()} == {"p-etcd-fsn1", "p-postgres", "p-scratch"}
    assert all(r.protect and r.inputs["acl"] == "private" and not r.inputs["forceDestroy"] for r in buckets.values())
    assert {r.inputs["bucket"] for r in deployed.of("S3BucketPolicy").values()} == {
        "p-etcd-fsn1",
        "p-postgres",
        "p-scratch",
    }


def test_protection_can_be_lifted_before_a_teardown() -> None:
    assert not any(r.protect for r in storage(protection=False).resources.values())


def test_versions_and_lifecycle_are_as_told(deployed: Recording) -> None:
    assert deployed.of("S3BucketVersioning").keys() == {
        "storage-p-etcd-fsn1-versioning",
        "storage-p-postgres-versioning",
    }
    (lifecycle,) = deployed.of("IlmPolicy").values()
    assert lifecycle.inputs["rules"] == [
        {"id": "noncurrent", "status": "Enabled", "noncurrentVersionExpirationDays": 7},
        {"id": "expiry", "status": "Enabled", "expiration": "90d"},
    ]
    assert "storage-p-etcd-fsn1-versioning" in lifecycle.dependencies


def test_a_locked_bucket_outlives_the_stack_together_with_its_guards(deployed: Recording) -> None:
    kept = {r.name for r in deployed.resources.values() if r.retain_on_delete}
    assert kept == {"storage-p-postgres", "storage-p-postgres-versioning", "storage-p-postgres-policy"}
    assert deployed.of("S3Bucket")["storage-p-postgres"].inputs["objectLocking"] is True
    assert deployed.exports["kept"] == ["p-postgres"]
    assert deployed.exports["default_retention"] == {"p-postgres": "governance 14d"}


def test_the_order_of_buckets_means_nothing(deployed: Recording) -> None:
    assert storage(BUCKETS[::-1]).resources == deployed.resources


@pytest.mark.parametrize(
    ("buckets", "changes", "key"),
    [
        ([Bucket("p-open", "x", acl="public-read")], {}, "buckets.p-open.acl"),
        (BUCKETS, {"administrators": []}, "administrators"),
        (BUCKETS, {"project_id": "x"}, "project_id"),
    ],
)
def test_what_is_wrong_registers_nothing(buckets: list[Bucket], changes: dict[str, Any], key: str) -> None:
    recordings: list[Recording] = []

    def refused() -> None:
        with pytest.raises(ProblemsError) as problems:
            recordings.append(storage(buckets, **changes))
        assert [problem.key for problem in problems.value.problems] == [key]

    refused()
    assert recordings == []
