"""The cluster's network: Cilium, the cloud controller, when both are there, and who may talk to whom from then on."""

from .cluster_network import ClusterNetwork, ClusterNetworkArgs
from .hubble import HubbleCertificates, HubbleCertificatesArgs
from .policies import RESOLVERS, deny_metadata, system_flows
from .values import Routing, cilium_values, cloud_controller_values

__all__ = [
    "RESOLVERS",
    "ClusterNetwork",
    "ClusterNetworkArgs",
    "HubbleCertificates",
    "HubbleCertificatesArgs",
    "Routing",
    "cilium_values",
    "cloud_controller_values",
    "deny_metadata",
    "system_flows",
]
