"""Drives the Pulumi command line: stacks on a scratch backend, configuration on copies, plugins from this checkout."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import yaml

from ..deployment import Deployment, Diagnostic
from ..plugins.packages import NAMES
from ..plugins.server import SKIPPED_VARIABLE
from ..toolchain import CHECKOUT, Tool
from .digest import EventReader, read_digest

LAUNCHER: Final = """#!/bin/sh
PYTHONPATH='{checkout}'"${{PYTHONPATH:+:$PYTHONPATH}}" exec '{python}' -m {module} "$@"
"""

# Credentials of real clouds have no business in a sandbox.
_LEFT_OUT: Final = re.compile(r"(PULUMI|HCLOUD|CLOUDFLARE|MINIO|AWS|KUBECONFIG|KUBE)(_|$)")

_POLL_SECONDS: Final = 0.05

PLUGINS_VARIABLE: Final = "SANDBOX_PLUGINS"


class EngineError(Exception):
    """The engine refused or failed; the message holds its own error diagnostics, one a line.

    Args:
        message: What it said.
        deployment: What it had planned or done until then.
    """

    def __init__(self, message: str, deployment: Deployment | None = None) -> None:
        super().__init__(message)
        self.deployment = deployment


def _silent(operation: str, urn: str) -> None:
    del operation, urn


class Engine:
    """A Pulumi command line with a home and a backend of its own.

    Args:
        cli: The command line.
        directory: Scratch directory; made with mode 0700. Two engines with the same directory see the same stacks.
        passphrase: What secrets are encrypted with; handed over by the environment.
        project: Directory of the project that stacks are run for; only read.
        skipped: Packages whose resources are checked, and made nowhere.
        python: The interpreter that runs plugins, language host and, unless the project has its own, programs.
        environment: More variables for the engine, its plugins and its programs.
    """

    def __init__(
        self,
        cli: Tool,
        directory: Path,
        *,
        passphrase: str,
        project: Path = CHECKOUT,
        skipped: frozenset[str] = frozenset(),
        python: Path = Path(sys.executable),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.cli = cli
        self.directory = directory
        self.project = project
        definition = cast("dict[str, Any]", yaml.safe_load((project / "Pulumi.yaml").read_text()))
        self.project_name = str(definition["name"])
        self._work = directory / "project"
        self._bin = directory / "bin"
        for made in (directory, directory / "home", directory / "backend", self._work, self._bin):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Stacks are made here and not in the checkout: `stack init` writes the salt into the stack's file.
        (self._work / "Pulumi.yaml").write_text(yaml.safe_dump({"name": self.project_name, "runtime": "python"}))
        self._write_launchers(python)
        self._environment = self._base_environment(passphrase, skipped) | dict(environment or {})

    def _write_launchers(self, python: Path) -> None:
        # With SANDBOX_PLUGINS=real the official plugins are asked for instead, where they are installed.
        own = () if os.environ.get(PLUGINS_VARIABLE) == "real" else NAMES
        launchers = {f"pulumi-resource-{name}": f"sandbox.plugins {name}" for name in own}
        beside_cli = self.cli.path.resolve().parent / "pulumi-language-python"
        if not shutil.which("pulumi-language-python") and not beside_cli.exists():
            launchers["pulumi-language-python"] = "sandbox.language_host"
        for name, module in launchers.items():
            path = self._bin / name
            path.write_text(LAUNCHER.format(checkout=CHECKOUT, python=python, module=module))
            path.chmod(0o700)

    def _base_environment(self, passphrase: str, skipped: frozenset[str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not _LEFT_OUT.match(name)}
        path = os.pathsep.join([str(self._bin), str(self.cli.path.parent), os.environ.get("PATH", os.defpath)])
        return kept | {
            "PATH": path,
            "PULUMI_HOME": str(self.directory / "home"),
            # A digest beside each file, which nobody reads, would be a seventh of the engine's work.
            "PULUMI_BACKEND_URL": f"file://{self.directory / 'backend'}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": passphrase,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_ERROR_OUTPUT_STRING": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # only so does the command line take --event-log
            "NO_COLOR": "1",
            # The engine makes the whole state anew twice for every resource, and drops it again.
            "GOGC": os.environ.get("GOGC", "400"),
            SKIPPED_VARIABLE: ",".join(sorted(skipped)),
        }

    # -- stacks

    def stacks(self) -> list[str]:
        """The stacks of this backend."""
        listed = cast("list[dict[str, Any]]", json.loads(self._call(["stack", "ls", "--json"])))
        return [str(entry["name"]) for entry in listed]

    def stack_init(self, stack: str, config: Path | None = None, secrets: Mapping[str, str] | None = None) -> None:
        """Make a stack with a copy of a configuration file, and with secrets in that copy.

        Args:
            stack: Its name.
            config: Its configuration; by default the project's ``Pulumi.<stack>.yaml``. An absent file counts as empty.
            secrets: By namespaced key; they reach the command line through its standard input.

        Raises:
            EngineError: the stack exists.
        """
        source = config or self.project / f"Pulumi.{stack}.yaml"
        copy = self.config_file(stack)
        copy.write_text(source.read_text() if source.exists() else "")
        copy.chmod(0o600)
        self._call(["stack", "init", stack])
        for key, value in (secrets or {}).items():
            self._call(["config", "set", "--secret", "--stack", stack, key], given=value)

    def configure(self, stack: str, config: Mapping[str, object]) -> None:
        """Replace a stack's plain values; its secrets stay as they are."""
        copy = self.config_file(stack)
        document = cast("dict[str, Any]", yaml.safe_load(copy.read_text()))
        before: dict[str, Any] = document["config"]
        secrets: dict[str, Any] = {
            key: value for key, value in before.items() if isinstance(value, dict) and "secure" in value
        }
        copy.write_text(yaml.safe_dump({**document, "config": {**config, **secrets}}, sort_keys=False))

    def config_file(self, stack: str) -> Path:
        """The copy of the stack's configuration that runs use; it may be edited between runs."""
        return self._work / f"Pulumi.{stack}.yaml"

    def export_state(self, stack: str, *, show_secrets: bool = False) -> dict[str, Any]:
        """The stack's state as it is stored: secrets stay encrypted unless asked for."""
        shown = ["--show-secrets"] if show_secrets else []
        return cast("dict[str, Any]", json.loads(self._call(["stack", "export", "--stack", stack, *shown])))

    def stack_output(self, stack: str, *, show_secrets: bool = False) -> dict[str, Any]:
        """The stack's outputs; secrets are ``[secret]`` unless asked for."""
        shown = ["--show-secrets"] if show_secrets else []
        return cast("dict[str, Any]", json.loads(self._call(["stack", "output", "--json", "--stack", stack, *shown])))

    def unprotect(self, stack: str) -> None:
        """Let the engine delete everything in the stack; the clouds' own protection is another matter."""
        self._call(["state", "unprotect", "--all", "--yes", "--stack", stack])

    def cancel(self, stack: str) -> None:
        """Take the lock away that a killed run left behind."""
        self._call(["cancel", "--yes", "--stack", stack])

    # -- runs

    def preview(
        self, stack: str, *, options: Sequence[str] = (), progress: Callable[[str, str], None] = _silent
    ) -> Deployment:
        """What ``up`` would do, without doing it.

        Raises:
            EngineError: the program or the engine found something wrong.
        """
        return self._run(
            ["preview", "--json", "--show-reads", "--show-sames", "--skip-plugin-pre-install", *options],
            stack,
            progress,
        )

    def up(
        self, stack: str, *, options: Sequence[str] = (), progress: Callable[[str, str], None] = _silent
    ) -> Deployment:
        """Create and update. ``Deployment.operations`` says how much of each.

        Raises:
            EngineError: something failed; what was done until then is in the state.
        """
        return self._run(["up", "--yes", "--skip-preview", "--skip-plugin-pre-install", *options], stack, progress)

    def refresh(
        self, stack: str, *, options: Sequence[str] = (), progress: Callable[[str, str], None] = _silent
    ) -> Deployment:
        """Bring the state up to what the clouds tell.

        Raises:
            EngineError: something failed.
        """
        return self._run(["refresh", "--yes", "--skip-preview", *options], stack, progress)

    def destroy(
        self,
        stack: str,
        *,
        options: Sequence[str] = (),
        progress: Callable[[str, str], None] = _silent,
        each_step_saved: bool = True,
    ) -> Deployment:
        """Delete everything that the stack owns.

        Args:
            stack: Its name.
            options: More arguments.
            progress: Called with the operation and the URN of every step.
            each_step_saved: Whether the state is written after every step, and not at the end alone. A run that is killed
                in between then finds no longer what it had deleted; otherwise it deletes that again, which changes nothing.

        Raises:
            EngineError: something is protected, or failed.
        """
        more = {} if each_step_saved else {"PULUMI_SKIP_CHECKPOINTS": "true"}
        return self._run(["destroy", "--yes", "--skip-preview", *options], stack, progress, more)

    def _run(
        self,
        arguments: list[str],
        stack: str,
        progress: Callable[[str, str], None],
        environment: Mapping[str, str] | None = None,
    ) -> Deployment:
        log = self.directory / f"{stack}.events"
        log.unlink(missing_ok=True)
        reader = EventReader(log, progress)
        command = [
            *(str(self.cli.path), *arguments, "--non-interactive", "--cwd", str(self.project)),
            *("--stack", stack, "--config-file", str(self.config_file(stack)), "--event-log", str(log)),
        ]
        process = subprocess.Popen(
            command,
            env=self._environment | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=0o077,
            # A terminal's interrupt would reach it twice: by itself, and by us. The second one ends it in mid-work.
            start_new_session=True,
        )
        output, errors = _communicate(process, reader)
        digest = cast("dict[str, Any]", json.loads(output)) if arguments[0] == "preview" and output.strip() else {}
        deployment = read_digest(self.project_name, stack, digest, reader, preview=arguments[0] == "preview")
        if process.returncode != 0:
            raise EngineError(_explanation(deployment.diagnostics, errors), deployment)
        return deployment

    def _call(self, arguments: list[str], given: str | None = None) -> str:
        finished = subprocess.run(
            [str(self.cli.path), *arguments, "--non-interactive", "--cwd", str(self._work)],
            env=self._environment,
            input=given if given is not None else "",
            capture_output=True,
            text=True,
            check=False,
            umask=0o077,
        )
        if finished.returncode != 0:
            raise EngineError(_explanation((), finished.stderr or finished.stdout))
        return finished.stdout


def _communicate(process: "subprocess.Popen[str]", reader: EventReader) -> tuple[str, str]:
    """Wait for the process, and hand its events over meanwhile."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(_POLL_SECONDS):
            reader.read()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        output, errors = _finish(process)
    finally:
        stop.set()
        follower.join()
    reader.read()
    return output, errors


def _finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Its output. A first interruption asks it to end in good order and waits on; another one ends it."""
    try:
        return process.communicate()
    except BaseException:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate()
        except BaseException:
            process.kill()
            process.wait()
        raise


def _explanation(diagnostics: Sequence[Diagnostic], errors: str) -> str:
    """The engine's own errors; what it wrote to standard error when it has none."""
    said = [entry for entry in diagnostics if entry.severity == "error"]
    lines = [str(replace(entry, message=entry.message.removeprefix("error: "))) for entry in said]
    return (
        "\n".join(dict.fromkeys(lines)) or errors.strip().removeprefix("error: ") or "the engine failed without a word"
    )
