"""The three stacks in a sandbox: brought up, looked at, and taken down to nothing."""

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from stacks.models import SharedStack
from stacks.program import main
from stacks.settings import PROJECT, SHARED, Settings

from . import inprocess
from .clouds import Access
from .deployment import Deployment, DeploymentFailed
from .engine import Engine, EngineError
from .home import Home, Wanted
from .inprocess.record import keep, recall
from .plugins.values import Properties
from .protection import lift_protection
from .scratch import STACKS, ScratchStack
from .toolchain import Tool

Progress = Callable[[str, str, str], None]
"""Stack, operation, URN."""

REGIONAL = tuple(stack for stack in STACKS if stack != SHARED)
PASSPHRASE = "labelled dummies only"  # noqa: S105  it guards nothing
SKIPPED_IN_PROCESS = frozenset({"kubernetes", "minio"})
"""Packages whose real part (an API server, an object store) needs tools that pip does not bring."""


@dataclass(frozen=True)
class Plan:
    """The configuration that a sandbox is for: the stacks' and what all of them share."""

    root: Path
    scratch: Mapping[str, ScratchStack]
    shared: SharedStack
    settings: Settings

    def wanted(self, machines: str, tools: Mapping[str, str]) -> Wanted:
        """The clouds that it needs."""
        return Wanted(
            machines=machines,
            tools=dict(tools),
            zone={
                "name": self.shared.zone,
                "id": self.shared.cloudflare.zone_id,
                "account_id": self.shared.cloudflare.account_id,
                "plan": self.shared.cloudflare.plan,
            },
            regions={name: region.index for name, region in self.settings.regions.items()},
            object_store_user=self.shared.object_storage.administrator_access_key_id,
        )


class Operator(Protocol):
    """Does to a stack what it is asked for."""

    def up(self, stack: str, progress: Progress) -> Deployment:
        """Bring it up, or up to date."""
        ...

    def unprotect(self, stack: str, progress: Progress) -> None:
        """Lift the protection of everything in it."""
        ...

    def destroy(self, stack: str, progress: Progress) -> None:
        """Delete everything in it."""
        ...

    def existing(self) -> list[str]:
        """The stacks that are there, in the order in which they came up."""
        ...


class EngineOperator:
    """Works through the real engine, whose state is in the sandbox's directory."""

    def __init__(self, cli: Tool, home: Home, plan: Plan, access: Access) -> None:
        self.engine = Engine(cli, home.engine, passphrase=PASSPHRASE, project=plan.root)
        self._plan, self._access, self._home = plan, access, home
        self._known = set(self.engine.stacks())

    def up(self, stack: str, progress: Progress) -> Deployment:
        scratch = self._plan.scratch[stack].against(self._access)
        if stack in self._known:
            self.engine.configure(stack, scratch.config)
        else:
            self.engine.stack_init(stack, scratch.write(self._home.directory), scratch.secrets)
            self._known.add(stack)
        return self.engine.up(stack, progress=_of(stack, progress))

    def unprotect(self, stack: str, progress: Progress) -> None:
        # A command that was killed leaves its lock; nobody else works on this sandbox (see `Home.alone`).
        with contextlib.suppress(EngineError):
            self.engine.cancel(stack)
        # Not by the program: what an `up` could not finish, it could not unprotect either.
        self.engine.unprotect(stack)
        lift_protection(self._access)
        progress(stack, "unprotect", "")

    def destroy(self, stack: str, progress: Progress) -> None:
        # Writing hundreds of resources anew for each that goes would be most of the work.
        self.engine.destroy(stack, progress=_of(stack, progress), each_step_saved=False)

    def existing(self) -> list[str]:
        return [stack for stack in STACKS if stack in self._known]


class InProcessOperator:
    """Works without an engine: a first ``up``, and ``destroy`` in reverse order."""

    def __init__(self, home: Home, plan: Plan, access: Access) -> None:
        self._home, self._plan, self._access = home, plan, access
        self._outputs: dict[str, Properties] = {}

    def up(self, stack: str, progress: Progress) -> Deployment:
        if self._record(stack).exists():
            raise EngineError(
                f"stack {stack} is up already: without a Pulumi engine there is no state to compare with, so it can only be "
                "taken down (make down); `make toolchain` gets the engine"
            )
        scratch = self._plan.scratch[stack].against(self._access)
        try:
            deployment = inprocess.run(
                lambda: main(self._plan.root),
                project=PROJECT,
                stack=stack,
                config=scratch.texts(),
                secret_keys=set(scratch.secrets),
                preview=False,
                stack_outputs=self._outputs,
                skipped=SKIPPED_IN_PROCESS,
                progress=_of(stack, progress),
            )
        except DeploymentFailed as error:
            if error.deployment is not None:
                keep(error.deployment, self._record(stack))
            raise
        keep(deployment, self._record(stack))
        self._outputs[f"organization/{PROJECT}/{stack}"] = deployment.exports
        return deployment

    def unprotect(self, stack: str, progress: Progress) -> None:
        keep(inprocess.unprotect(self._recall(stack), skipped=SKIPPED_IN_PROCESS), self._record(stack))
        progress(stack, "unprotect", "")

    def destroy(self, stack: str, progress: Progress) -> None:
        inprocess.down(self._recall(stack), skipped=SKIPPED_IN_PROCESS, progress=_of(stack, progress))
        self._record(stack).unlink()

    def existing(self) -> list[str]:
        return [stack for stack in STACKS if self._record(stack).exists()]

    def _recall(self, stack: str) -> Deployment:
        scratch = self._plan.scratch[stack].against(self._access)
        return recall(self._record(stack), scratch.secrets)

    def _record(self, stack: str) -> Path:
        return self._home.deployments / f"{stack}.json"


def bring_up(operator: Operator, progress: Progress, *, together: bool) -> dict[str, Deployment]:
    """All stacks: ``shared`` first, then the regions, at the same time when told.

    Raises:
        EngineError, DeploymentFailed: of the first stack that failed; the others were finished.
    """
    deployments = {SHARED: operator.up(SHARED, progress)}
    found = _each(REGIONAL, lambda stack: operator.up(stack, progress), together=together)
    return deployments | dict(zip(REGIONAL, found, strict=True))


def take_down(operator: Operator, progress: Progress, sweep: Callable[[bool], object], *, together: bool) -> None:
    """All stacks that are there: protection lifted, what controllers made swept away, regions before ``shared``.

    Volumes of claims are swept once the regions are gone: until then machines hold them, and drivers may make more.

    Args:
        operator: Does it.
        progress: Is told of it.
        sweep: Removes what controllers made, the volumes of claims among it when told so.
        together: Whether regions go at the same time.

    Raises:
        EngineError, DeploymentFailed: of the first stack that failed.
    """
    there = operator.existing()
    regional = [stack for stack in there if stack != SHARED]
    _each(there, lambda stack: operator.unprotect(stack, progress), together=together)
    sweep(False)
    _each(regional, lambda stack: operator.destroy(stack, progress), together=together)
    sweep(True)
    if SHARED in there:
        operator.destroy(SHARED, progress)


def _each(stacks: Sequence[str], work: Callable[[str], Any], *, together: bool) -> list[Any]:
    if not together:
        return [work(stack) for stack in stacks]
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, len(stacks))) as pool:
        return [future.result() for future in [pool.submit(work, stack) for stack in stacks]]


def _of(stack: str, progress: Progress) -> Callable[[str, str], None]:
    return lambda operation, urn: progress(stack, operation, urn)


def skipped(deployments: Mapping[str, Deployment]) -> Iterator[str]:
    """What a run without tools left out, one line a resource."""
    for stack, deployment in deployments.items():
        for resource in deployment.resources:
            if resource.custom and resource.type.partition(":")[0] in SKIPPED_IN_PROCESS:
                yield f"{stack}: {resource.name} ({resource.type.rpartition(':')[2]})"
