"""The sandbox's commands: ``python -m sandbox up|status|down|preview|toolchain``."""

import contextlib
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stacks.problems import ConfigurationError

from .clouds import LoopbackError
from .deployment import DeploymentFailed
from .engine import EngineError
from .home import Home, HomeError
from .progress import progress

ROOT = Path(__file__).resolve().parents[1]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _commands() -> None:
    """Try the platform out on this machine."""


@app.command()
def preview(
    engine: Annotated[str, typer.Option(help="auto, pulumi or inprocess")] = "auto",
    out: Annotated[Path, typer.Option(help="where the JSON goes")] = ROOT / "out" / "preview",
) -> None:
    """Show what the three stacks would make, and write it as JSON."""
    from . import preview as previews  # noqa: PLC0415  the other commands need no SDK
    from . import report  # noqa: PLC0415

    errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    try:
        with progress(errors) as report_progress:
            found = previews.preview(ROOT, engine, report_progress)
    except (ConfigurationError, previews.ChoiceError) as error:
        errors.print(str(error))
        raise typer.Exit(2) from None
    except (DeploymentFailed, EngineError) as error:
        errors.print(f"The preview failed:\n{error}")
        raise typer.Exit(2) from None
    report.show(found, Console(highlight=False))
    previews.write(found, out)
    shown = out.relative_to(ROOT) if out.is_relative_to(ROOT) else out
    print(f"\nWritten: {shown}/<stack>.json and {shown}/summary.json")


@app.command()
def up(
    engine: Annotated[str, typer.Option(help="auto, pulumi or inprocess")] = "auto",
    download: Annotated[bool, typer.Option(help="take pinned official releases of missing tools")] = False,
) -> None:
    """Bring the platform up in the sandbox, and leave it running."""
    from . import commands  # noqa: PLC0415

    with _told():
        commands.up(ROOT, Home(), engine, Console(highlight=False), download=download)


@app.command()
def status() -> None:
    """Show the sandbox that runs."""
    from . import commands  # noqa: PLC0415

    with _told():
        if not commands.status(Home(), Console(highlight=False)):
            raise typer.Exit(1)


@app.command()
def down() -> None:
    """Take the platform down, and prove that nothing is left."""
    from . import commands  # noqa: PLC0415

    with _told():
        if not commands.down(ROOT, Home(), Console(highlight=False)):
            raise typer.Exit(1)


@contextlib.contextmanager
def _told() -> Generator[None]:
    """What is wrong is said in words, and ends the command with 2."""
    from .preview import ChoiceError  # noqa: PLC0415
    from .toolchain import ToolchainError  # noqa: PLC0415

    expected = (
        ConfigurationError,
        ChoiceError,
        HomeError,
        ToolchainError,
        EngineError,
        DeploymentFailed,
        LoopbackError,
    )
    try:
        yield
    except expected as error:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(str(error))
        raise typer.Exit(2) from None


@app.command()
def toolchain(
    download: Annotated[bool, typer.Option(help="take the pinned official release instead of building")] = False,
) -> None:
    """Get the tools that a sandbox is made of: from PATH, the cache, releases, or builds."""
    from .toolchain import TOOLS, ToolchainError, get_tools  # noqa: PLC0415

    try:
        tools = get_tools(TOOLS, download=download, say=print)
    except ToolchainError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    for name, tool in tools.items():
        print(f"{name}: {tool.path} (from {tool.source})")


if __name__ == "__main__":
    app(prog_name="sandbox")
