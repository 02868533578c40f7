"""The platform's buckets in Hetzner's object storage."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_minio as minio

from ..component import Component, check_arguments
from ..problem import refuse
from .buckets import Bucket, check_access_keys, check_buckets
from .policy import bucket_policy


class ObjectStorageArgs(TypedDict):
    """Arguments of ``ObjectStorage``."""

    buckets: Sequence[Bucket]
    project_id: str
    """Number of the Hetzner project that owns the buckets, from the console's address."""
    administrators: Sequence[str]
    """Access key ids that keep every right. The provider's own must be among them, or the first policy shuts it out."""
    access_keys: Mapping[str, str]
    """Site → access key id; a key a site, since keys cannot be told apart otherwise."""
    protection: NotRequired[bool]
    """Refuse to delete buckets; true unless told."""


class ObjectStorage(Component):
    """Private buckets with versions, lifecycle, object lock, and a policy each.

    A bucket with object lock, and everything that guards its content, is kept when it is removed here or destroyed:
    ``kept`` lists them. The provider can switch object lock on but cannot set how long; ``default_retention`` says what
    is to be put once by hand (docs/storage.md), and until then the policy alone keeps sites from deleting versions.

    Raises:
        ProblemsError: a bucket or key is wrong; nothing has been registered then.
    """

    names: pulumi.Output[list[str]]
    kept: pulumi.Output[list[str]]
    """Buckets that outlive ``pulumi destroy``."""
    default_retention: pulumi.Output[dict[str, str]]
    """Bucket → ``<mode> <days>d``, as ``mc retention set --default`` takes it."""

    def __init__(self, name: str, args: ObjectStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_arguments("ObjectStorage", name, args, ObjectStorageArgs)
        refuse(
            f"ObjectStorage {name!r}",
            [
                *check_access_keys(args["project_id"], args["administrators"], args["access_keys"]),
                *check_buckets(args["buckets"], list(args["access_keys"])),
            ],
        )
        super().__init__("ObjectStorage", name, args, ObjectStorageArgs, opts)
        for bucket in args["buckets"]:
            self._bucket(name, bucket, args)
        locks = {bucket.name: bucket.object_lock for bucket in args["buckets"] if bucket.object_lock}
        self.names = pulumi.Output.from_input([bucket.name for bucket in args["buckets"]])
        self.kept = pulumi.Output.from_input(list(locks))
        self.default_retention = pulumi.Output.from_input(
            {bucket: f"{lock.mode.lower()} {lock.days}d" for bucket, lock in locks.items()}
        )
        self.register_outputs({"names": self.names, "kept": self.kept, "default_retention": self.default_retention})

    def _bucket(self, name: str, bucket: Bucket, args: ObjectStorageArgs) -> None:
        child = f"{name}-{bucket.name}"
        # A kept bucket keeps its guards too: without its policy every key of the project would open it.
        keep = bucket.object_lock is not None
        made = minio.S3Bucket(
            child,
            bucket=bucket.name,
            acl="private",
            object_locking=keep,
            force_destroy=False,
            opts=self.child(protect=args.get("protection", True), retain_on_delete=keep),
        )
        if bucket.versioning:
            versioned: pulumi.Resource = minio.S3BucketVersioning(
                f"{child}-versioning",
                bucket=made.bucket,
                versioning_configuration={"status": "Enabled"},
                opts=self.child(retain_on_delete=keep),
            )
        else:
            versioned = made
        rules = lifecycle_rules(bucket)
        if rules:
            minio.IlmPolicy(
                f"{child}-lifecycle",
                bucket=made.bucket,
                rules=rules,
                # A rule for older versions means nothing before there are versions.
                opts=self.child(retain_on_delete=keep, depends_on=[versioned]),
            )
        minio.S3BucketPolicy(
            f"{child}-policy",
            bucket=made.bucket,
            policy=bucket_policy(bucket, args["project_id"], args["administrators"], args["access_keys"]),
            opts=self.child(retain_on_delete=keep),
        )


def lifecycle_rules(bucket: Bucket) -> list[minio.IlmPolicyRuleArgs]:
    """Lifecycle of a bucket; empty when it keeps everything."""
    rules: list[minio.IlmPolicyRuleArgs] = []
    if bucket.noncurrent_days is not None:
        rules.append(
            minio.IlmPolicyRuleArgs(
                id="noncurrent", status="Enabled", noncurrent_version_expiration_days=bucket.noncurrent_days
            )
        )
    if bucket.expiry_days is not None:
        rules.append(minio.IlmPolicyRuleArgs(id="expiry", status="Enabled", expiration=f"{bucket.expiry_days}d"))
    return rules
