"""Removes one object from the cloud, after making sure that no stack owns it and that the project is the right one."""

from dataclasses import dataclass

from hcloud import Client, HCloudException

from . import edge, hetzner
from .compare import owners
from .objects import CloudObject
from .pulumi import Pulumi
from .reading import read_stacks
from .sweep import SweepRefused, trusted_access


class RemovalRefused(Exception):  # noqa: N818  it reads as what it tells
    """Nothing was removed. The message says why."""


@dataclass(frozen=True)
class Stranger:
    """An object that no stack owns, and the cloud that it is in."""

    object: CloudObject
    place: Client | edge.Zone

    def remove(self) -> None:
        """Remove it.

        Raises:
            hetzner.CloudError: the cloud refuses.
        """
        if isinstance(self.place, edge.Zone):
            edge.remove(self.place, self.object)
        else:
            hetzner.remove(self.place, self.object)


def find_stranger(pulumi: Pulumi, kind: str, id: str) -> Stranger:
    """The object with this kind and id.

    Raises:
        PulumiError: the stacks cannot be read.
        RemovalRefused: it does not exist, or a stack owns it, or it is not certain who does.
    """
    if kind not in hetzner.REMOVABLE | edge.REMOVABLE:
        raise RemovalRefused(f"{kind!r} is no kind: {', '.join(sorted(hetzner.REMOVABLE | edge.REMOVABLE))}")
    stacks = read_stacks(pulumi)
    owned = owners(stacks.states.values()).get((kind, id))
    if owned:
        stack, resource = owned[0]
        raise RemovalRefused(
            f"{kind} {id} belongs to the stack {stack!r} ({resource.name}): it goes with `pulumi destroy`"
        )
    try:
        access = trusted_access(stacks)
        if kind in edge.REMOVABLE:
            zone = stacks.zone()
            if zone is None:
                raise RemovalRefused("the stack 'shared' has no configuration for Cloudflare")
            return Stranger(_only(edge.read_zone(zone), kind, id), zone)
        client = access.client()
        return Stranger(_only(hetzner.read_project(client), kind, id), client)
    except SweepRefused as error:
        raise RemovalRefused(str(error)) from None
    except HCloudException as error:
        raise hetzner.CloudError(f"the Hetzner Cloud API refuses: {error}") from None


def _only(objects: list[CloudObject], kind: str, id: str) -> CloudObject:
    for each in objects:
        if each.key == (kind, id):
            return each
    raise RemovalRefused(f"there is no {kind} {id} (any more)")
