"""Gets tools that are missing: a release, or a build of the module that pins the version."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .releases import ReleaseError, download
from .tools import CHECKOUT, TOOLS, Recipe, Tool, cache_directory, cached_path, find_tool, why_not_path

_PIP = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes")


class ToolchainError(Exception):
    """A tool is missing and cannot be got; the message says what to do."""


def get_tools(names: Iterable[str], *, download: bool, say: Callable[[str], None]) -> Mapping[str, Tool]:
    """The tools, got if need be.

    Args:
        names: Of `TOOLS`.
        download: Take official releases instead of building.
        say: Told what happens and how long it takes.

    Raises:
        ToolchainError: one can neither be found, downloaded nor built.
    """
    return {name: find_tool(name) or _get(TOOLS[name], download=download, say=say) for name in names}


def _get(recipe: Recipe, *, download: bool, say: Callable[[str], None]) -> Tool:
    if complaint := why_not_path(recipe.name):
        say(complaint)
    target = cache_directory(recipe)
    target.parent.mkdir(parents=True, exist_ok=True)
    if recipe.kind == "python":
        _environment(recipe, target, say)
        return Tool(cached_path(recipe), "cache")
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as directory:
        made = _release(recipe, Path(directory), say) if download else _build(recipe, Path(directory), say)
        # Moved into place in one step: an interrupted build leaves nothing that looks finished.
        made.replace(target / recipe.name)
    return Tool(target / recipe.name, "cache")


def _release(recipe: Recipe, directory: Path, say: Callable[[str], None]) -> Path:
    say(f"downloading the release {recipe.version} of {recipe.name} ...")
    try:
        return download(recipe, directory)
    except ReleaseError as error:
        raise ToolchainError(str(error)) from error


def _build(recipe: Recipe, directory: Path, say: Callable[[str], None]) -> Path:
    if shutil.which("go") is None:
        raise ToolchainError(
            f"There is no {recipe.name} on PATH, and no Go to build one with. Install Go 1.26 or later, or run: "
            f"make toolchain DOWNLOAD=1 (the release {recipe.version}). ENGINE=inprocess needs neither."
        )
    say(f"building {recipe.name} {recipe.version} from its Go module: {recipe.takes} on two cores, once ...")
    made = directory / recipe.name
    finished = subprocess.run(
        ["go", "build", "-trimpath", "-ldflags", f"-s -w {recipe.flags}".strip(), "-o", str(made), recipe.package],
        cwd=CHECKOUT / "tools" / recipe.module,
        env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise ToolchainError(
            f"{recipe.name} could not be built from tools/{recipe.module}/go.mod:\n{finished.stderr.strip()[-2000:]}"
        )
    return made


def _environment(recipe: Recipe, target: Path, say: Callable[[str], None]) -> None:
    """A Python tool has an environment of its own: what it needs does not go with what we need."""
    say(f"installing {recipe.name} {recipe.version} into an environment of its own: {recipe.takes}, once ...")
    requirements = CHECKOUT / "tools" / recipe.module / "requirements.txt"
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        draft = Path(directory) / "environment"
        commands = (
            [sys.executable, "-m", "venv", str(draft)],
            [str(draft / "bin" / "python"), "-m", "pip", "install", *_PIP, "--requirement", str(requirements)],
        )
        for command in commands:
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
            if finished.returncode != 0:
                raise ToolchainError(f"{recipe.name} could not be installed:\n{finished.stderr.strip()[-2000:]}")
        # Scripts name their interpreter by its path: they are pointed at where the environment will be.
        for script in (draft / "bin").iterdir():
            if script.is_file() and not script.is_symlink() and script.read_bytes()[:2] == b"#!":
                script.write_text(script.read_text().replace(str(draft), str(target)))
        if target.exists():
            shutil.rmtree(target)
        draft.replace(target)
