"""What is in the clouds, asked for as anybody could: through their APIs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httpx
from minio import Minio

from stacks.models import SharedStack

from .clouds import Access

HETZNER_KINDS: Final = (
    "servers",
    "load_balancers",
    "networks",
    "firewalls",
    "volumes",
    "placement_groups",
    "primary_ips",
    "certificates",
    "ssh_keys",
)


@dataclass(frozen=True)
class Inventory:
    """Objects by cloud and kind, as names.

    Args:
        hetzner: Names by kind.
        cloudflare: Names by kind; settings of the zone are not objects.
        buckets: Names of the object store's buckets.
        locked: Those of them that keep objects under a lock, and so outlive a deployment.
    """

    hetzner: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    cloudflare: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    buckets: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is left but what a lock keeps."""
        return (
            not any(self.hetzner.values())
            and not any(self.cloudflare.values())
            and set(self.buckets) <= set(self.locked)
        )

    def lines(self) -> Iterator[str]:
        """For people, a line a kind."""
        for cloud, kinds in (("hetzner", self.hetzner), ("cloudflare", self.cloudflare)):
            for kind, names in kinds.items():
                if names:
                    yield f"{cloud} {kind}: {len(names)} ({_some(names)})"
        if self.buckets:
            yield f"buckets: {len(self.buckets)} ({_some(list(self.buckets))})"
        for bucket in self.locked:
            yield f"bucket {bucket} has object lock: what it holds stays until its retention ends"


def read_inventory(access: Access, shared: SharedStack | None) -> Inventory:
    """Ask all clouds.

    Args:
        access: How they are reached.
        shared: Names zone and account; Cloudflare is left out without it.
    """
    with httpx.Client(timeout=10) as client:
        hetzner = {kind: _hetzner(client, access, kind) for kind in HETZNER_KINDS}
        cloudflare = _cloudflare(client, access, shared) if shared is not None else {}
    buckets, locked = read_buckets(access)
    return Inventory(hetzner, cloudflare, buckets, locked)


def _hetzner(client: httpx.Client, access: Access, kind: str) -> list[str]:
    names: list[str] = []
    page: int | None = 1
    while page is not None:
        answer = client.get(
            f"{access.hetzner}/{kind}",
            params={"page": page, "per_page": 50},
            headers={"Authorization": f"Bearer {access.token}"},
        ).raise_for_status()
        content = answer.json()
        names += [str(entry["name"]) for entry in content[kind]]
        page = content["meta"]["pagination"]["next_page"]
    return names


_CLOUDFLARE: Final = {
    "DNS records": "zones/{zone}/dns_records",
    "rulesets": "zones/{zone}/rulesets",
    "origin pull certificates": "zones/{zone}/origin_tls_client_auth",
    "origin certificates": "certificates?zone_id={zone}",
    "tunnels": "accounts/{account}/cfd_tunnel?is_deleted=false",
}


def _cloudflare(client: httpx.Client, access: Access, shared: SharedStack) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind, path in _CLOUDFLARE.items():
        where = path.format(zone=shared.cloudflare.zone_id, account=shared.cloudflare.account_id)
        answer = client.get(
            f"{access.cloudflare}/{where}", headers={"Authorization": f"Bearer {access.api_token}"}
        ).raise_for_status()
        entries = cast("list[dict[str, Any]]", answer.json()["result"] or [])
        found[kind] = [
            str(entry.get("name") or entry.get("phase") or entry["id"])
            for entry in entries
            # Certificates stay on record after they were revoked or deleted; rulesets of Cloudflare's own belong to nobody.
            if entry.get("status") not in ("deleted", "pending_deletion", "revoked") and entry.get("kind") != "managed"
        ]
    return found


def read_buckets(access: Access) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of all buckets, and of those with object lock."""
    if not access.object_store:
        return (), ()
    client = Minio(
        access.object_store,
        access_key=access.object_store_user,
        secret_key=access.object_store_password,
        secure=False,
    )
    names = tuple(sorted(str(bucket.name) for bucket in client.list_buckets()))
    return names, tuple(name for name in names if _holds_locked(client, name))


def _holds_locked(client: Minio, bucket: str) -> bool:
    from minio.error import S3Error  # noqa: PLC0415

    try:
        client.get_object_lock_config(bucket)
    except S3Error:
        return False
    return True


def _some(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
