"""Storage: the platform's private buckets, volumes for pods, and an object store for tenants' services."""

from .block_storage import CLOUD_VOLUMES, BackupTarget, BlockStorage, BlockStorageArgs
from .buckets import Bucket, ObjectLock, check_access_keys, check_bucket_name, check_buckets
from .object_storage import ObjectStorage, ObjectStorageArgs
from .object_store import CONSUMERS, OBJECT_STORE, HetznerKey, HetznerStore, ObjectStore, ObjectStoreArgs
from .policy import bucket_policy, principal
from .tenant_buckets import TenantBucket, TenantBuckets, check_erasure, check_tenant_buckets

__all__ = [
    "CLOUD_VOLUMES",
    "CONSUMERS",
    "OBJECT_STORE",
    "BackupTarget",
    "BlockStorage",
    "BlockStorageArgs",
    "Bucket",
    "HetznerKey",
    "HetznerStore",
    "ObjectLock",
    "ObjectStorage",
    "ObjectStorageArgs",
    "ObjectStore",
    "ObjectStoreArgs",
    "TenantBucket",
    "TenantBuckets",
    "bucket_policy",
    "check_access_keys",
    "check_bucket_name",
    "check_buckets",
    "check_erasure",
    "check_tenant_buckets",
    "principal",
]
