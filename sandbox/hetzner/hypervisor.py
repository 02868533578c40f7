"""What the machines are told about servers."""

from typing import Literal

from ..machines.facts import Attachment, ServerFacts, Size
from .project import Entry, Project


def facts(project: Project, entry: Entry) -> ServerFacts:
    """What a server's hypervisor knows."""
    ipv4 = project.kinds["primary_ips"].get(entry["_ipv4"])
    type = entry["server_type"]
    return ServerFacts(
        id=entry["id"],
        name=entry["name"],
        user_data=entry["_user_data"],
        public_ipv4=ipv4["ip"] if ipv4 else None,
        attachments=tuple(Attachment(net["network"], net["ip"], net["mac_address"]) for net in entry["private_net"]),
        labels=dict(entry["labels"]),
        location=entry["location"]["name"],
        server_type=type["name"],
        # A larger type does not enlarge a disk that was to stay small.
        size=Size(type["cores"], type["memory"], entry["primary_disk_size"]),
    )


def tell(project: Project, entry: Entry, event: Literal["power_on", "changed", "wipe"]) -> None:
    """Tell about a server that still exists, and tell the load balancers which targets they have now."""
    machines = project.cloud.machines
    if machines is not None and entry["id"] in project.kinds["servers"]:
        getattr(machines, event)(facts(project, entry))
    project.cloud.rebalance(project)


def cut_power(project: Project, entry: Entry) -> None:
    """What ran on the server stops."""
    if project.cloud.machines is not None:
        project.cloud.machines.power_off(entry["id"])


def destroy(project: Project, id: int) -> None:
    """The server is gone, with its disk."""
    if project.cloud.machines is not None:
        project.cloud.machines.delete(id)
    project.cloud.rebalance(project)
