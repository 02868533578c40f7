"""A Cloudflare Tunnel from a region: the alternative to a public load balancer."""

from collections.abc import Sequence
from typing import TypedDict

import pulumi
import pulumi_cloudflare as cloudflare

from ..component import Component


class OriginTunnelArgs(TypedDict):
    """Arguments of ``OriginTunnel``."""

    account_id: pulumi.Input[str]
    zone: str
    region: str
    hostnames: Sequence[str]
    """Fully qualified; requests for any other name are answered with 404."""
    service: pulumi.Input[str]
    """Where ``cloudflared`` passes requests on, such as ``http://traefik.ingress.svc:8000``.

    ``cloudflared`` presents no client certificate, so this must be an entry point of its own, which nothing but
    ``cloudflared`` reaches.
    """


class OriginTunnel(Component):
    """A remotely configured tunnel; ``cloudflared`` in the region's cluster runs it with ``token``."""

    hostname: pulumi.Output[str]
    """Target of the zone's CNAME records: ``<tunnel id>.cfargotunnel.com``."""
    token: pulumi.Output[str]
    """What ``cloudflared tunnel run`` needs (secret)."""

    def __init__(self, name: str, args: OriginTunnelArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("OriginTunnel", name, args, OriginTunnelArgs, opts)
        tunnel = cloudflare.ZeroTrustTunnelCloudflared(
            f"{name}-tunnel",
            account_id=args["account_id"],
            # Unique in the account, which may hold several zones with a platform each.
            name=f"{args['region']}.{args['zone']}",
            config_src="cloudflare",
            opts=self.child(delete_before_replace=True),
        )
        cloudflare.ZeroTrustTunnelCloudflaredConfig(
            f"{name}-config",
            account_id=args["account_id"],
            tunnel_id=tunnel.id,
            config={
                "ingresses": [
                    *({"hostname": hostname, "service": args["service"]} for hostname in args["hostnames"]),
                    # The last rule must match everything.
                    {"service": "http_status:404"},
                ]
            },
            opts=self.child(delete_before_replace=True),
        )
        token = cloudflare.get_zero_trust_tunnel_cloudflared_token_output(
            account_id=args["account_id"], tunnel_id=tunnel.id, opts=self.invoke()
        )
        self.hostname = pulumi.Output.concat(tunnel.id, ".cfargotunnel.com")
        self.token = pulumi.Output.secret(token.token)
        self.register_outputs({"hostname": self.hostname, "token": self.token})
