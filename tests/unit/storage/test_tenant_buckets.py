"""Tenants' buckets: what is refused, who may do what, and which stores survive a lost machine."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.storage import TenantBucket, TenantBuckets, check_erasure, check_tenant_buckets
from components.storage.tenant_buckets import (
    environment,
    identities,
    provision_files,
    tenant_policy,
    user_lines,
    write_quorum,
)
from tests.golden_files import compare

SHOP = TenantBuckets("shop", "production", [TenantBucket("media"), TenantBucket("raw-data", versioning=False)])
STAGING = TenantBuckets("shop", "staging", [TenantBucket("media", noncurrent_days=3)])
TENANTS = [SHOP, STAGING]
SECRETS = {each.name: f"secret-of-{each.name}" for each in TENANTS}


def test_good_buckets_are_accepted() -> None:
    assert list(check_tenant_buckets(TENANTS)) == []


@pytest.mark.parametrize(
    ("tenants", "key"),
    [
        ([TenantBuckets("a", "staging", [TenantBucket("b", public=True)])], "tenants.a.environments.staging.buckets.b.public"),
        ([TenantBuckets("a", "staging", [TenantBucket("b", noncurrent_days=0)])], "tenants.a.environments.staging.buckets.b.noncurrent_days"),
        ([TenantBuckets("a", "staging", [TenantBucket("B_c")])], "tenants.a.environments.staging.buckets.B_c"),
        ([TenantBuckets("a" * 52, "production", [TenantBucket("b")])], f"tenants.{'a' * 52}.environments.production.buckets.b"),
        ([TenantBuckets("a", "staging", [TenantBucket("b"), TenantBucket("b")])], "tenants.a.environments.staging.buckets.b"),
        ([SHOP, SHOP], "tenants.shop.environments.production"),
    ],
)  # fmt: skip
def test_bad_buckets_are_refused_by_key(tenants: list[TenantBuckets], key: str) -> None:
    assert next(iter(check_tenant_buckets(tenants))).key == key


def test_two_tenants_whose_buckets_would_be_one_are_refused() -> None:
    first = TenantBuckets("a", "production", [TenantBucket("production-x")])
    second = TenantBuckets("a-production", "production", [TenantBucket("x")])
    assert first.stored(first.buckets[0]) == second.stored(second.buckets[0])
    (problem,) = check_tenant_buckets([first, second])
    assert problem.key == "tenants.a-production.environments.production.buckets.x"


def resources(each: TenantBuckets) -> set[str]:
    return {name for statement in json.loads(tenant_policy(each))["Statement"] for name in statement["Resource"]}


def test_a_user_reaches_its_own_buckets_and_no_others() -> None:
    assert resources(SHOP) == {
        "arn:aws:s3:::shop-production-media",
        "arn:aws:s3:::shop-production-media/*",
        "arn:aws:s3:::shop-production-raw-data",
        "arn:aws:s3:::shop-production-raw-data/*",
    }
    assert not resources(SHOP) & resources(STAGING)


def test_no_user_can_destroy_versions_or_change_a_bucket() -> None:
    statements = json.loads(tenant_policy(SHOP))["Statement"]
    allowed = {action for each in statements if each["Effect"] == "Allow" for action in each["Action"]}
    denied = {action for each in statements if each["Effect"] == "Deny" for action in each["Action"]}
    assert not any("*" in action for action in allowed)
    assert "s3:DeleteObjectVersion" in denied
    assert not allowed & {"s3:DeleteObjectVersion", "s3:PutBucketVersioning", "s3:DeleteBucket", "s3:PutBucketPolicy"}


def test_the_job_reads_lines_and_a_policy_for_each_user() -> None:
    files = provision_files(TENANTS)
    assert files.keys() == {"buckets", "shop-production.json", "shop-staging.json"}
    assert files["buckets"] == "shop-production-media on 30\nshop-production-raw-data off 30\nshop-staging-media on 3\n"
    assert user_lines(SECRETS) == "shop-production secret-of-shop-production\nshop-staging secret-of-shop-staging\n"


def test_the_order_of_tenants_means_nothing() -> None:
    assert provision_files(TENANTS[::-1]) == provision_files(TENANTS)
    assert user_lines(dict(reversed(SECRETS.items()))) == user_lines(SECRETS)


def test_seaweedfs_is_told_the_same() -> None:
    made = json.loads(identities(TENANTS, SECRETS))["identities"]
    assert [each["name"] for each in made] == ["shop-production", "shop-staging"]
    assert made[1]["credentials"] == [{"accessKey": "shop-staging", "secretKey": "secret-of-shop-staging"}]
    assert {action.partition(":")[2] for action in made[0]["actions"]} == {
        "shop-production-media",
        "shop-production-raw-data",
    }
    assert not any(action.startswith("Admin") for each in made for action in each["actions"])


def test_a_service_finds_what_its_sdk_reads() -> None:
    assert environment(SHOP, "http://store:9000", "us-east-1", "shop-production", "secret") == {
        "AWS_ACCESS_KEY_ID": "shop-production",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": "http://store:9000",
        "AWS_REGION": "us-east-1",
        "BUCKET_MEDIA": "shop-production-media",
        "BUCKET_RAW_DATA": "shop-production-raw-data",
    }


def test_the_policy_is_as_reviewed(request: pytest.FixtureRequest) -> None:
    compare(
        "storage/tenant-policy.json", tenant_policy(SHOP) + "\n", update=request.config.getoption("--update-golden")
    )


GOOD = [(3, 2, 2), (3, 2, 3), (4, 1, 1), (4, 1, 2), (5, 1, 2), (4, 4, 4), (4, 4, 8), (8, 2, 4)]
BAD: list[tuple[int, int, int, str]] = [
    (2, 2, 2, "servers"),
    (3, 1, 1, "drives"),
    (6, 3, 3, "drives"),
    (3, 2, 1, "parity"),
    (3, 2, 4, "parity"),
]


@pytest.mark.parametrize(("servers", "drives", "parity"), GOOD)
def test_stores_that_survive_a_lost_machine(servers: int, drives: int, parity: int) -> None:
    assert list(check_erasure(servers, drives, parity)) == []


@pytest.mark.parametrize(("servers", "drives", "parity", "key"), BAD)
def test_stores_that_would_not_are_refused(servers: int, drives: int, parity: int, key: str) -> None:
    assert next(iter(check_erasure(servers, drives, parity))).key == key


@given(st.integers(1, 20), st.integers(1, 6), st.integers(0, 10))
def test_whatever_is_accepted_reads_writes_and_locks_without_one_server(servers: int, drives: int, parity: int) -> None:
    if not list(check_erasure(servers, drives, parity)):
        left = (servers - 1) * drives
        count = servers * drives
        assert left >= count - parity, "an object can be read"
        assert left >= write_quorum(count, parity), "and written"
        assert servers - 1 >= servers // 2 + 1, "and locked"


def test_four_servers_on_three_machines_lose_writes() -> None:
    """Why there are three with two volumes each: the machine with two of four takes half of the volumes along."""
    assert write_quorum(4, 2) == 3
    assert write_quorum(4, 2) > 4 - 2


def test_buckets_keep_versions_and_are_private_unless_told() -> None:
    bucket = TenantBucket("x")
    assert (bucket.versioning, bucket.public, bucket.noncurrent_days) == (True, False, 30)
