"""What a bucket's policy lets each key do, decided as S3 decides: a denial beats every allowance."""

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.storage import Bucket, bucket_policy, principal
from components.storage.policy import ADMINISTER, READ, WRITE

KEYS = {"fsn1": "AKFSN1", "nbg1": "AKNBG1", "hel-1": "AKHEL1"}
BUCKET = Bucket("platform-postgres", "archive", readers=frozenset({"nbg1"}), writers=frozenset({"fsn1"}))


def policy(bucket: Bucket = BUCKET) -> dict[str, Any]:
    return json.loads(bucket_policy(bucket, "4711", ["AKADMIN"], KEYS))


def may(document: dict[str, Any], access_key: str, action: str) -> bool:
    """Hetzner's default is to allow: every key owns the whole project."""
    arn = principal("4711", access_key)
    for statement in document["Statement"]:
        excepted = statement.get("NotPrincipal", {}).get("AWS", [])
        concerned = arn not in excepted if excepted else arn in statement["Principal"]["AWS"]
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if statement["Effect"] == "Deny" and concerned and any(fnmatchcase(action, pattern) for pattern in actions):
            return False
    return True


def test_the_policy_is_as_reviewed(golden: Callable[[str, str], None]) -> None:
    golden("storage/bucket-policy.json", bucket_policy(BUCKET, "4711", ["AKADMIN"], KEYS) + "\n")


@pytest.mark.parametrize("action", READ)
def test_reading_is_for_readers_writers_and_administrators(action: str) -> None:
    assert [key for key in ("AKADMIN", *KEYS.values(), "STRANGER") if may(policy(), key, action)] == [
        "AKADMIN",
        "AKFSN1",
        "AKNBG1",
    ]


@pytest.mark.parametrize("action", WRITE)
def test_writing_is_for_writers_and_administrators(action: str) -> None:
    allowed = [key for key in ("AKADMIN", *KEYS.values(), "STRANGER") if may(policy(), key, action)]
    assert allowed == ["AKADMIN", "AKFSN1"]


@pytest.mark.parametrize("action", ADMINISTER)
def test_destroying_versions_and_changing_rules_is_for_administrators(action: str) -> None:
    assert [key for key in ("AKADMIN", *KEYS.values(), "STRANGER") if may(policy(), key, action)] == ["AKADMIN"]


def test_a_known_key_is_denied_by_name_even_if_nobody_honours_not_principal() -> None:
    document = policy()
    document["Statement"] = [s for s in document["Statement"] if "NotPrincipal" not in s]
    assert not may(document, "AKHEL1", "s3:GetObject")
    assert may(document, "STRANGER", "s3:GetObject")


def test_what_hetzner_ignores_or_refuses_is_not_used() -> None:
    text = json.dumps(policy())
    for word in ("NotAction", "PutEncryptionConfiguration", "PutBucketOwnershipControls", '"*"'):
        assert word not in text


SITES = st.frozensets(st.sampled_from(sorted(KEYS)))


@given(readers=SITES, writers=SITES)
def test_rights_follow_from_readers_and_writers_alone(readers: frozenset[str], writers: frozenset[str]) -> None:
    document = policy(Bucket("some-bucket", "x", readers=readers, writers=writers))
    for site, key in KEYS.items():
        assert may(document, key, "s3:GetObject") is (site in readers | writers)
        assert may(document, key, "s3:PutObject") is (site in writers)
        assert not may(document, key, "s3:DeleteObjectVersion")
        assert not may(document, key, "s3:PutBucketPolicy")
    assert may(document, "AKADMIN", "s3:PutBucketPolicy")
    assert not may(document, "STRANGER", "s3:ListBucket")
    for statement in document["Statement"]:
        assert statement["Resource"] == ["arn:aws:s3:::some-bucket", "arn:aws:s3:::some-bucket/*"]
        assert statement["Sid"].isalnum()
