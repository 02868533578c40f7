"""Places in Networks, as servers (inline or as resources) and load balancers take them."""

from collections.abc import Mapping
from typing import Any, Final

from .api import Entry, Worth, only
from .resource import number

BUSY: Final[Worth] = only("conflict", "locked", "service_error")
"""After these refusals the provider detaches again."""

ATTACHING: Final[Worth] = only("conflict", "locked", "service_error", "no_subnet_available")
"""After these refusals the provider attaches again."""


def network_of(net: Mapping[str, Any]) -> int:
    """The id of the Network that an attachment names: by a subnet, or by itself.

    Raises:
        ProviderError: it names none.
    """
    return number(str(net["subnetId"]).partition("-")[0] if net.get("subnetId") else net.get("networkId"))


def attachment(net: Mapping[str, Any]) -> Entry:
    """What ``attach_to_network`` takes."""
    body: Entry = {"network": network_of(net)}
    if net.get("subnetId"):
        body["ip_range"] = str(net["subnetId"]).partition("-")[2]
    if net.get("ip"):
        body["ip"] = net["ip"]
    if net.get("aliasIps"):
        body["alias_ips"] = net["aliasIps"]
    return body
