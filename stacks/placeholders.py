"""The repository's example values: fine for a preview, wrong for a deployment."""

import ipaddress
import re
from collections.abc import Iterator

from .models import Access, Region, RegionalStack, RobotPool, SharedStack
from .settings import ACCESS_FILE, PLATFORM_FILE, REGIONS_FILE, Settings
from .tenant_models import TENANTS_FILE

EXAMPLE_VSWITCH = 4711
EXAMPLE_PROJECT = 1234567
EXAMPLE_PREFIX = "example-platform"
_EXAMPLE_NAME = re.compile(r"\bexample\.(com|org|net)\b")
_EXAMPLE_NETWORKS = tuple(
    ipaddress.ip_network(cidr) for cidr in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)


def placeholders(stack: str, block: SharedStack | RegionalStack, settings: Settings) -> Iterator[str]:
    """``<file> <key>`` of every example value that this stack would deploy."""
    own = f"Pulumi.{stack}.yaml"
    if isinstance(block, RegionalStack):
        yield from (f"{own} admin_cidrs ({cidr})" for cidr in block.admin_cidrs if _is_example(cidr))
        yield from _region(block.region, settings.regions[block.region])
        yield from _platform(settings)
        return
    if block.zone.endswith(("example.com", "example.org", "example.net")):
        yield f"{own} zone ({block.zone})"
    cloudflare, storage = block.cloudflare, block.object_storage
    yield from (
        f"{own} cloudflare.{key}"
        for key, value in {"account_id": cloudflare.account_id, "zone_id": cloudflare.zone_id}.items()
        if set(value) == {"0"}
    )
    if storage.project_id == EXAMPLE_PROJECT:
        yield f"{own} object_storage.project_id ({storage.project_id})"
    if storage.prefix == EXAMPLE_PREFIX:
        yield f"{own} object_storage.prefix ({storage.prefix})"
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


def _platform(settings: Settings) -> Iterator[str]:
    """What the clusters would be told: nobody answers at these names."""
    platform = settings.platform
    named = {
        "acme.email": platform.acme.email if platform.acme else "",
        **{f"image_registries[{n}]": each for n, each in enumerate(platform.image_registries)},
        **{f"source_repositories[{n}]": each for n, each in enumerate(platform.source_repositories)},
    }
    yield from (f"{PLATFORM_FILE} {key} ({value})" for key, value in named.items() if _EXAMPLE_NAME.search(value))
    for name, tenant in settings.tenants.tenants.items():
        hosts = [host for block in tenant.environments.values() for host in block.hosts]
        if any(_EXAMPLE_NAME.search(each) for each in (*hosts, *tenant.repositories)):
            yield f"{TENANTS_FILE} {name}"


def _is_example(cidr: str) -> bool:
    network = ipaddress.ip_network(cidr)
    return any(network.version == each.version and network.subnet_of(each) for each in _EXAMPLE_NETWORKS)  # pyright: ignore[reportArgumentType]  versions agree
