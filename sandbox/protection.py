"""The Hetzner project's own protection against deletion, lifted from everything that has it."""

from typing import Any

from hcloud import Client

from .clouds import Access


def lift_protection(access: Access) -> None:
    """For a project that is about to be emptied: of a sandbox, never of anybody's account."""
    client = Client(access.token, api_endpoint=access.hetzner, poll_interval=0.02)
    kinds: tuple[Any, ...] = (
        client.networks,
        client.load_balancers,
        client.volumes,
        client.primary_ips,
    )
    for kind in kinds:
        for entry in kind.get_all():
            if entry.protection["delete"]:
                kind.change_protection(entry, delete=False)
    for server in client.servers.get_all():
        if server.protection is not None and server.protection["delete"]:
            server.change_protection(delete=False, rebuild=False)
