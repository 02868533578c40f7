"""``python -m sandbox.timeline``: how long the configured deployment would take, and others' orders of the same machines."""

from pathlib import Path
from typing import Annotated

import typer

from sandbox.deployment import DeploymentFailed
from sandbox.hetzner import Catalogue
from sandbox.preview import preview
from sandbox.world import Latencies
from stacks.problems import ConfigurationError

from .latencies import LATENCIES
from .report import compare, text

ROOT = Path(__file__).resolve().parents[2]


def timeline(stack: Annotated[str, typer.Option(help="a regional stack")] = "prod") -> None:
    """Print the timeline of a stack, from a preview in this process."""
    try:
        previews = preview(ROOT, "inprocess", _silently)
        if stack not in previews.stacks:
            raise LookupError(f"there is no stack {stack!r}: choose one of {', '.join(previews.stacks)}")
        deployment = previews.stacks[stack].deployment
        catalogue = Catalogue.read(ROOT / "config/prices.yaml")
        typer.echo(text(compare(deployment, Latencies.read(LATENCIES), catalogue)))
    except (ConfigurationError, DeploymentFailed, LookupError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _silently(stack: str, operation: str, urn: str) -> None:
    """The steps of a preview are no part of the report."""


if __name__ == "__main__":
    typer.run(timeline)
