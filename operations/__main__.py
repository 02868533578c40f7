"""The commands: ``python -m operations doctor|sweep|remove``."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from hcloud import HCloudException
from rich.console import Console

from . import hetzner
from . import sweep as sweeping
from .doctor import Doctor, Report
from .pulumi import ROOT, Pulumi, PulumiError
from .removal import RemovalRefused, find_stranger

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Executable = Annotated[str, typer.Option("--pulumi", envvar="PLATFORM_PULUMI", help="the Pulumi command line")]
Project = Annotated[Path, typer.Option("--project", envvar="PLATFORM_PROJECT", help="directory of the project")]
Configuration = Annotated[
    Path | None,
    typer.Option("--configuration", envvar="PLATFORM_CONFIGURATION", help="directory of the stacks' files, if another"),
]


@app.callback()
def _commands() -> None:
    """Find out what is wrong with a deployment, and clear up after it."""


@app.command()
def doctor(
    pulumi: Executable = "pulumi",
    project: Project = ROOT,
    configuration: Configuration = None,
    out: Annotated[Path, typer.Option(help="where import files go")] = ROOT / "out" / "doctor",
    as_json: Annotated[bool, typer.Option("--json", help="findings as JSON")] = False,
) -> None:
    """Examine states, locks and clouds; print what is wrong and the lines that repair it. Changes nothing."""
    with _told():
        report = Doctor(_pulumi(pulumi, project, configuration), out).examine()
    if as_json:
        print(json.dumps(asdict(report), indent=2))
    else:
        _show(report, Console(highlight=False, soft_wrap=True, markup=False))
    raise typer.Exit(report.status)


@app.command()
def sweep(
    region: Annotated[str, typer.Option(help="the region whose cluster is to go")] = "",
    stack: Annotated[str, typer.Option(help="or its stack")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="remove it; without this it is only listed")] = False,
    pulumi: Executable = "pulumi",
    project: Project = ROOT,
    configuration: Configuration = None,
) -> None:
    """List or remove what the controllers of a region's cluster made in the cloud."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    with _told():
        client, found = sweeping.find(_pulumi(pulumi, project, configuration), region, stack)
        for each in found.undecided:
            console.print(f"kept, since its cluster cannot be told: {each.object} of the {each.controller}")
        if not found.mine:
            console.print(f"Controllers left nothing of {region or stack}.")
        elif not yes:
            for each in found.mine:
                console.print(f"would be removed: {each.object} of the {each.controller}")
            console.print("Volumes hold data. To remove all of this: the same with YES=1 (or --yes).")
        else:
            for each in sweeping.remove(client, found.mine):
                console.print(f"removed: {each.object} of the {each.controller}")


@app.command()
def remove(
    kind: Annotated[str, typer.Argument(help="such as server, as the doctor writes it")],
    id: Annotated[str, typer.Argument(help="as the doctor writes it")],
    yes: Annotated[bool, typer.Option("--yes", help="remove it; without this it is only shown")] = False,
    pulumi: Executable = "pulumi",
    project: Project = ROOT,
    configuration: Configuration = None,
) -> None:
    """Remove one object that is in no stack's state."""
    with _told():
        stranger = find_stranger(_pulumi(pulumi, project, configuration), kind, id)
        if yes:
            stranger.remove()
        print(f"{'removed' if yes else 'would be removed (--yes)'}: {stranger.object}")


def _pulumi(executable: str, project: Path, configuration: Path | None) -> Pulumi:
    return Pulumi(executable, project.resolve(), configuration.resolve() if configuration else None, dict(os.environ))


class _told:  # noqa: N801  reads like a word where it is used
    """What stands in the way is said in words, and ends the command with 2."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        expected = (PulumiError, sweeping.SweepRefused, RemovalRefused, hetzner.CloudError, HCloudException)
        if isinstance(error, expected):
            Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(str(error))
            raise typer.Exit(2) from None


def _show(report: Report, console: Console) -> None:
    for note in report.notes:
        console.print(f"note: {note}")
    for number, each in enumerate(report.findings, 1):
        console.print(f"\n{number}. {each.where}: {each.what} [{each.code}]")
        for line in each.repair:
            console.print(f"     {line}")
        for line in each.otherwise:
            console.print(f"  or {line}")
    if report.deployments:
        console.print("\nThen deploy:")
        for line in report.deployments:
            console.print(f"     {line}")
    if not report.findings:
        console.print("Healthy: states and clouds agree, nothing is locked, pending, or about to expire.")


if __name__ == "__main__":
    app(prog_name="operations")
