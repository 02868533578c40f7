"""Object storage: private buckets, each narrowed to the sites that need it."""

from .buckets import Bucket, ObjectLock, check_access_keys, check_bucket_name, check_buckets
from .object_storage import ObjectStorage, ObjectStorageArgs
from .policy import bucket_policy, principal

__all__ = [
    "Bucket",
    "ObjectLock",
    "ObjectStorage",
    "ObjectStorageArgs",
    "bucket_policy",
    "check_access_keys",
    "check_bucket_name",
    "check_buckets",
    "principal",
]
