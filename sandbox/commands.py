"""What ``make up``, ``make status`` and ``make down`` do, and what they tell."""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from rich.console import Console

from stacks.models import SharedStack
from stacks.settings import SHARED

from . import platform, preview
from .clouds import Access
from .engine import EngineError
from .home import Home, HomeError
from .inventory import Inventory, read_inventory
from .progress import Steps
from .toolchain import Tool, ToolchainError, get_tools

MACHINE_TOOLS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "moto_server")
"""What the clouds of a sandbox of real parts run; they are told the paths."""

ENGINE_TOOLS: Final = ("pulumi", "helm")
"""What the engine and its plugins run; the kubernetes plugin finds Helm as `find_tool` does."""


def plan(root: Path) -> platform.Plan:
    """The committed configuration, checked.

    Raises:
        ConfigurationError: with everything that is wrong.
    """
    scratch, blocks = preview.checked(root)
    shared, settings = blocks[SHARED]
    assert isinstance(shared, SharedStack)
    return platform.Plan(root, scratch, shared, settings)


def up(root: Path, home: Home, engine: str, console: Console, *, download: bool) -> None:
    """Bring the three stacks up, and say how to look at them.

    Raises:
        ConfigurationError, HomeError, ToolchainError, EngineError, DeploymentFailed: what is wrong.
    """
    began = time.monotonic()
    wanted = plan(root)
    real = _use_engine(engine)
    tools: Mapping[str, Tool] = {}
    if real:
        tools = get_tools((*ENGINE_TOOLS, *MACHINE_TOOLS), download=download, say=console.print)
    with home.alone():
        machine_tools = {name: str(tools[name].path) for name in MACHINE_TOOLS if name in tools}
        access, new = home.start(wanted.wanted("full" if real else "booted", machine_tools))
        console.print("clouds: started" if new else "clouds: running")
        operator = _operator(home, wanted, access, tools)
        with Steps(console) as steps:
            deployments = platform.bring_up(operator, steps.note, together=real)
        if real:
            _write_kubeconfigs(home, operator)
    console.print(f"\nThe platform is up ({time.monotonic() - began:.0f} s).")
    if not real:
        left_out = list(platform.skipped(deployments))
        console.print("Without the engine and its tools these were skipped, and machines stop when they have booted:")
        console.print("\n".join(f"  {line}" for line in left_out))
    show(home, access, console)


def status(home: Home, console: Console) -> bool:
    """Show what runs; returns whether anything does."""
    access = home.access()
    if access is None:
        console.print("No sandbox runs here: make up")
        return False
    show(home, access, console)
    return True


def down(root: Path, home: Home, console: Console) -> bool:
    """Take the three stacks down, prove that the clouds are empty, and stop them; returns whether they are.

    Raises:
        HomeError, EngineError, DeploymentFailed: what is in the way; the clouds run on then.
    """
    began = time.monotonic()
    with home.alone():
        access = home.access()
        if access is None:
            console.print("No sandbox runs here: nothing to take down.")
            return True
        wanted = plan(root)
        real = home.wanted().machines == "full"
        tools: Mapping[str, Tool] = {}
        if real:
            tools = get_tools(ENGINE_TOOLS, download=False, say=console.print)
        operator = _operator(home, wanted, access, tools)
        with Steps(console) as steps:
            platform.take_down(
                operator, steps.note, lambda volumes: _sweep(access, console, volumes=volumes), together=real
            )
        left = read_inventory(access, wanted.shared)
        console.print(f"\nThe stacks are destroyed ({time.monotonic() - began:.0f} s). Left in the clouds:")
        _show_left(left, console)
        if not left.empty:
            console.print("The clouds are not empty, so they run on: make doctor says what belongs to nobody.")
            return False
        home.stop()
        home.clear()
    console.print("The clouds are empty, and stopped.")
    return True


def show(home: Home, access: Access, console: Console) -> None:
    """How to look at a running sandbox. Tokens stand in files, never on the screen."""
    environment = home.write_environment(access)
    inventory = read_inventory(access, None)
    console.print("\nIn the clouds:")
    _show_left(inventory, console)
    console.print(f"\nLook at it (credentials: . {_shown(environment)}):")
    console.print(f"  . {_shown(environment)} && hcloud server list")
    for kubeconfig in sorted(home.directory.glob("kubeconfig-*.yaml")):
        console.print(f"  kubectl --kubeconfig {_shown(kubeconfig)} get nodes")
    console.print(f"  a page of both projects: file {_shown(home.write_page_link(access))}")
    console.print("Take it down: make down")


def _use_engine(engine: str) -> bool:
    if engine not in ("auto", "pulumi", "inprocess"):
        raise preview.ChoiceError(f"ENGINE={engine} is unknown: write auto, pulumi or inprocess")
    return engine != "inprocess"


def _operator(
    home: Home, wanted: platform.Plan, access: Access, tools: Mapping[str, Tool]
) -> platform.EngineOperator | platform.InProcessOperator:
    if "pulumi" in tools:
        return platform.EngineOperator(tools["pulumi"], home, wanted, access)
    return platform.InProcessOperator(home, wanted, access)


def _write_kubeconfigs(home: Home, operator: platform.Operator) -> None:
    assert isinstance(operator, platform.EngineOperator)
    for stack in platform.REGIONAL:
        path = home.directory / f"kubeconfig-{stack}.yaml"
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(operator.engine.stack_output(stack, show_secrets=True)["kubeconfig"])


def _sweep(access: Access, console: Console, *, volumes: bool) -> None:
    """What controllers made belongs to no stack, and would keep Networks from going."""
    from operations.sweep import sweep_everything  # noqa: PLC0415  needs the clients

    for line in sweep_everything(access.token, access.hetzner, volumes=volumes):
        console.print(f"  swept: {line}")


def _show_left(inventory: Inventory, console: Console) -> None:
    lines: Iterable[str] = inventory.lines()
    console.print("\n".join(f"  {line}" for line in lines) or "  nothing")


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


__all__ = ["EngineError", "HomeError", "ToolchainError", "down", "status", "up"]
