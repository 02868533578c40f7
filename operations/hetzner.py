"""Reads a Hetzner project, and removes objects from it, through the official client."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from hcloud import APIException, Client
from hcloud.actions.client import BoundAction
from hcloud.certificates.domain import Certificate
from hcloud.firewalls.domain import Firewall
from hcloud.load_balancers.domain import (
    LoadBalancer,
    LoadBalancerService,
    LoadBalancerTarget,
    LoadBalancerTargetIP,
    LoadBalancerTargetLabelSelector,
)
from hcloud.networks.domain import Network, NetworkRoute, NetworkSubnet
from hcloud.placement_groups.domain import PlacementGroup
from hcloud.primary_ips.domain import PrimaryIP
from hcloud.servers.domain import Server
from hcloud.ssh_keys.domain import SSHKey

from .objects import CloudObject, Key, target_id


class CloudError(Exception):
    """A cloud cannot be read, or refuses to remove something."""


def read_project(client: Client) -> list[CloudObject]:
    """Everything in the project, parts of objects too. At least nine requests.

    Raises:
        hcloud.HCloudException: the API refuses, or does not answer.
    """
    return [each for read in _READERS for each in read(client)]


def _networks(client: Client) -> Iterator[CloudObject]:
    for network in client.networks.get_all():
        yield _object("network", network, protected=_protected(network))
        whole = ("network", str(network.id))
        for subnet in network.subnets or []:
            yield _part("subnet", f"{network.id}-{subnet.ip_range}", f"{subnet.ip_range} of {network.name}", whole)
        for route in network.routes or []:
            yield _part("route", f"{network.id}-{route.destination}", f"{route.destination} of {network.name}", whole)


def _servers(client: Client) -> Iterator[CloudObject]:
    for server in client.servers.get_all():
        yield _object(
            "server", server, protected=_protected(server), location=_location(server), complete=_complete(server)
        )
        for attached in server.private_net or []:
            network = attached.network.id
            yield _part(
                "server-network", f"{server.id}-{network}", f"{server.name} in {network}", ("server", str(server.id))
            )


def _complete(server: Any) -> bool:
    """Whether its create came to its end: it runs, in a Network."""
    return server.status == "running" and bool(server.private_net)


def _load_balancers(client: Client) -> Iterator[CloudObject]:
    for balancer in client.load_balancers.get_all():
        whole = ("load-balancer", str(balancer.id))
        users = [
            ("server", str(target.server.id))
            for target in balancer.targets or []
            if target.type == "server" and target.server
        ]
        yield _object(
            "load-balancer",
            balancer,
            protected=_protected(balancer),
            location=balancer.location.name if balancer.location else None,
            used_by=users,
        )
        for attached in balancer.private_net or []:
            network = attached.network.id
            yield _part("load-balancer-network", f"{balancer.id}-{network}", f"{balancer.name} in {network}", whole)
        for service in balancer.services or []:
            port = service.listen_port
            yield _part("load-balancer-service", f"{balancer.id}__{port}", f"{port} of {balancer.name}", whole)
        for target in balancer.targets or []:
            value = _target_value(target)
            yield _part(
                "load-balancer-target",
                target_id(balancer.id or 0, str(target.type), value),
                f"{value} of {balancer.name}",
                whole,
            )


def _target_value(target: LoadBalancerTarget) -> str:
    if target.server is not None:
        return str(target.server.id)
    if target.label_selector is not None:
        return str(target.label_selector.selector)
    return str(target.ip.ip) if target.ip is not None else ""


def _primary_ips(client: Client) -> Iterator[CloudObject]:
    for address in client.primary_ips.get_all():
        # Hetzner made it for a machine or a load balancer, and removes it with that.
        made_for = address.auto_delete and address.assignee_id
        goes_with = (str(address.assignee_type).replace("_", "-"), str(address.assignee_id)) if made_for else None
        yield _object(
            "primary-ip", address, protected=_protected(address), whole=goes_with, location=_location(address)
        )


def _volumes(client: Client) -> Iterator[CloudObject]:
    for volume in client.volumes.get_all():
        users = [("server", str(volume.server.id))] if volume.server else []
        yield _object("volume", volume, protected=_protected(volume), location=_location(volume), used_by=users)


def _plain(kind: str, entries: Callable[[Client], Iterable[Any]]) -> Callable[[Client], Iterator[CloudObject]]:
    return lambda client: (_object(kind, entry) for entry in entries(client))


_READERS: Final[tuple[Callable[[Client], Iterator[CloudObject]], ...]] = (
    _networks,
    _servers,
    _load_balancers,
    _primary_ips,
    _volumes,
    _plain("firewall", lambda client: client.firewalls.get_all()),
    _plain("placement-group", lambda client: client.placement_groups.get_all()),
    _plain("certificate", lambda client: client.certificates.get_all()),
    _plain("ssh-key", lambda client: client.ssh_keys.get_all()),
)


def _object(
    kind: str, entry: Any, *, protected: bool | None = None, whole: Key | None = None, **more: Any
) -> CloudObject:
    return CloudObject(kind, str(entry.id), entry.name or "", dict(entry.labels or {}), protected, whole, more)


def _part(kind: str, id: str, name: str, whole: Key) -> CloudObject:
    return CloudObject(kind, id, name, whole=whole)


def _protected(entry: Any) -> bool:
    protection: dict[str, bool] = entry.protection or {}
    return bool(protection.get("delete"))


def _location(entry: Any) -> str | None:
    location = getattr(entry, "location", None)
    return location.name if location is not None else None


# -- removal


def remove(client: Client, object: CloudObject) -> None:
    """Remove one object or part, and wait until it is gone. Protection is not lifted.

    Raises:
        CloudError: the cloud refuses.
    """
    try:
        if object.kind == "load-balancer-target":
            action: BoundAction | None = _remove_target(client, object)
        elif object.kind in _PART_REMOVERS:
            assert object.whole is not None
            rest = object.id.removeprefix(object.whole[1])
            action = _PART_REMOVERS[object.kind](client, int(object.whole[1]), rest.lstrip("-_"))
        else:
            action = _REMOVERS[object.kind](client, object)
        if action is not None:
            action.wait_until_finished()
    except APIException as error:
        if error.code != "not_found":
            raise CloudError(f"{object} stays: {error.message} ({error.code})") from None


def _remove_server(client: Client, object: CloudObject) -> BoundAction:
    return client.servers.delete(Server(id=int(object.id)))


def _remove_volume(client: Client, object: CloudObject) -> None:
    volume = client.volumes.get_by_id(int(object.id))
    # The deletion of the machine that used it has detached it already.
    if volume.server is not None:
        volume.detach().wait_until_finished()
    volume.delete()


def _done(gone: object) -> None:
    del gone


_REMOVERS: Final[dict[str, Callable[[Client, CloudObject], BoundAction | None]]] = {
    "server": _remove_server,
    "volume": _remove_volume,
    "network": lambda client, each: _done(client.networks.delete(Network(id=int(each.id)))),
    "load-balancer": lambda client, each: _done(client.load_balancers.delete(LoadBalancer(id=int(each.id)))),
    "primary-ip": lambda client, each: _done(client.primary_ips.delete(PrimaryIP(id=int(each.id)))),
    "firewall": lambda client, each: _done(client.firewalls.delete(Firewall(id=int(each.id)))),
    "placement-group": lambda client, each: _done(client.placement_groups.delete(PlacementGroup(id=int(each.id)))),
    "certificate": lambda client, each: _done(client.certificates.delete(Certificate(id=int(each.id)))),
    "ssh-key": lambda client, each: _done(client.ssh_keys.delete(SSHKey(id=int(each.id)))),
}

_PART_REMOVERS: Final[dict[str, Callable[[Client, int, str], BoundAction]]] = {
    "subnet": lambda client, whole, rest: client.networks.delete_subnet(
        Network(id=whole), NetworkSubnet(ip_range=rest)
    ),
    "route": lambda client, whole, rest: client.networks.delete_route(
        Network(id=whole), NetworkRoute(destination=rest, gateway=_gateway(client, whole, rest))
    ),
    "load-balancer-network": lambda client, whole, rest: client.load_balancers.detach_from_network(
        LoadBalancer(id=whole), Network(id=int(rest))
    ),
    "load-balancer-service": lambda client, whole, rest: client.load_balancers.delete_service(
        LoadBalancer(id=whole), LoadBalancerService(listen_port=int(rest))
    ),
    "server-network": lambda client, whole, rest: client.servers.detach_from_network(
        Server(id=whole), Network(id=int(rest))
    ),
}


def _gateway(client: Client, network: int, destination: str) -> str:
    routes = client.networks.get_by_id(network).routes or []
    return next((str(route.gateway) for route in routes if route.destination == destination), "")


def _remove_target(client: Client, object: CloudObject) -> BoundAction:
    balancer, type, value = object.id.split(" ", 2)
    target: Any = LoadBalancerTarget(type=type)
    if type == "server":
        target.server = Server(id=int(value))
    elif type == "label_selector":
        target.label_selector = LoadBalancerTargetLabelSelector(selector=value)
    else:
        target.ip = LoadBalancerTargetIP(ip=value)
    return client.load_balancers.remove_target(LoadBalancer(id=int(balancer)), target)


REMOVABLE: Final = frozenset({*_REMOVERS, *_PART_REMOVERS, "load-balancer-target"})
"""Kinds that `remove` takes."""
