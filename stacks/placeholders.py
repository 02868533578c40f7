"""The repository's example values: fine for a preview, wrong for a deployment."""

import ipaddress
from collections.abc import Iterator

from .models import Access, Region, RegionalStack, RobotPool, SharedStack
from .settings import ACCESS_FILE, REGIONS_FILE, Settings

EXAMPLE_VSWITCH = 4711
_EXAMPLE_NETWORKS = tuple(
    ipaddress.ip_network(cidr) for cidr in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)


def placeholders(stack: str, block: SharedStack | RegionalStack, settings: Settings) -> Iterator[str]:
    """``<file> <key>`` of every example value that this stack would deploy."""
    own = f"Pulumi.{stack}.yaml"
    if isinstance(block, RegionalStack):
        yield from (f"{own} admin_cidrs ({cidr})" for cidr in block.admin_cidrs if _is_example(cidr))
        yield from _region(block.region, settings.regions[block.region])
        return
    if block.zone.endswith(("example.com", "example.org", "example.net")):
        yield f"{own} zone ({block.zone})"
    cloudflare, storage = block.cloudflare, block.object_storage
    yield from (
        f"{own} cloudflare.{key}"
        for key, value in {"account_id": cloudflare.account_id, "zone_id": cloudflare.zone_id}.items()
        if set(value) == {"0"}
    )
    keys = {"administrator_access_key_id": storage.administrator_access_key_id, **storage.site_access_key_ids}
    yield from (f"{own} object_storage: access key id {key}" for key, value in keys.items() if "EXAMPLE" in value)
    yield from _access(settings.access)


def _access(access: Access) -> Iterator[str]:
    for name, key in access.ssh_keys.items():
        if key.endswith("@example.com"):
            yield f"{ACCESS_FILE} ssh_keys.{name}"


def _region(name: str, region: Region) -> Iterator[str]:
    for pool_name, pool in region.pools.items():
        if isinstance(pool, RobotPool) and pool.vswitch_id == EXAMPLE_VSWITCH:
            yield f"{REGIONS_FILE} {name}.pools.{pool_name}.vswitch_id ({pool.vswitch_id})"


def _is_example(cidr: str) -> bool:
    network = ipaddress.ip_network(cidr)
    return any(network.version == each.version and network.subnet_of(each) for each in _EXAMPLE_NETWORKS)  # pyright: ignore[reportArgumentType]  versions agree
