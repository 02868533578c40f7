"""What of a cluster is deployed, asked of the cloud: a program cannot read its own old state."""

import pulumi
import pulumi_hcloud as hcloud

from ..naming import CLUSTER_LABEL, selector
from .machines import Deployed, read_deployed

INITIALIZED_LABELS = {"state": "initialized"}
"""Labels of the marker that a cluster leaves once it exists (an uploaded certificate)."""


def look_up(cluster: str, opts: pulumi.InvokeOptions) -> Deployed:
    """The machines and the marker of ``cluster``, as the cloud has them before this deployment changes anything."""
    servers = hcloud.get_servers(with_selector=selector({CLUSTER_LABEL: cluster}), opts=opts).servers
    marker = hcloud.get_certificates(
        with_selector=selector({CLUSTER_LABEL: cluster, **INITIALIZED_LABELS}), opts=opts
    ).certificates
    machines = read_deployed(
        [(server.name, server.server_type, server.delete_protection, server.labels) for server in servers]
    )
    return Deployed(machines, initialized=bool(marker))
