"""The private network: one Hetzner Network for all regions, each region's subnets, firewalls and placement groups."""

from .addresses import AddressError, AddressPlan, Subnet, format_numbers, parse_numbers
from .network import Network, NetworkArgs
from .region_network import RegionNetwork, RegionNetworkArgs
from .reserved_addresses import ReservedAddresses, ReservedAddressesArgs

__all__ = [
    "AddressError",
    "AddressPlan",
    "Network",
    "NetworkArgs",
    "RegionNetwork",
    "RegionNetworkArgs",
    "ReservedAddresses",
    "ReservedAddressesArgs",
    "Subnet",
    "format_numbers",
    "parse_numbers",
]
