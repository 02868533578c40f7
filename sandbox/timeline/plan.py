"""How a timeline is put together: tasks whose seconds come from one table, whoever's order it is."""

from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.deployment import Deployment
from sandbox.hetzner import Catalogue
from sandbox.world import Latencies

from .schedule import Task

SERVER = "hcloud:index/server:Server"
END = "all machines are Ready"
"""The task that every order ends with."""


@dataclass(frozen=True)
class Machine:
    """A machine to be made."""

    name: str
    is_server: bool
    """Whether it is a control-plane server; else an agent."""
    number: int
    cpu_type: str
    """``shared`` or ``dedicated``."""
    ssh_keys: int
    """How many SSH keys it is given; the provider looks each up."""


def machines(deployment: Deployment, catalogue: Catalogue) -> tuple[Machine, ...]:
    """The cloud servers of a deployment: control-plane servers first, each in the order of its number.

    Raises:
        LookupError: the price list does not name a server's type.
    """
    found: list[Machine] = []
    for resource in deployment.by_type(SERVER):
        labels, type = resource.inputs["labels"], str(resource.inputs["serverType"])
        if type not in catalogue.server_types:
            raise LookupError(f"{resource.name} is a {type}, which config/prices.yaml does not name")
        cpu_type = str(catalogue.server_types[type]["cpu_type"])
        keys = len(resource.inputs.get("sshKeys") or ())
        found.append(Machine(resource.name, labels["role"] == "server", int(labels["number"]), cpu_type, keys))
    return tuple(sorted(found, key=lambda machine: (not machine.is_server, machine.number, machine.name)))


class Plan:
    """Collects tasks.

    Args:
        latencies: Seconds by name.
    """

    def __init__(self, latencies: Latencies) -> None:
        self._latencies = latencies
        self.tasks: list[Task] = []

    def seconds(self, name: str, *qualifiers: str) -> float:
        """Seconds of the table."""
        return self._latencies.seconds(name, *qualifiers)

    def calls(self, count: int) -> float:
        """Seconds of so many requests, one after another."""
        return count * self.seconds("api_call")

    def act(self, command: str, *qualifiers: str) -> float:
        """Seconds of an action: the request, the action itself, and the look that finds it over."""
        return self.calls(2) + self.seconds(command, *qualifiers)

    def add(self, name: str, seconds: float, after: Iterable[str] = ()) -> str:
        """Add a task; returns its name."""
        self.tasks.append(Task(name, seconds, tuple(dict.fromkeys(after))))
        return name

    def create_server(self, machine: Machine, after: Iterable[str]) -> tuple[str, str]:
        """A server as the hcloud provider makes it, which Pulumi and Terraform share: made, then attached to its Network.

        Returns the tasks after which it is powered on, and after which it has its private address.
        """
        # It looks up type, image, keys and placement group, and asks for the server.
        asked = self.calls(3 + machine.ssh_keys) + self.act("create_server", machine.cpu_type)
        made = self.add(f"{machine.name}: create", asked, after)
        attached = self.act("start_server") - self.calls(1) + self.act("attach_to_network")
        return made, self.add(f"{machine.name}: attach", attached, [made])

    def boot(self, machine: Machine, made: str, *, packages: bool) -> str:
        """Power on to the end of cloud-init's own modules."""
        booted = self.add(f"{machine.name}: boot", self.seconds("machine_boot"), [made])
        if not packages:
            return booted
        return self.add(f"{machine.name}: packages", self.seconds("machine_packages"), [booted])

    def k3s_binary(self, machine: Machine, *after: str) -> str:
        """The download of k3s."""
        return self.add(f"{machine.name}: k3s binary", self.seconds("machine_k3s_binary"), after)

    def first_server(self, machine: Machine, *after: str) -> str:
        """Start of k3s to an API that is ready."""
        return self.add(f"{machine.name}: initialise", self.seconds("machine_first_server"), after)

    def join(self, machine: Machine, *after: str) -> str:
        """Start of k3s to a member of the cluster."""
        kind = "machine_joining_server" if machine.is_server else "machine_agent"
        return self.add(f"{machine.name}: join", self.seconds(kind), after)

    def ready(self, machine: Machine, *after: str) -> str:
        """Pull of the network plugin's image, the same for whoever made the machine."""
        return self.add(f"{machine.name}: network image", self.seconds("machine_network_image"), after)
