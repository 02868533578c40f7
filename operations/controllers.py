"""What controllers inside the clusters make in the cloud: no stack owns it, and nobody removes it with the cluster."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from components.naming import CLUSTER_LABEL

from .objects import CloudObject, Key

SERVICE_LABEL: Final = "hcloud-ccm/service-uid"
"""The cloud controller manager's, on the load balancers of Services."""
GROUP_LABEL: Final = "hcloud/node-group"
"""The cluster autoscaler's, on the machines that it makes."""
VOLUME_LABELS: Final = {"managed-by": "csi-driver"}
"""The CSI driver's; its older versions set none, but always name a volume after its claim."""

_CLAIM: Final = re.compile(r"pvc-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Made:
    """An object of a controller.

    Args:
        controller: Who made it.
        cluster: For which cluster; None when that cannot be told.
    """

    object: CloudObject
    controller: str
    cluster: str | None


def controller_of(object: CloudObject) -> str | None:
    """Which controller made this; None when none did."""
    if object.kind == "load-balancer" and SERVICE_LABEL in object.labels:
        return "cloud controller manager"
    if object.kind == "volume" and (VOLUME_LABELS.items() <= object.labels.items() or _CLAIM.fullmatch(object.name)):
        return "CSI driver"
    if object.kind == "server" and GROUP_LABEL in object.labels:
        return "cluster autoscaler"
    return None


def made_by_controllers(
    objects: Iterable[CloudObject], owned: set[Key], locations: Mapping[str, str]
) -> Iterator[Made]:
    """What controllers made, in the order in which it can go: load balancers, machines, their addresses, volumes.

    Args:
        objects: All objects of the project.
        owned: What the stacks' states own; it is never among the result.
        locations: Location by cluster.
    """
    everything = list(objects)
    by_key = {each.key: each for each in everything}
    made = {
        each.key: Made(each, controller, _cluster(each, by_key, locations))
        for each in everything
        if each.key not in owned and (controller := controller_of(each))
    }
    for each in everything:
        if each.kind == "primary-ip" and each.key not in owned and each.whole in made:
            made[each.key] = Made(each, made[each.whole].controller, made[each.whole].cluster)
    order = ("load-balancer", "server", "primary-ip", "volume")
    yield from sorted(made.values(), key=lambda each: (order.index(each.object.kind), each.object.name, each.object.id))


def _cluster(object: CloudObject, by_key: Mapping[Key, CloudObject], locations: Mapping[str, str]) -> str | None:
    """Its label says it, or its node group, or the machine that uses it, or its location where that has one cluster."""
    if object.labels.get(CLUSTER_LABEL) in locations:
        return object.labels[CLUSTER_LABEL]
    group = object.labels.get(GROUP_LABEL, "")
    named = [cluster for cluster in locations if group.startswith(f"{cluster}-")]
    if named:
        return max(named, key=len)
    users = [by_key[key] for key in object.attributes.get("used_by", ()) if key in by_key]
    used = {user.labels.get(CLUSTER_LABEL) or _cluster(user, {}, locations) for user in users} - {None}
    if len(used) == 1:
        return used.pop()
    here = [cluster for cluster, location in locations.items() if location == object.attributes.get("location")]
    return here[0] if len(here) == 1 else None
