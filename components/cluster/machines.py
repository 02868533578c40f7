"""What machines a cluster is to have, and which it has: the vocabulary of pools, renewal and the clouds' answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..naming import machine_name

SERVERS = "server"
"""The pool of control-plane servers, and their role label."""

AGENTS = "agent"
"""Role label of every other machine."""


@dataclass(frozen=True)
class Machine:
    """One machine that the configuration asks for."""

    pool: str
    number: int
    type: str
    generation: int = 1
    unprotected: bool = False
    drained: bool = False

    @property
    def is_server(self) -> bool:
        """Whether it belongs to the control plane."""
        return self.pool == SERVERS

    @property
    def label(self) -> str:
        """``server-2``: how people and Pulumi call it, whatever its generation."""
        return f"{self.pool}-{self.number}"

    def name(self, cluster: str) -> str:
        """Name of the machine and its node in this generation."""
        return machine_name(cluster, self.pool, self.number, self.generation)

    def labels(self, config: str) -> dict[str, str]:
        """Labels of the cloud server, by which it is known again; ``config`` is the hash of its configuration."""
        return {
            "role": SERVERS if self.is_server else AGENTS,
            "pool": self.pool,
            "number": str(self.number),
            "generation": str(self.generation),
            "config": config,
        }


@dataclass(frozen=True)
class DeployedMachine:
    """One machine that the cloud says is there."""

    pool: str
    number: int
    name: str
    type: str
    generation: int
    drained: str = ""
    """``g<generation>`` once this generation was drained."""
    protected: bool = False
    config: str = ""
    """Hash of the configuration that it was made with."""

    @property
    def label(self) -> str:
        """``server-2``."""
        return f"{self.pool}-{self.number}"

    @property
    def is_drained(self) -> bool:
        """Whether this very generation was drained; a label left over from another proves nothing."""
        return self.drained == drained_label(self.generation)


@dataclass(frozen=True)
class Deployed:
    """What the cloud knows of a cluster before anything is changed."""

    machines: Sequence[DeployedMachine] = ()
    initialized: bool = False
    """Whether the cluster is known to have existed (the marker stands)."""

    def of(self, pool: str) -> "Deployed":
        """The same, of one pool."""
        return Deployed([machine for machine in self.machines if machine.pool == pool], self.initialized)

    def by_key(self) -> Mapping[tuple[str, int], DeployedMachine]:
        """By pool and number."""
        return {(machine.pool, machine.number): machine for machine in self.machines}


def drained_label(generation: int) -> str:
    """Value of the label ``drained`` on a machine of this generation."""
    return f"g{generation}"


def read_deployed(servers: Sequence[tuple[str, str, bool, Mapping[str, str]]]) -> list[DeployedMachine]:
    """Our machines among the cloud's answers (name, type, delete protection, labels).

    Autoscaled machines carry the cluster's label too but no number; they are not ours to count.
    """
    return sorted(
        (
            DeployedMachine(
                pool=labels["pool"],
                number=int(labels["number"]),
                name=name,
                type=type_,
                generation=int(labels.get("generation", "1")),
                drained=labels.get("drained", ""),
                protected=protected,
                config=labels.get("config", ""),
            )
            for name, type_, protected, labels in servers
            if "number" in labels and "pool" in labels
        ),
        key=lambda machine: (machine.pool, machine.number),
    )
