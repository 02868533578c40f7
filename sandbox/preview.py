"""``make preview``: what the three stacks would make of an empty account, without one and without secrets."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from stacks.budget import Budget, region_budget, table
from stacks.cost import Cost, region_cost, shared_cost
from stacks.models import Prices, RegionalStack, SharedStack
from stacks.problems import ConfigProblem, ConfigurationError
from stacks.program import configuration, main
from stacks.region import address_plan
from stacks.settings import PROJECT, SHARED, Settings
from stacks.stack_secrets import required_secrets

from . import inprocess
from .clouds import Options, ThreadedClouds
from .deployment import PROVIDER_PREFIX, Deployment
from .engine import Engine
from .scratch import SANDBOX_INPUTS, STACKS, ScratchStack, read
from .toolchain import Tool, find_tool, version_of, why_not_path

Progress = Callable[[str, str, str], None]
"""Stack, operation, URN."""


class ChoiceError(Exception):
    """The engine that was asked for is not there."""


@dataclass(frozen=True)
class StackPreview:
    """One stack's preview with what the configuration says beside it."""

    deployment: Deployment
    cost: Cost
    addresses: Mapping[str, object] | None
    missing_secrets: tuple[str, ...]
    role: str
    budget: Budget | None = None
    """Of a region: what its layers request of its machines."""

    @property
    def warnings(self) -> list[str]:
        """What the program warned of."""
        found = [entry.message for entry in self.deployment.diagnostics if entry.severity == "warning"]
        return list(dict.fromkeys(message.removeprefix("warning: ").strip() for message in found))


@dataclass(frozen=True)
class Previews:
    """All stacks, and by which engine."""

    engine: str
    """``pulumi`` or ``inprocess``."""
    engine_detail: str
    stacks: Mapping[str, StackPreview]
    prices: Prices

    @property
    def monthly(self) -> float:
        """EUR a month for everything."""
        return round(sum(stack.cost.monthly for stack in self.stacks.values()), 2)


def choose_engine(wanted: str) -> tuple[Tool | None, str]:
    """The command line to use, or None for in-process; and what to tell about the choice. Never builds or downloads.

    Raises:
        ChoiceError: ``wanted`` is unknown, or ``pulumi`` and there is none.
    """
    if wanted not in ("auto", "pulumi", "inprocess"):
        raise ChoiceError(f"ENGINE={wanted} is unknown: write auto, pulumi or inprocess")
    if wanted == "inprocess":
        return None, "in this process, as asked for by ENGINE=inprocess"
    cli = find_tool("pulumi")
    if cli is None:
        reason = why_not_path("pulumi") or "there is no Pulumi command line on PATH or in the cache"
        if wanted == "pulumi":
            raise ChoiceError(f"ENGINE=pulumi, but {reason}: `make toolchain` gets or builds one")
        return None, f"in this process: {reason} (`make toolchain` gets one)"
    version = ".".join(map(str, version_of(cli.path)))
    return cli, f"{cli.path} ({version}, from {cli.source}) with the sandbox's plugins"


def checked(root: Path) -> tuple[dict[str, ScratchStack], dict[str, tuple[object, Settings]]]:
    """All stacks' configuration, checked together.

    Raises:
        ConfigurationError: with the problems of all stacks.
    """
    scratch = {stack: read(root, stack) for stack in STACKS}
    blocks: dict[str, tuple[object, Settings]] = {}
    problems: list[ConfigProblem] = []
    for stack, each in scratch.items():
        try:
            blocks[stack] = configuration(root, stack, each.block, each.given, each.is_encrypted)
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return scratch, blocks


SKIPPED = frozenset({"kubernetes", "minio"})
"""Packages whose real part a preview does not wait for: what they would make is checked, and shown."""


def preview(root: Path, wanted: str, progress: Progress) -> Previews:
    """Preview all stacks: ``shared`` first, which is then made on a scratch backend since the others read it.

    Args:
        root: The project's directory.
        wanted: ``auto``, ``pulumi`` or ``inprocess``.
        progress: Told of every step.

    Raises:
        ConfigurationError: the configuration is wrong.
        ChoiceError: the engine is not there.
        DeploymentFailed, EngineError: a preview failed.
    """
    cli, detail = choose_engine(wanted)
    scratch, blocks = checked(root)
    options = Options(catalogue=root / "config/prices.yaml", in_stock=False, rate_limit=False, **_zone(blocks))
    with (
        tempfile.TemporaryDirectory(prefix="hetzner-platform-") as directory,
        ThreadedClouds(Path(directory) / "machines", options) as clouds,
    ):
        base = Path(directory)
        scratch = {stack: each.against(clouds.access) for stack, each in scratch.items()}
        run = _in_process(root, scratch) if cli is None else _real_engine(cli, root, base, scratch)
        deployments = {SHARED: run(SHARED, True, progress)}
        run(SHARED, False, progress)
        for stack in STACKS:
            if stack != SHARED:
                deployments[stack] = run(stack, True, progress)
    _, settings = next(iter(blocks.values()))
    stacks = {stack: _stack_preview(deployments[stack], scratch[stack], blocks[stack][0], settings) for stack in STACKS}
    return Previews("pulumi" if cli else "inprocess", detail, stacks, settings.prices)


Runner = Callable[[str, bool, Progress], Deployment]
"""Stack, whether to preview only, progress."""


def _zone(blocks: Mapping[str, tuple[object, Settings]]) -> dict[str, Any]:
    """The zone that the configuration names, for the emulated Cloudflare."""
    shared, _ = blocks[SHARED]
    assert isinstance(shared, SharedStack)
    own = shared.cloudflare
    return {"zone": shared.zone, "zone_id": own.zone_id, "account_id": own.account_id, "plan": own.plan}


def _in_process(root: Path, scratch: Mapping[str, ScratchStack]) -> Runner:
    outputs: dict[str, Mapping[str, object]] = {}

    def run(stack: str, dry: bool, progress: Progress) -> Deployment:
        deployment = inprocess.run(
            lambda: main(root),
            project=PROJECT,
            stack=stack,
            config=scratch[stack].texts(),
            secret_keys=set(scratch[stack].secrets),
            preview=dry,
            stack_outputs=outputs,  # pyright: ignore[reportArgumentType]  exports of earlier runs
            skipped=SKIPPED,
            progress=lambda operation, urn: progress(stack, operation, urn),
        )
        if not dry:
            outputs[f"organization/{PROJECT}/{stack}"] = deployment.exports
        return deployment

    return run


def _real_engine(cli: Tool, root: Path, directory: Path, scratch: Mapping[str, ScratchStack]) -> Runner:
    engine = Engine(
        cli,
        directory / "engine",
        passphrase="labelled dummies only",  # noqa: S106  it guards nothing
        project=root,
        skipped=SKIPPED,
    )
    ready: set[str] = set()

    def run(stack: str, dry: bool, progress: Progress) -> Deployment:
        if stack not in ready:
            engine.stack_init(stack, scratch[stack].write(directory), scratch[stack].secrets)
            ready.add(stack)
        operate = engine.preview if dry else engine.up
        return operate(stack, progress=lambda operation, urn: progress(stack, operation, urn))

    return run


def _stack_preview(deployment: Deployment, scratch: ScratchStack, block: object, settings: Settings) -> StackPreview:
    if isinstance(block, RegionalStack):
        region = settings.regions[block.region]
        needed = required_secrets(scratch.name, region, settings.platform)
        return StackPreview(
            deployment,
            region_cost(region, settings.prices),
            address_plan(region),
            tuple(key for key in scratch.missing if key in needed),
            f"{block.region}, {block.role}",
            region_budget(block.region, settings),
        )
    return StackPreview(
        deployment, shared_cost(settings.regions, settings.prices), None, scratch.missing, "all regions"
    )


def write(previews: Previews, directory: Path) -> None:
    """Write ``<stack>.json`` for each stack and ``summary.json``, for other programs to read."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, stack in previews.stacks.items():
        _write_json(
            directory / f"{name}.json",
            {
                "engine": previews.engine,
                "stack": name,
                "resources": [_resource(asdict(resource)) for resource in stack.deployment.resources],
                "outputs": stack.deployment.outputs,
                "addresses": stack.addresses,
                "warnings": stack.warnings,
                "requests": None if stack.budget is None else table(stack.budget),
                "monthly_eur": stack.cost.monthly,
            },
        )
    summary = {
        "engine": previews.engine,
        "stacks": {
            name: {"resources": len(stack.deployment.resources), "monthly_eur": stack.cost.monthly}
            for name, stack in previews.stacks.items()
        },
        "monthly_eur": previews.monthly,
    }
    _write_json(directory / "summary.json", summary)


_SHOWN = ("urn", "type", "name", "parent", "provider", "protect", "dependencies", "inputs")


def _resource(resource: Mapping[str, object]) -> dict[str, object]:
    shown = {key: resource[key] for key in _SHOWN}
    if str(resource["type"]).startswith(PROVIDER_PREFIX):
        inputs = cast("Mapping[str, object]", resource["inputs"])
        shown["inputs"] = {key: value for key, value in inputs.items() if key not in SANDBOX_INPUTS}
    return shown


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
