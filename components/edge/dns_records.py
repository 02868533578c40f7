"""DNS records of the zone as resources."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_cloudflare as cloudflare

from ..component import Component
from .records import Record


class DnsRecordsArgs(TypedDict):
    """Arguments of ``DnsRecords``."""

    zone_id: pulumi.Input[str]
    records: Sequence[Record]
    """From ``load_balancer_records``, ``tunnel_records`` and ``api_records``."""
    after: NotRequired[Sequence[pulumi.Resource]]
    """What must stand before any name leads anywhere; a component's own ``depends_on`` does not reach its children."""


class DnsRecords(Component):
    """One resource a record, named after the record's key, so that a failover updates and never replaces."""

    def __init__(self, name: str, args: DnsRecordsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("DnsRecords", name, args, DnsRecordsArgs, opts)
        addresses: dict[str, cloudflare.DnsRecord] = {}
        for record in args["records"]:
            after = list(args.get("after", ()))
            if record.type == "AAAA" and record.name in addresses:
                # Where a tunnel's CNAME stood before, the A record must have taken its place first.
                after.append(addresses[record.name])
            made = cloudflare.DnsRecord(
                f"{name}-{record.key}",
                zone_id=args["zone_id"],
                name=record.name,
                type=record.type,
                content=record.content,
                proxied=record.proxied,
                ttl=record.ttl,
                comment=record.comment,
                # Cloudflare refuses a second identical record, and a CNAME beside an address.
                opts=self.child(delete_before_replace=True, depends_on=after),
            )
            if record.type == "A":
                addresses[record.name] = made
        self.register_outputs({})
