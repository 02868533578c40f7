"""Buckets as plain data, and what S3 or Hetzner would refuse about them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Literal

from ..problem import Problem

LockMode = Literal["GOVERNANCE", "COMPLIANCE"]

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


@dataclass(frozen=True)
class ObjectLock:
    """How long no version of an object may be deleted."""

    mode: LockMode
    """``GOVERNANCE`` lets the administrators' key delete earlier, ``COMPLIANCE`` lets nobody."""
    days: int


@dataclass(frozen=True)
class Bucket:
    """One private bucket."""

    name: str
    """Unique in the location over all customers."""
    purpose: str
    """What is kept there, for people."""
    readers: frozenset[str] = frozenset()
    """Sites that may list and read."""
    writers: frozenset[str] = frozenset()
    """Sites that may also write, overwrite and delete; older versions stay."""
    versioning: bool = True
    noncurrent_days: int | None = None
    """Days after which versions are removed that were overwritten or deleted; None keeps them."""
    expiry_days: int | None = None
    """Days after which current objects expire; None for everything that prunes itself, as backup tools do."""
    object_lock: ObjectLock | None = None
    """Can only be chosen when the bucket is made."""
    acl: str = "private"
    """Nothing else is accepted."""


def check_bucket_name(name: str) -> str | None:
    """What S3's rules for bucket names have against ``name``; None when nothing.

    Dots are allowed by S3 but refused here: the endpoint's certificate covers one label before
    ``<location>.your-objectstorage.com``.
    """
    if not 3 <= len(name) <= 63:
        return f"has {len(name)} characters, 3 to 63 are allowed"
    if _is_address(name):
        return "looks like an IP address"
    if "." in name:
        return "has a dot, which the endpoint's TLS certificate does not cover"
    if not _NAME.fullmatch(name):
        return "may have lower-case letters, digits and '-' only, and begins and ends with a letter or digit"
    if name.startswith(_RESERVED_PREFIXES) or name.endswith(_RESERVED_SUFFIXES):
        return "begins or ends with something that S3 reserves"
    return None


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except AddressValueError:
        return False
    return True


def check_buckets(buckets: Sequence[Bucket], sites: Sequence[str]) -> list[Problem]:
    """Everything wrong with ``buckets``, each with the bucket's name in its key; empty when they can be made.

    Args:
        buckets: All buckets of the object storage.
        sites: Sites that have an access key.
    """
    problems: list[Problem] = []
    names: set[str] = set()
    for bucket in buckets:
        key = f"buckets.{bucket.name}"
        wrong = check_bucket_name(bucket.name)
        if wrong:
            problems.append(Problem(f"{key}.name", bucket.name, wrong, "choose another prefix or name"))
        if bucket.name in names:
            problems.append(Problem(f"{key}.name", bucket.name, "stands twice", "remove or rename one"))
        names.add(bucket.name)
        problems += _check_bucket(key, bucket, sites)
    return problems


def _check_bucket(key: str, bucket: Bucket, sites: Sequence[str]) -> Iterator[Problem]:
    if bucket.acl != "private":
        yield Problem(f"{key}.acl", bucket.acl, "no bucket of the platform may be public", "write private or nothing")
    for role, wanted in (("readers", bucket.readers), ("writers", bucket.writers)):
        for site in sorted(wanted - set(sites)):
            yield Problem(f"{key}.{role}", site, "is no site with an access key", f"write one of {', '.join(sites)}")
    for term, days in (("noncurrent_days", bucket.noncurrent_days), ("expiry_days", bucket.expiry_days)):
        if days is not None and days < 1:
            yield Problem(f"{key}.{term}", days, "is no number of days", "write at least 1, or leave it out")
    if bucket.noncurrent_days is not None and not bucket.versioning:
        yield Problem(
            f"{key}.noncurrent_days", bucket.noncurrent_days, "needs versioning", "leave it out, or set versioning"
        )
    if bucket.object_lock:
        yield from _check_lock(key, bucket, bucket.object_lock)


def _check_lock(key: str, bucket: Bucket, lock: ObjectLock) -> Iterator[Problem]:
    if lock.mode not in ("GOVERNANCE", "COMPLIANCE"):
        yield Problem(f"{key}.object_lock.mode", lock.mode, "is no mode", "write GOVERNANCE or COMPLIANCE")
    if lock.days < 1:
        yield Problem(f"{key}.object_lock.days", lock.days, "is no number of days", "write at least 1")
    if not bucket.versioning:
        yield Problem(f"{key}.versioning", False, "object lock needs versions", "set versioning")
    for term, days in (("noncurrent_days", bucket.noncurrent_days), ("expiry_days", bucket.expiry_days)):
        if days is not None and days < lock.days:
            yield Problem(
                f"{key}.{term}", days, f"is shorter than the lock of {lock.days} days", f"write at least {lock.days}"
            )


def check_access_keys(project_id: str, administrators: Sequence[str], access_keys: Mapping[str, str]) -> list[Problem]:
    """Keys with which a bucket policy would lock out the administrators or fail to tell sites apart.

    A policy that names no valid key of the administrators shuts everybody out, and only Hetzner's support can help.
    """
    problems: list[Problem] = []
    if not re.fullmatch(r"[0-9]+", project_id):
        problems.append(
            Problem("project_id", project_id, "is no project number", "write the number from the console's address")
        )
    if not administrators or not all(administrators):
        problems.append(
            Problem("administrators", list(administrators), "the policies would shut everybody out", "name the key")
        )
    owners: dict[str, str] = dict.fromkeys(administrators, "the administrators")
    for site, access_key in access_keys.items():
        if not access_key:
            problems.append(Problem(f"access_keys.{site}", access_key, "is empty", "write the site's access key"))
        elif access_key in owners:
            remedy = "make a key of its own in the console: a shared one cannot be narrowed"
            problems.append(
                Problem(f"access_keys.{site}", access_key, f"is the key of {owners[access_key]} as well", remedy)
            )
        owners.setdefault(access_key, site)
    return problems
