"""Reads the zone of the platform at Cloudflare, and removes objects from it, through the official client."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .hetzner import CloudError
from .objects import CloudObject

if TYPE_CHECKING:
    from cloudflare import Cloudflare

_GONE: Final = ("deleted", "pending_deletion", "revoked")
"""Certificates stay on record after their end."""


@dataclass(frozen=True)
class Zone:
    """How the zone is reached.

    Args:
        id: Of the zone.
        name: Its name.
        account: Id of the account that it is in.
        token: Never shown.
        address: Of the API; Cloudflare's own when empty.
    """

    id: str
    name: str
    account: str
    token: str = field(repr=False)
    address: str = ""

    def client(self) -> "Cloudflare":
        """The official client."""
        # It takes a second to import.
        from cloudflare import Cloudflare  # noqa: PLC0415

        return Cloudflare(api_token=self.token, base_url=self.address or None, timeout=30.0, max_retries=2)


def read_zone(zone: Zone) -> list[CloudObject]:
    """What the platform makes at Cloudflare is among this, and what others made in the zone too.

    Raises:
        CloudError: it cannot be read.
    """
    from cloudflare import CloudflareError  # noqa: PLC0415

    try:
        with zone.client() as client:
            return [each for read in _READERS for each in read(client, zone)]
    except CloudflareError as error:
        raise CloudError(f"Cloudflare cannot be read: {error}") from None


def _records(client: "Cloudflare", zone: Zone) -> Iterator[CloudObject]:
    for record in client.dns.records.list(zone_id=zone.id):
        entry: Any = record
        yield _object("dns-record", entry.id, f"{entry.type} {entry.name}", (entry.type, entry.name, entry.content))


def _rulesets(client: "Cloudflare", zone: Zone) -> Iterator[CloudObject]:
    for ruleset in client.rulesets.list(zone_id=zone.id):
        if ruleset.kind == "zone":
            yield _object("ruleset", ruleset.id, f"rules of {ruleset.phase}", ruleset.phase)


def _origin_pulls(client: "Cloudflare", zone: Zone) -> Iterator[CloudObject]:
    for certificate in _entries(client.origin_tls_client_auth.zone_certificates.list(zone_id=zone.id)):
        if certificate.status not in _GONE:
            kind = "origin-pull-certificate"
            yield _object(kind, certificate.id, f"of {zone.name}, until {certificate.expires_on}", kind)


def _origin_certificates(client: "Cloudflare", zone: Zone) -> Iterator[CloudObject]:
    for certificate in _entries(client.origin_ca_certificates.list(zone_id=zone.id)):
        if getattr(certificate, "revoked_at", None) is None:
            hostnames = tuple(sorted(certificate.hostnames or ()))
            yield _object("origin-certificate", certificate.id, ", ".join(hostnames), hostnames)


def _tunnels(client: "Cloudflare", zone: Zone) -> Iterator[CloudObject]:
    for tunnel in _entries(client.zero_trust.tunnels.cloudflared.list(account_id=zone.account, is_deleted=False)):
        if str(tunnel.name).endswith(f".{zone.name}"):
            yield _object("tunnel", tunnel.id, tunnel.name, tunnel.name)


_READERS: Final[tuple[Callable[["Cloudflare", Zone], Iterator[CloudObject]], ...]] = (
    _records,
    _rulesets,
    _origin_pulls,
    _origin_certificates,
    _tunnels,
)


def _entries(page: Iterable[Any]) -> Iterable[Any]:
    return page


def _object(kind: str, id: object, name: object, purpose: object) -> CloudObject:
    return CloudObject(kind, str(id), str(name), attributes={"purpose": purpose})


def remove(zone: Zone, object: CloudObject) -> None:
    """Remove one object.

    Raises:
        CloudError: Cloudflare refuses.
    """
    from cloudflare import CloudflareError, NotFoundError  # noqa: PLC0415

    try:
        with zone.client() as client:
            _REMOVERS[object.kind](client, zone, object.id)
    except NotFoundError:
        return
    except CloudflareError as error:
        raise CloudError(f"{object} stays: {error}") from None


_REMOVERS: Final[dict[str, Callable[["Cloudflare", Zone, str], object]]] = {
    "dns-record": lambda client, zone, id: client.dns.records.delete(id, zone_id=zone.id),
    "ruleset": lambda client, zone, id: client.rulesets.delete(id, zone_id=zone.id),
    "origin-pull-certificate": lambda client, zone, id: client.origin_tls_client_auth.zone_certificates.delete(
        id, zone_id=zone.id
    ),
    "origin-certificate": lambda client, _, id: client.origin_ca_certificates.delete(id),
    "tunnel": lambda client, zone, id: client.zero_trust.tunnels.cloudflared.delete(id, account_id=zone.account),
}

REMOVABLE: Final = frozenset(_REMOVERS)
"""Kinds that `remove` takes."""
