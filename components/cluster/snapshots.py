"""Where etcd's snapshots go: the Secret that k3s reads, and the first thing that uses the cluster's API."""

from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from ..component import Component
from .k3s import SNAPSHOT_SECRET


class EtcdSnapshotsArgs(TypedDict):
    endpoint: pulumi.Input[str]
    """Host of the S3 endpoint."""
    region: pulumi.Input[str]
    """Its region."""
    bucket: pulumi.Input[str]
    """The bucket."""
    folder: pulumi.Input[str]
    """Folder in the bucket: the cluster's name."""
    access_key: pulumi.Input[str]
    """Access key of this region's site."""
    secret_key: pulumi.Input[str]
    """Its secret."""


def s3_settings(args: EtcdSnapshotsArgs) -> dict[str, pulumi.Input[str]]:
    """k3s's ``etcd-s3-*`` settings, as its Secret and its configuration file spell them."""
    return {
        "etcd-s3-endpoint": args["endpoint"],
        "etcd-s3-region": args["region"],
        "etcd-s3-bucket": args["bucket"],
        "etcd-s3-folder": args["folder"],
        "etcd-s3-access-key": args["access_key"],
        "etcd-s3-secret-key": args["secret_key"],
    }


class EtcdSnapshots(Component):
    """The Secret ``k3s-etcd-snapshot-s3-config`` in kube-system. Needs the cluster's Kubernetes provider."""

    def __init__(
        self,
        name: str,
        args: EtcdSnapshotsArgs,
        opts: pulumi.ResourceOptions | None = None,
        gate: pulumi.ResourceHook | None = None,
    ) -> None:
        super().__init__("EtcdSnapshots", name, args, EtcdSnapshotsArgs, opts)
        kubernetes.core.v1.Secret(
            name,
            metadata={"name": SNAPSHOT_SECRET, "namespace": "kube-system"},
            type="etcd.k3s.cattle.io/s3-config-secret",
            string_data=pulumi.Output.secret(s3_settings(args)),
            opts=self.child(hooks=pulumi.ResourceHookBinding(before_create=[gate]) if gate else None),
        )
        self.register_outputs({})
