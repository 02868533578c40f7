"""The whole cloud: its projects, what it offers, and what runs in it."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from ..machines.facts import Machines
from ..world import World
from . import load_balancers
from .application import application
from .catalogue import Catalogue, Offered
from .certificates import Certificates
from .firewalls import Firewalls
from .hypervisor import facts
from .images import Images
from .kind import Kind
from .limits import Settings
from .networks import Networks
from .placement_groups import PlacementGroups
from .primary_ips import PrimaryIps
from .project import KINDS, Project
from .servers import Servers
from .ssh_keys import SshKeys
from .volumes import Volumes

_FIRST_ID = 1_000_001
_BETWEEN_KINDS = 1_000_000
"""Ids of different kinds never meet, so that a wrong reference cannot hit by accident."""


class HetznerCloud:
    """Emulates the Hetzner Cloud API.

    Args:
        world: Time, faults, latencies, log.
        catalogue: What is offered.
        machines: What runs on servers and load balancers; nothing does without it.
        settings: See `Settings`.
    """

    def __init__(
        self,
        world: World,
        catalogue: Catalogue,
        *,
        machines: Machines | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.world, self.catalogue, self.machines = world, catalogue, machines
        self.settings = settings or Settings()
        catalogue.stock(everything=self.settings.in_stock)
        self.projects: list[Project] = []
        self.dedicated_addresses: set[str] = set()
        """Addresses of dedicated machines: load balancers take these alone as targets of the type ``ip``."""
        self._by_token: dict[str, Project] = {}
        self._ids = _counters({})
        kinds: Iterable[Kind] = (
            Servers(),
            Networks(),
            load_balancers.LoadBalancers(),
            Firewalls(),
            Volumes(),
            PlacementGroups(),
            PrimaryIps(),
            Certificates(),
            SshKeys(),
            Images(),
            Offered("server_types", "server_type", catalogue.server_types),
            Offered("load_balancer_types", "load_balancer_type", catalogue.load_balancer_types),
            Offered("locations", "location", catalogue.locations),
        )
        self.kinds = {kind.plural: kind for kind in kinds}

    def add_project(self, name: str, token: str, *, read_only_token: str | None = None) -> Project:
        """A new, empty project with its tokens."""
        project = Project(self, name, token, read_only_token)
        self.projects.append(project)
        for each in (token, read_only_token):
            if each is not None:
                self._by_token[each] = project
        return project

    def revoke(self, token: str) -> None:
        """Nobody gets in with this token any more."""
        self._by_token.pop(token, None)

    def project(self, token: str) -> Project | None:
        """Whose token it is."""
        return self._by_token.get(token)

    def application(self) -> web.Application:
        """Serves ``/v1``."""
        return application(self)

    def next_id(self, kind: str) -> int:
        """An id that was never used."""
        return next(self._ids[kind])

    def now(self) -> str:
        """The time, as the API writes it."""
        return self.world.clock.now().isoformat(timespec="seconds")

    def has_address(self, ip: str) -> bool:
        """Whether somebody has this public address."""
        return any(entry["ip"] == ip for project in self.projects for entry in project.all("primary_ips"))

    def rebalance(self, project: Project) -> None:
        """Servers changed: tell the load balancers' machines which targets they have now."""
        if self.machines is not None:
            for entry in project.all("load_balancers"):
                load_balancers.tell(project, entry)

    def dump(self) -> dict[str, Any]:
        """Everything, as JSON: with it another emulator goes on where this one stands."""
        highest = {kind: next(counter) for kind, counter in self._ids.items()}
        self._ids = _counters(highest)
        return {
            "ids": highest,
            "addresses": self.settings.addresses.dump(),
            "dedicated_addresses": sorted(self.dedicated_addresses),
            "projects": [project.dump() for project in self.projects],
        }

    def load(self, content: Mapping[str, Any]) -> None:
        """Put back what `dump` told; the machines are told what runs."""
        self._ids = _counters(content["ids"])
        self.settings.addresses.load(content["addresses"])
        self.dedicated_addresses = set(content["dedicated_addresses"])
        before = self.projects
        for project in before:
            project.actions.forget_running()
        self.projects, self._by_token = [], {}
        for each in content["projects"]:
            project = self.add_project(each["name"], each["token"], read_only_token=each["read_only_token"])
            project.load(each)
            for kind in self.kinds.values():
                kind.settle(project)
        self._stop_lost(before)
        for project in self.projects:
            self._resume(project)

    def _resume(self, project: Project) -> None:
        """Machines run what a state that was put back says."""
        if self.machines is not None:
            for server in project.all("servers"):
                if server["status"] == "running":
                    self.machines.power_on(facts(project, server))
                else:
                    self.machines.power_off(server["id"])
            self.rebalance(project)

    def _stop_lost(self, before: Iterable[Project]) -> None:
        """Nothing runs for what is in no project any more."""
        if self.machines is None:
            return
        for kind, stop in (("servers", self.machines.delete), ("load_balancers", self.machines.unbalance)):
            kept = {id for project in self.projects for id in project.kinds[kind]}
            for id in {id for project in before for id in project.kinds[kind]} - kept:
                stop(id)


def _counters(first: Mapping[str, int]) -> dict[str, "itertools.count[int]"]:
    return {
        kind: itertools.count(first.get(kind, _FIRST_ID + number * _BETWEEN_KINDS))
        for number, kind in enumerate((*KINDS, "actions"))
    }
