"""Asks the Pulumi command line: what stacks there are, what their states and configuration say, what it would do."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

DOCTOR_VARIABLE: Final = "HETZNER_PLATFORM_DOCTOR"
"""Tells the program's preflight who asks (`stacks.preflight`, which is costly to import)."""

ROOT: Final = Path(__file__).resolve().parents[1]

_SECONDS: Final = 600
"""A preview looks things up in the clouds; everything else answers at once."""

_TORN: Final = ("eof", "unexpected end of json input")
"""What a reader says of a state file on this machine that another command is writing just then."""

_READINGS: Final = 5
_PAUSE: Final = 0.3
"""Seconds until a torn file is read again."""

_KINDS: Final = (
    ("passphrase", ("incorrect passphrase", "passphrase must be set", "failed to decrypt", "could not decrypt")),
    ("integrity", ("snapshot integrity", "integrity check")),
    ("corrupt", ("unexpected end of json input", "invalid character", "failed to load checkpoint", "cannot unmarshal")),
    ("gone", ("no stack named", "unknown stack")),
)


class PulumiError(Exception):
    """The command line failed.

    Args:
        message: What it said.
        kind: passphrase, integrity, corrupt, gone, absent (there is no command line), or other.
    """

    def __init__(self, message: str, kind: str = "other") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Pulumi:
    """The command line for one project.

    Args:
        executable: Its path; from PATH unless told.
        project: Directory of the project.
        configuration: Directory with ``Pulumi.<stack>.yaml``; the project's own unless told.
        environment: Of the command line: backend, passphrase, PATH of plugins.
    """

    executable: str = "pulumi"
    project: Path = ROOT
    configuration: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def stacks(self) -> list[str]:
        """Names of the project's stacks in this backend.

        Raises:
            PulumiError: there is no command line, or the backend does not answer.
        """
        return [str(entry["name"]) for entry in cast("list[dict[str, Any]]", self._read(["stack", "ls", "--json"]))]

    def backend(self) -> str:
        """Address of the backend."""
        told = cast("dict[str, Any]", self._json(["whoami", "--verbose", "--json"]))
        return str(told["url"])

    def export(self, stack: str) -> object:
        """The state, with its secrets as they are stored."""
        return self._read(["stack", "export", "--stack", stack])

    def settings(self, stack: str) -> dict[str, str]:
        """The stack's configuration by key, secrets decrypted; structured values are JSON."""
        arguments = ["config", "--show-secrets", "--json", *self._chosen(stack)]
        found = cast("dict[str, dict[str, Any]]", self._json(arguments))
        return {key: str(entry.get("value", "")) for key, entry in found.items()}

    def preview(self, stack: str) -> object:
        """What ``up`` would do."""
        arguments = ["preview", "--json", "--suppress-progress", *self._chosen(stack)]
        return self._json(arguments, {DOCTOR_VARIABLE: "1"})

    def command(self, stack: str, *arguments: str, configured: bool = False) -> str:
        """A line for a shell that does this to the stack.

        Args:
            stack: Whose line it is.
            configured: Whether the command reads the stack's configuration.
        """
        chosen = self._chosen(stack) if configured else ["--stack", stack]
        return shlex.join(["pulumi", *arguments, *chosen])

    def own(self, *arguments: str) -> str:
        """A line for a shell that runs a command of this program, in the directory of the checkout."""
        python, here = Path(sys.executable), Path.cwd()
        return shlex.join(
            [str(python.relative_to(here) if python.is_relative_to(here) else python), "-m", "operations", *arguments]
        )

    def _chosen(self, stack: str) -> list[str]:
        if self.configuration is None:
            return ["--stack", stack]
        return ["--stack", stack, "--config-file", str(self.configuration / f"Pulumi.{stack}.yaml")]

    def _read(self, arguments: Sequence[str]) -> object:
        """What is stored; once more where another command was writing it."""
        for _ in range(_READINGS - 1):
            try:
                return self._json(arguments)
            except PulumiError as error:
                if not str(error).lower().endswith(_TORN):
                    raise
            time.sleep(_PAUSE)
        return self._json(arguments)

    def _json(self, arguments: Sequence[str], more: Mapping[str, str] | None = None) -> object:
        output = self._run(arguments, more)
        try:
            return json.loads(output)
        except ValueError:
            raise PulumiError(
                f"`pulumi {arguments[0]}` did not answer with JSON: {output[:200]!r}", "corrupt"
            ) from None

    def _run(self, arguments: Sequence[str], more: Mapping[str, str] | None) -> str:
        path = shutil.which(self.executable, path=self.environment.get("PATH"))
        if path is None:
            raise PulumiError(f"there is no {self.executable!r} on PATH: `make toolchain` gets one", "absent")
        environment = {**self.environment, "PULUMI_SKIP_UPDATE_CHECK": "true", "NO_COLOR": "1", **(more or {})}
        try:
            finished = subprocess.run(
                [path, *arguments, "--non-interactive", "--cwd", str(self.project)],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise PulumiError(f"`pulumi {arguments[0]}` did not end within {_SECONDS} s") from None
        if finished.returncode != 0:
            raise _failure(arguments[0], finished.stderr, finished.stdout)
        return finished.stdout


def _failure(verb: str, errors: str, output: str) -> PulumiError:
    said = errors.strip() or _diagnostics(output) or "it failed without a word"
    lowered = said.lower()
    kind = next((kind for kind, signs in _KINDS if any(sign in lowered for sign in signs)), "other")
    return PulumiError(f"`pulumi {verb}`: {said.removeprefix('error: ')}", kind)


def _diagnostics(output: str) -> str:
    """The errors in a preview's JSON."""
    try:
        found = cast("list[dict[str, Any]]", json.loads(output).get("diagnostics") or [])
    except (ValueError, AttributeError):
        return output.strip()
    return "\n".join(str(each.get("message", "")).strip() for each in found if each.get("severity") == "error")
