"""k3s clusters: keys and tokens, the control plane, agent pools, and the rules by which machines are renewed."""

from .arguments import JoinArgs, MachineArgs, NodeArgs, ReleaseArgs
from .hooks import connected
from .k3s_cluster import K3sCluster, K3sClusterArgs, ReservedAddressArgs
from .lookup import look_up
from .machines import SERVERS, Deployed, DeployedMachine, Machine
from .oidc import Oidc, OidcArgs, oidc_problems
from .pki import ClusterPki, ClusterPkiArgs
from .pools import (
    VSWITCH_MTU,
    AgentPool,
    AgentPoolArgs,
    AutoscaledPool,
    AutoscaledPoolArgs,
    RobotPool,
    RobotPoolArgs,
    cluster_mtu,
)
from .readiness import ClusterError, Patience
from .snapshots import EtcdSnapshots, EtcdSnapshotsArgs

__all__ = [
    "SERVERS",
    "VSWITCH_MTU",
    "AgentPool",
    "AgentPoolArgs",
    "AutoscaledPool",
    "AutoscaledPoolArgs",
    "ClusterError",
    "ClusterPki",
    "ClusterPkiArgs",
    "Deployed",
    "DeployedMachine",
    "EtcdSnapshots",
    "EtcdSnapshotsArgs",
    "JoinArgs",
    "K3sCluster",
    "K3sClusterArgs",
    "Machine",
    "MachineArgs",
    "NodeArgs",
    "Oidc",
    "OidcArgs",
    "Patience",
    "ReleaseArgs",
    "ReservedAddressArgs",
    "RobotPool",
    "RobotPoolArgs",
    "cluster_mtu",
    "connected",
    "look_up",
    "oidc_problems",
]
