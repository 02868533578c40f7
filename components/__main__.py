"""Serves the components to programs in any Pulumi language: ``pulumi package add <this folder>``."""

import sys
from pathlib import Path

import pulumi
from pulumi.provider.experimental import component_provider_host

# Run as a plugin this file is no part of a package, while the components import each other relatively.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from components.access import SshKeys
from components.cluster import AgentPool, AutoscaledPool, ClusterPki, EtcdSnapshots, K3sCluster, RobotPool
from components.load_balancer import ApiLoadBalancer, IngressLoadBalancer
from components.network import Network, RegionNetwork, ReservedAddresses

COMPONENTS: list[type[pulumi.ComponentResource]] = [
    AgentPool,
    ApiLoadBalancer,
    AutoscaledPool,
    ClusterPki,
    EtcdSnapshots,
    IngressLoadBalancer,
    K3sCluster,
    Network,
    RegionNetwork,
    ReservedAddresses,
    RobotPool,
    SshKeys,
]

if __name__ == "__main__":
    component_provider_host(COMPONENTS, "hetzner-platform", version="0.1.0")
