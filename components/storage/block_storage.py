"""Volumes for pods: Hetzner's own for what keeps its own copies, replicated ones for all else."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from ..component import check_arguments
from ..layer import (
    INTERNET,
    MACHINES,
    ChartPin,
    Flow,
    Layer,
    from_api_server,
    from_prometheus,
    to_api_server,
    unpinned,
    within,
)
from ..naming import CLUSTER_LABEL
from ..problem import Problem, refuse
from .buckets import check_bucket_name

CLOUD_VOLUMES: Final = "hcloud-volumes"
"""Storage class of Hetzner's volumes, for what keeps its own copies; charts/values/hcloud-csi.yaml makes it."""
LONGHORN: Final = "longhorn-system"
_KUBE_SYSTEM: Final = "kube-system"
_CHARTS: Final = ("hcloud-csi", "longhorn")
_BACKUP_SECRET: Final = "longhorn-backup"  # noqa: S105
_POLL: Final = "300"
"""Seconds after which a cluster looks for new backups, those of the other cluster included."""
_UNINSTALL: Final = 900
"""Seconds that Longhorn gives its own uninstallation."""

_GROUPS: Final = ["critical", "default"]
"""``critical`` is on every volume of the storage class; ``default`` means volumes without any job, such as restored ones."""
_HOURLY_KEPT: Final = 48
_AT_ONCE: Final = 2
"""Volumes that one job works on at the same time."""


class BackupTarget(TypedDict):
    """The bucket that both clusters write their volumes' backups to, and read each other's from."""

    bucket: pulumi.Input[str]
    region: pulumi.Input[str]
    """As S3 calls it; the bucket's location at Hetzner, such as ``hel1``."""
    endpoint: pulumi.Input[str]
    """``https://<location>.your-objectstorage.com``."""
    access_key: pulumi.Input[str]
    secret_key: pulumi.Input[str]


class BlockStorageArgs(TypedDict):
    """Arguments of ``BlockStorage``."""

    cluster: str
    """Goes onto every cloud volume as the label ``cluster``, so that a sweep finds them."""
    location: str
    """Where cloud volumes are made: the cluster's Hetzner location."""
    token_secret: str
    """Name of the Secret in kube-system whose key ``token`` opens Hetzner's API."""
    charts: Mapping[str, ChartPin]
    """``hcloud-csi`` and ``longhorn``."""
    backup: BackupTarget
    protection: NotRequired[bool]
    """Refuse to uninstall Longhorn and to delete its namespace; true unless told."""


class BlockStorage(Layer):
    """Two storage classes: ``longhorn`` (default; two replicas, hourly backup) and ``hcloud-volumes``.

    Both keep their volumes when a claim is deleted. Longhorn can only be uninstalled once its own setting says so:
    ``protection: false`` and a deployment, before the destroy.

    Raises:
        ProblemsError: the backup target is wrong, or a chart is not pinned; Longhorn has not been registered then.
    """

    cloud_class: str
    """Storage class of Hetzner's volumes."""

    def __init__(
        self,
        name: str,
        args: BlockStorageArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        check_arguments("BlockStorage", name, args, BlockStorageArgs)
        refuse(f"BlockStorage {name!r}", [*unpinned(args["charts"], _CHARTS), *_known_problems(args["backup"])])
        super().__init__("BlockStorage", name, args, BlockStorageArgs, opts, after)
        protection = args.get("protection", True)
        backup = args["backup"]
        self.install(
            "hcloud-csi",
            args["charts"]["hcloud-csi"],
            _KUBE_SYSTEM,
            values=hcloud_csi_values(args["cluster"], args["location"], args["token_secret"]),
        )
        self.namespace(LONGHORN, "privileged", flows=longhorn_flows(), protect=protection)
        self.secret(
            LONGHORN,
            _BACKUP_SECRET,
            {
                "AWS_ACCESS_KEY_ID": backup["access_key"],
                "AWS_SECRET_ACCESS_KEY": backup["secret_key"],
                "AWS_ENDPOINTS": backup["endpoint"],
            },
        )
        self.install(
            "longhorn",
            args["charts"]["longhorn"],
            LONGHORN,
            values=longhorn_values(self._target(name, backup), protection=protection),
            timeout=_UNINSTALL,
        )
        for job in recurring_jobs():
            # Longhorn's webhook looks at them: after its release, and gone before it.
            self.manifest(job)
        self.cloud_class = CLOUD_VOLUMES
        self.finish({"cloud_class": self.cloud_class})

    def _target(self, name: str, backup: BackupTarget) -> pulumi.Output[str]:
        def target(known: dict[str, Any]) -> str:
            refuse(f"BlockStorage {name!r}", list(check_backup(known)))
            return backup_target(known["bucket"], known["region"])

        places = pulumi.Output.all(bucket=backup["bucket"], region=backup["region"], endpoint=backup["endpoint"])
        return places.apply(target)


def _known_problems(backup: Mapping[str, Any]) -> list[Problem]:
    """What is known at once; the rest is checked when it is known (`BlockStorage._target`)."""
    known = all(isinstance(backup[key], str) for key in ("bucket", "region", "endpoint"))
    return list(check_backup(backup)) if known else []


def backup_target(bucket: str, region: str) -> str:
    """As Longhorn writes it. It has no part for the cluster: each restores the other's volumes."""
    return f"s3://{bucket}@{region}/"


def check_backup(backup: Mapping[str, Any]) -> Iterator[Problem]:
    """What Longhorn would only complain about once the first backup is due."""
    wrong = check_bucket_name(backup["bucket"])
    if wrong:
        yield Problem("backup.bucket", backup["bucket"], wrong, "write the name of the bucket for volumes")
    if not backup["endpoint"].startswith("https://") or backup["endpoint"].endswith("/"):
        remedy = "write https://<location>.your-objectstorage.com, without a path"
        yield Problem("backup.endpoint", backup["endpoint"], "is not an https address without a path", remedy)
    if not backup["region"]:
        yield Problem("backup.region", backup["region"], "is empty", "write the bucket's location")


def hcloud_csi_values(cluster: str, location: str, token_secret: str) -> dict[str, Any]:
    """What differs between clusters. Without the location the controller asks the metadata address, and cannot."""
    return {
        "controller": {
            "hcloudToken": {"existingSecret": {"name": token_secret, "key": "token"}},
            "hcloudVolumeDefaultLocation": location,
            "volumeExtraLabels": {CLUSTER_LABEL: cluster},
        }
    }


def longhorn_values(target: pulumi.Input[str], *, protection: bool) -> dict[str, Any]:
    """What differs between deployments; ``target`` as of `backup_target`."""
    return {
        "defaultSettings": {"deletingConfirmationFlag": not protection},
        "defaultBackupStore": {
            "backupTarget": target,
            "backupTargetCredentialSecret": _BACKUP_SECRET,
            "pollInterval": _POLL,
        },
    }


def longhorn_flows() -> list[Flow]:
    """Managers, engines and replicas talk among themselves; machines mount over iSCSI and NFS; backups go to S3."""
    return [
        *within(),
        from_api_server(9502),
        Flow("mounts", "ingress", [MACHINES], [2049, 3260]),
        from_prometheus(9500),
        to_api_server(),
        Flow("backups", "egress", [INTERNET], [443]),
    ]


def recurring_jobs() -> list[dict[str, Any]]:
    """Longhorn's RecurringJobs, as manifests."""
    return [
        _job("backup-hourly", "backup", "7 * * * *", _HOURLY_KEPT),
        # Longhorn keeps no number of these two.
        _job("snapshot-cleanup-daily", "snapshot-cleanup", "37 3 * * *", 0),
        _job("filesystem-trim-weekly", "filesystem-trim", "37 4 * * 0", 0),
    ]


def _job(name: str, task: str, cron: str, retain: int) -> dict[str, Any]:
    spec = {
        "name": name,
        "task": task,
        "cron": cron,
        "retain": retain,
        "concurrency": _AT_ONCE,
        "groups": list(_GROUPS),
    }
    return {
        "apiVersion": "longhorn.io/v1beta2",
        "kind": "RecurringJob",
        "metadata": {"name": name, "namespace": LONGHORN},
        "spec": spec,
    }
