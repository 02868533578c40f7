"""Rules of the Hetzner firewalls: deny by default, administrators only.

They filter the public interface; private traffic is not theirs (docs.hetzner.com, Firewalls).
"""

from collections.abc import Sequence

SSH = 22
KUBERNETES_API = 6443

MAX_CIDRS = 100
"""Addresses that one rule takes (docs.hetzner.com, Firewalls)."""


def inbound(admin_cidrs: Sequence[str], *ports: int) -> list[dict[str, object]]:
    """Rules that admit ``admin_cidrs`` to TCP ``ports``, and nobody else to anything but ping.

    Shape of ``hcloud.FirewallRuleArgs``. Hetzner drops every other inbound packet; outbound stays open.
    """
    purposes = {SSH: "SSH", KUBERNETES_API: "Kubernetes API"}
    rules: list[dict[str, object]] = [
        {
            "direction": "in",
            "protocol": "tcp",
            "port": str(port),
            "source_ips": sorted(admin_cidrs),
            "description": f"{purposes[port]} for administrators",
        }
        for port in ports
    ]
    rules.append(
        {
            "direction": "in",
            "protocol": "icmp",
            "source_ips": ["0.0.0.0/0", "::/0"],
            "description": "ICMP: path MTU discovery and ping",
        }
    )
    return rules
