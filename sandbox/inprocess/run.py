"""Runs a program once, and takes down what a run made."""

# The SDK's own internals, which it does not type.
# pyright: reportAttributeAccessIssue=false

import asyncio
import contextlib
import contextvars
import datetime
import gc
import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, cast

import pulumi
from pulumi.runtime import settings as sdk
from pulumi.runtime.proto import engine_pb2
from pulumi.runtime.stack import ResourceRegistrationFailed, run_in_stack, wait_for_rpcs

from ..deployment import PROVIDER_PREFIX, Deployment, DeploymentFailed, Diagnostic, State
from ..plugins.package import Package, ProviderError, Surroundings, Target
from ..plugins.schema import package_of, schema_of
from ..plugins.values import Properties, masked, plain
from ..tracing import without_stack_traces
from .hooks import Hooks
from .monitor import Monitor, Record, Setting
from .providers import open_provider

_SEVERITIES = {
    engine_pb2.DEBUG: "debug",
    engine_pb2.INFO: "info",
    engine_pb2.WARNING: "warning",
    engine_pb2.ERROR: "error",
}
_PROTECTIONS = ("deleteProtection", "rebuildProtection")


def _silent(operation: str, urn: str) -> None:
    del operation, urn


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def run(
    program: Callable[[], None],
    *,
    project: str,
    stack: str,
    config: Mapping[str, str] | None = None,
    secret_keys: frozenset[str] | set[str] | tuple[str, ...] = frozenset(),
    preview: bool = True,
    stack_outputs: Mapping[str, Properties] | None = None,
    skipped: frozenset[str] = frozenset(),
    now: Callable[[], datetime.datetime] = _utc_now,
    progress: Callable[[str, str], None] = _silent,
) -> Deployment:
    """Run a Pulumi program without an engine.

    Args:
        program: What ``__main__.py`` does.
        project: Project name.
        stack: Stack name.
        config: The stack's configuration with namespaced keys, as the engine hands it over (structured values as JSON).
        secret_keys: Which keys of it are secret.
        preview: Whether to make nothing.
        stack_outputs: What stack references find, by ``organization/<project>/<stack>``; see ``Deployment.exports``.
        skipped: Packages whose resources are checked and recorded, and made nowhere. Without ``kubernetes`` there is no
            cluster to ask, so that hooks are skipped too.
        now: The clock of the providers.
        progress: Called with an operation and a URN for every resource.

    Raises:
        DeploymentFailed: with all errors of the run.
        Exception: whatever the program raised, but for ``pulumi.RunError``, which is one of the errors.
    """
    setting = Setting(
        project=project,
        stack=stack,
        config=dict(config or {}),
        secret_keys=frozenset(secret_keys),
        preview=preview,
        stack_outputs=stack_outputs or {},
        surroundings=Surroundings(now, skipped),
        progress=progress,
    )
    without_stack_traces()
    # The SDK keeps everything about a run in context variables: a copy of the context leaves no trace for the next run.
    with _collecting_seldom():
        record = contextvars.copy_context().run(_run, program, setting)
    deployment = Deployment(
        project=project,
        stack=stack,
        preview=preview,
        resources=tuple(sorted(record.resources.values(), key=lambda resource: resource.urn)),
        outputs=cast("Mapping[str, Any]", masked(record.exports)),
        diagnostics=tuple(record.diagnostics),
        exports=record.exports,
        states=tuple(record.states),
    )
    errors = [entry for entry in record.diagnostics if entry.severity == "error"]
    if errors:
        raise DeploymentFailed(errors, deployment)
    return deployment


@contextlib.contextmanager
def _collecting_seldom() -> Generator[None]:
    """What is there already is not looked through for garbage, nor what a run makes while it makes it.

    Nearly all of that lives until the run ends, and is more with every resource: looking through it again and again would
    make each of a thousand resources dearer than each of a hundred.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _run(program: Callable[[], None], setting: Setting) -> Record:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Outputs of resources that failed are never awaited; asyncio would call that an error of the program.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    sdk.configure(
        sdk.Settings(project=setting.project, stack=setting.stack, dry_run=setting.preview, organization="organization")
    )
    hooks = Hooks(loop, preview=setting.preview, skipped="kubernetes" in setting.surroundings.skipped)
    monitor = Monitor(setting, hooks)
    sdk.SETTINGS.monitor = cast("Any", monitor)
    sdk.SETTINGS.engine = cast("Any", _Engine(monitor.record))
    sdk.SETTINGS.callbacks = cast("Any", hooks)
    sdk.set_root_resource(cast("Any", None))
    pulumi.runtime.set_all_config(dict(setting.config), list(setting.secret_keys))
    try:
        loop.run_until_complete(_settle(program))
    except pulumi.RunError as error:
        monitor.record.error(str(error))
    except ProviderError as error:
        monitor.record.error(str(error))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        asyncio.set_event_loop(None)
    return monitor.record


async def _settle(program: Callable[[], None]) -> None:
    """Run the program, and let everything that does not depend on a failed resource come to its end."""
    try:
        await run_in_stack(program)
    except ResourceRegistrationFailed:
        while True:
            sdk.SETTINGS.rpc_manager.unhandled_exception = None
            try:
                await wait_for_rpcs()
            except ResourceRegistrationFailed:
                continue
            return


class _Engine:
    """Where ``pulumi.log`` writes."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def Log(self, request: engine_pb2.LogRequest) -> None:
        severity = _SEVERITIES[request.severity]
        if severity != "debug" and not request.ephemeral:
            self._record.diagnostics.append(Diagnostic(severity, request.message, request.urn))


def unprotect(deployment: Deployment, *, skipped: frozenset[str] = frozenset()) -> Deployment:
    """Lift the protection of everything that ``run`` made, in the clouds too; returns what there is then.

    Raises:
        DeploymentFailed: a provider refused.
    """
    packages = _packages(deployment, Surroundings(_utc_now, skipped))
    states = tuple(_unprotected(state, packages, deployment) for state in deployment.states)
    return replace(deployment, states=states)


def _unprotected(state: State, packages: Mapping[str, Package], deployment: Deployment) -> State:
    lifted = {name: False for name in _PROTECTIONS if state.outputs.get(name) is True}
    if lifted:
        shape = schema_of(state.type).inputs
        inputs = {name: value for name, value in plain(state.outputs).items() if name in shape}
        target = Target(state.type, state.urn.rpartition("::")[2])
        try:
            packages[state.provider].update(
                target, state.id, inputs, {**inputs, **lifted}, plain(state.outputs), preview=False
            )
        except ProviderError as error:
            raise DeploymentFailed([Diagnostic("error", str(error), state.urn)], deployment) from error
    return replace(state, protect=False, outputs={**state.outputs, **lifted})


def down(
    deployment: Deployment,
    *,
    skipped: frozenset[str] = frozenset(),
    now: Callable[[], datetime.datetime] = _utc_now,
    progress: Callable[[str, str], None] = _silent,
) -> None:
    """Delete what ``run`` made, in reverse order.

    Raises:
        DeploymentFailed: something is protected (then nothing was deleted), or a provider refused.
    """
    kept = [state for state in deployment.states if state.protect]
    if kept:
        raise DeploymentFailed(
            [Diagnostic("error", "is protected: take its protection away first", state.urn) for state in kept],
            deployment,
        )
    packages = _packages(deployment, Surroundings(now, skipped))
    for state in reversed(deployment.states):
        if state.type.startswith(PROVIDER_PREFIX) or state.retain_on_delete:
            continue
        progress("delete", state.urn)
        name = state.urn.rpartition("::")[2]
        try:
            packages[state.provider or package_of(state.type)].delete(
                Target(state.type, name), state.id, plain(state.outputs)
            )
        except ProviderError as error:
            raise DeploymentFailed([Diagnostic("error", str(error), state.urn)], deployment) from error


def _packages(deployment: Deployment, surroundings: Surroundings) -> dict[str, Package]:
    """Packages by the URN of their provider, and by name for default providers."""

    def opened(state: State) -> Package:
        return open_provider(state.urn, package_of(state.type), state.outputs, surroundings)[0].package

    packages = {state.urn: opened(state) for state in deployment.states if state.type.startswith(PROVIDER_PREFIX)}
    from ..plugins.packages import open_package  # noqa: PLC0415

    for state in deployment.states:
        if not state.provider and not state.type.startswith(PROVIDER_PREFIX):
            packages.setdefault(package_of(state.type), open_package(package_of(state.type), surroundings))
    return packages
