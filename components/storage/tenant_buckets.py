"""Tenants' buckets as plain data, and what an object store is told about them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..problem import Problem
from .buckets import check_bucket_name

_BUCKET_ACTIONS: Final = (
    "s3:GetBucketLocation",
    "s3:GetBucketVersioning",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
)
_OBJECT_ACTIONS: Final = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectTagging",
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectTagging",
)
_DENIED_ACTIONS: Final = ("s3:BypassGovernanceRetention", "s3:DeleteObjectVersion")
"""What a service deletes or overwrites by mistake can be brought back. MinIO takes ``DeleteObject`` for both: this denies."""

_MINIMUM_DRIVES: Final = 4
_MAXIMUM_DRIVES: Final = 16
"""Drives of one erasure set; more would make several, which are not reckoned with here."""


@dataclass(frozen=True)
class TenantBucket:
    """One bucket of a tenant."""

    name: str
    """Unique within the tenant's environment; in the store it is ``<tenant>-<environment>-<name>``."""
    versioning: bool = True
    noncurrent_days: int = 30
    """Days after which versions are removed that were overwritten or deleted, where the store can (Silo)."""
    public: bool = False
    """Nothing else is accepted."""


@dataclass(frozen=True)
class TenantBuckets:
    """The buckets of a tenant in one environment; one credential opens them, and nothing else."""

    tenant: str
    environment: str
    buckets: Sequence[TenantBucket]

    @property
    def name(self) -> str:
        """Of its namespace, its user, and its policy."""
        return f"{self.tenant}-{self.environment}"

    def stored(self, bucket: TenantBucket, prefix: str = "") -> str:
        """The bucket's name in the store."""
        return "-".join(part for part in (prefix, self.name, bucket.name) if part)


def check_tenant_buckets(tenants: Sequence[TenantBuckets], prefix: str = "") -> Iterator[Problem]:
    """Everything wrong with tenants' buckets, with the keys of config/tenants.yaml."""
    owners: dict[str, str] = {}
    seen: set[str] = set()
    for each in tenants:
        place = f"tenants.{each.tenant}.environments.{each.environment}"
        if each.name in seen:
            yield Problem(place, each.name, "stands twice", "remove or rename one")
        seen.add(each.name)
        for bucket in each.buckets:
            key = f"{place}.buckets.{bucket.name}"
            if bucket.public:
                remedy = "leave it out, and serve what is public through a service"
                yield Problem(f"{key}.public", bucket.public, "no bucket of the platform may be public", remedy)
            if bucket.noncurrent_days < 1:
                remedy = "write at least 1"
                yield Problem(f"{key}.noncurrent_days", bucket.noncurrent_days, "is no number of days", remedy)
            stored = each.stored(bucket, prefix)
            wrong = check_bucket_name(stored)
            if wrong:
                yield Problem(key, stored, wrong, "choose a shorter or simpler name")
            if stored in owners:
                yield Problem(key, stored, f"is the name of a bucket of {owners[stored]} as well", "rename one")
            owners.setdefault(stored, each.name)


def check_erasure(servers: int, drives: int, parity: int) -> Iterator[Problem]:
    """Whether the store still reads and writes after it lost the machine of one server.

    An object is cut into one piece a drive, ``parity`` of which may be missing when it is read. To write, as many drives
    are needed as there are data pieces, and one more when both halves are equal (MinIO, cmd/erasure-object.go). Locks
    need a majority of the servers. So three servers with two drives each do, four with one drive do on four machines,
    and four on three machines do not: see docs/storage.md.

    Args:
        servers: How many, each on a machine of its own.
        drives: Volumes of each.
        parity: Pieces of an object that may be missing.
    """
    count = servers * drives
    remaining = count - drives
    if servers < 3:
        yield Problem("servers", servers, "without one of them no majority is left", "write at least 3")
    elif not _MINIMUM_DRIVES <= count <= _MAXIMUM_DRIVES:
        wrong = f"makes {count} volumes; one erasure set has {_MINIMUM_DRIVES} to {_MAXIMUM_DRIVES}"
        yield Problem("drives", drives, wrong, "change servers or drives")
    elif parity > count // 2:
        yield Problem("parity", parity, "is more than half of the volumes", f"write at most {count // 2}")
    elif parity < drives:
        yield Problem("parity", parity, "is fewer than a lost server takes along", f"write at least {drives}")
    elif remaining < write_quorum(count, parity):
        wrong = f"leaves {remaining} volumes without one server, and writing needs {write_quorum(count, parity)}"
        yield Problem("parity", parity, wrong, "add servers")


def write_quorum(count: int, parity: int) -> int:
    """Drives that must answer when an object is written."""
    data = count - parity
    return data + 1 if data == parity else data


def tenant_policy(each: TenantBuckets) -> str:
    """What its user may do, as JSON: read and write in its own buckets, and nothing else."""
    names = [each.stored(bucket) for bucket in each.buckets]
    statements = [
        {
            "Effect": "Allow",
            "Action": list(_BUCKET_ACTIONS),
            "Resource": [f"arn:aws:s3:::{name}" for name in names],
        },
        {
            "Effect": "Allow",
            "Action": list(_OBJECT_ACTIONS),
            "Resource": [f"arn:aws:s3:::{name}/*" for name in names],
        },
        {
            "Effect": "Deny",
            "Action": list(_DENIED_ACTIONS),
            "Resource": [f"arn:aws:s3:::{name}/*" for name in names],
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=1)


def provision_files(tenants: Sequence[TenantBuckets]) -> dict[str, str]:
    """What charts/object-store's Job reads beside ``users``: ``buckets`` (name, ``on`` or ``off``, days) and policies."""
    buckets = [
        f"{each.stored(bucket)} {'on' if bucket.versioning else 'off'} {bucket.noncurrent_days}"
        for each in tenants
        for bucket in each.buckets
    ]
    return {"buckets": _lines(buckets), **{f"{each.name}.json": tenant_policy(each) for each in tenants}}


def user_lines(secrets: Mapping[str, str]) -> str:
    """The Job's file ``users``: name and secret key, a line each. A user that is not in it is removed."""
    return _lines([f"{name} {secret}" for name, secret in secrets.items()])


def identities(tenants: Sequence[TenantBuckets], secrets: Mapping[str, str]) -> str:
    """SeaweedFS's configuration of who may do what, as JSON; its actions are named ``<action>:<bucket>``."""
    made = [
        {
            "name": each.name,
            "credentials": [{"accessKey": each.name, "secretKey": secrets[each.name]}],
            "actions": [
                f"{action}:{each.stored(bucket)}"
                for bucket in each.buckets
                for action in ("Read", "Write", "List", "Tagging")
            ],
        }
        for each in tenants
    ]
    return json.dumps({"identities": made}, indent=1)


def environment(
    each: TenantBuckets, endpoint: str, region: str, access_key: str, secret_key: str, prefix: str = ""
) -> dict[str, str]:
    """What a service finds in its Secret ``object-store``: the variables that AWS's SDKs read, and ``BUCKET_<NAME>``."""
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": region,
        **{f"BUCKET_{bucket.name.upper().replace('-', '_')}": each.stored(bucket, prefix) for bucket in each.buckets},
    }


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in sorted(lines))
