"""The platform's buckets: which there are, and which site may do what."""

from collections.abc import Sequence

from components.storage import Bucket, ObjectLock


def etcd_bucket(prefix: str) -> str:
    """Name of the bucket that holds etcd's snapshots, a folder a cluster."""
    return f"{prefix}-etcd"


def volumes_bucket(prefix: str) -> str:
    """Name of the bucket that holds the backups of volumes; both regions read it."""
    return f"{prefix}-volumes"


def buckets(prefix: str, regions: Sequence[str], retention_days: int) -> list[Bucket]:
    """All buckets of the platform.

    etcd's snapshots are not locked: k3s prunes them itself, and versions keep what was pruned for a while. A volume's
    backups are read by the other site, which restores them continuously; the archive of PostgreSQL likewise.
    """
    sites = frozenset(regions)
    lock = ObjectLock("GOVERNANCE", retention_days)
    return [
        Bucket(etcd_bucket(prefix), "etcd snapshots", sites, sites, noncurrent_days=retention_days),
        Bucket(
            volumes_bucket(prefix), "Longhorn backups", sites, sites, noncurrent_days=retention_days, object_lock=lock
        ),
        Bucket(
            f"{prefix}-postgres", "PostgreSQL archive", sites, sites, noncurrent_days=retention_days, object_lock=lock
        ),
    ]
