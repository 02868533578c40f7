"""The stack ``shared``: what outlives a region, and what belongs to several."""

from collections.abc import Mapping

import pulumi

from components.access import SshKeys
from components.network import Network, ReservedAddresses
from components.secrets import SHARED_SECRETS, SharedSecrets
from components.storage import ObjectStorage

from .checks import numbers
from .cost import shared_cost
from .edge import EDGE_GENERATIONS, api_label, custom_rule, ddos_override, rate_limit
from .models import SharedStack
from .sentinel import LABELS, NETWORK
from .settings import Settings
from .storage import buckets, etcd_bucket, volumes_bucket


def build(block: SharedStack, settings: Settings, providers: list[pulumi.ProviderResource]) -> Mapping[str, object]:
    """Compose the stack; returns what it exports (see `outputs` for who reads it)."""
    opts = pulumi.ResourceOptions(providers=providers)
    network = Network("network", {"name": NETWORK, "protection": block.protection, "labels": dict(LABELS)}, opts)
    keys = SshKeys("ssh-keys", {"keys": settings.access.ssh_keys}, opts)
    addresses = {
        name: ReservedAddresses(
            f"{name}-addresses",
            {
                "cluster": name,
                "location": region.location,
                "servers": list(numbers(region.servers)),
                "unprotected": region.servers.unprotected,
                "protection": block.protection,
            },
            opts,
        )
        for name, region in settings.regions.items()
    }
    renewed = block.secret_generations
    secrets = SharedSecrets(
        "secrets", {"generations": {k: v for k, v in renewed.items() if k not in EDGE_GENERATIONS}}, opts
    )
    storage = _object_storage(block, settings, opts)
    edge = _edge(block, addresses, secrets, opts)
    return {
        "zone": block.zone,
        "active_region": block.active_region,
        "network": {"id": network.network_id, "dmz_subnet_id": network.dmz_subnet_id},
        "ssh_key_ids": keys.ids.apply(lambda ids: list(ids.values())),
        "addresses": {
            name: {
                "ingress": {
                    "ipv4_id": reserved.ingress_ipv4_id,
                    "ipv6_id": reserved.ingress_ipv6_id,
                    "ipv4": reserved.ingress_ipv4,
                    "ipv6": reserved.ingress_ipv6,
                },
                "servers": reserved.servers,
            }
            for name, reserved in addresses.items()
        },
        "object_storage": {
            "endpoint": f"{block.object_storage.location}.your-objectstorage.com",
            "region": block.object_storage.location,
            "etcd_bucket": etcd_bucket(block.object_storage.prefix),
            "volumes_bucket": volumes_bucket(block.object_storage.prefix),
            "site_access_key_ids": block.object_storage.site_access_key_ids,
            "kept_buckets": storage.kept,
            "default_retention": storage.default_retention,
        },
        **edge,
        "secret_generations": {name: renewed.get(name, 1) for name in SHARED_SECRETS},
        "secrets": pulumi.Output.secret(
            {
                **secrets.values,
                **{
                    name: {"certificate": authority.certificate, "private_key": authority.private_key}
                    for name, authority in secrets.authorities.items()
                },
            }
        ),
        "monthly_eur": shared_cost(settings.regions, settings.prices).monthly,
    }


def _object_storage(block: SharedStack, settings: Settings, opts: pulumi.ResourceOptions) -> ObjectStorage:
    storage = block.object_storage
    return ObjectStorage(
        "object-storage",
        {
            "buckets": buckets(storage.prefix, list(settings.regions), storage.retention_days),
            "project_id": str(storage.project_id),
            "administrators": [storage.administrator_access_key_id],
            "access_keys": storage.site_access_key_ids,
            "protection": block.protection,
        },
        opts,
    )


def _edge(
    block: SharedStack,
    addresses: Mapping[str, ReservedAddresses],
    secrets: SharedSecrets,
    opts: pulumi.ResourceOptions,
) -> Mapping[str, object]:
    # Cloudflare's SDK takes two seconds to import: only this stack pays for it.
    from components.edge import Edge, EdgeArgs  # noqa: PLC0415

    cloudflare = block.cloudflare
    authority = secrets.authorities["origin_pull_ca"]
    args: EdgeArgs = {
        "zone_id": cloudflare.zone_id,
        "account_id": cloudflare.account_id,
        "zone": block.zone,
        "plan": cloudflare.plan,
        "active_region": block.active_region,
        "origin": cloudflare.origin,
        "origins": {
            name: {"ipv4": reserved.ingress_ipv4, "ipv6": reserved.ingress_ipv6} for name, reserved in addresses.items()
        },
        "hostnames": cloudflare.hostnames,
        "api_names": {api_label(name): _addresses(reserved) for name, reserved in addresses.items()},
        "custom_rules": [custom_rule(rule) for rule in cloudflare.custom_rules],
        "rate_limits": [rate_limit(rule) for rule in cloudflare.rate_limits],
        "origin_pull_ca": {"certificate": authority.certificate, "private_key": authority.private_key},
    }
    ddos = ddos_override(cloudflare.ddos)
    if ddos is not None:
        args["ddos"] = ddos
    if cloudflare.origin == "tunnel":
        args["tunnel_service"] = TUNNEL_SERVICE
    generations = {
        name: block.secret_generations[name] for name in EDGE_GENERATIONS if name in block.secret_generations
    }
    if generations:
        args["generations"] = generations  # pyright: ignore[reportGeneralTypeIssues]  the same keys
    edge = Edge("edge", args, opts)
    return {
        "origin_pull_ca": edge.origin_pull_ca,
        "origin_certificates": {
            region: {"certificate": each.certificate, "private_key": each.private_key}
            for region, each in edge.origin_certificates.items()
        },
        "tunnel_tokens": dict(edge.tunnel_tokens),
    }


TUNNEL_SERVICE = "https://traefik.traefik.svc.cluster.local:443"
"""Where a tunnel's connector passes requests on: the ingress controller inside the cluster."""


def _addresses(reserved: ReservedAddresses) -> dict[str, pulumi.Output[str]]:
    return {number: address.ip_address for number, address in reserved.server_addresses.items()}
