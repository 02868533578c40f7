"""Helm's command line: run for one cluster, with nothing secret among its arguments, and ended in good order."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from ...package import ProviderError

_PATIENCE_SECONDS: Final = 20.0
"""How long a Helm that was told to stop may take to write down that it did."""

_PASSED_ON: Final = (
    "PATH",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
)

_NOISE: Final = re.compile(r"WARNING: |[IWE]\d{4} ")
"""Warnings, and the log lines of the client library."""


class HelmError(ProviderError):
    """Helm failed; the message is what it said."""


class Cancelled(HelmError):  # noqa: N818  it is no failure of Helm's
    """Helm was told to stop."""


class Helm:
    """Runs Helm for one cluster.

    Args:
        program: The executable; version 3.
        kubeconfig: Parsed; it is handed over in memory.
        context: Of the kubeconfig's contexts, unless the current one.
    """

    def __init__(self, program: Path, kubeconfig: Mapping[str, Any], context: str | None) -> None:
        self._program, self._context = program, context
        self._kubeconfig = os.memfd_create("kubeconfig")
        os.write(self._kubeconfig, yaml.safe_dump(dict(kubeconfig)).encode())
        # What it discovers about a cluster holds for this process: another sandbox may have the same address.
        self._home = tempfile.mkdtemp(prefix="helm-")
        weakref.finalize(self, _forget, self._home, self._kubeconfig)
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._cancelled = False

    def run(self, arguments: Sequence[str], *, values: Mapping[str, Any] | None = None) -> str:
        """Run it, and return what it prints.

        Args:
            arguments: Without those that name the cluster.
            values: Values of a chart; they go through its standard input.

        Raises:
            HelmError: it failed.
            Cancelled: it was told to stop, and did.
        """
        given = "" if values is None else yaml.safe_dump(dict(values))
        command = [
            str(self._program),
            *arguments,
            *(["--values", "-"] if values is not None else []),
            *(["--kube-context", self._context] if self._context else []),
        ]
        with self._started(command) as process:
            output, errors = process.communicate(given)
        if self._cancelled:
            raise Cancelled("it was cancelled")
        if process.returncode != 0:
            raise HelmError(_said(errors or output))
        return output

    @contextlib.contextmanager
    def _started(self, command: list[str]) -> "Generator[subprocess.Popen[str]]":
        with self._lock:
            if self._cancelled:
                raise Cancelled("it was cancelled")
            process = subprocess.Popen(
                command,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                pass_fds=(self._kubeconfig,),
                # A terminal's interrupt reaches it by `cancel`, once.
                start_new_session=True,
                umask=0o077,
            )
            self._running.add(process)
        try:
            yield process
        finally:
            with self._lock:
                self._running.discard(process)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        own = {
            "HOME": self._home,
            "KUBECONFIG": f"/proc/self/fd/{self._kubeconfig}",
            # It lives for some seconds: its memory need not be tidied often.
            "GOGC": "400",
        }
        return kept | own

    def cancel(self) -> None:
        """End what runs: each writes into its release that it was cancelled, or is killed."""
        with self._lock:
            self._cancelled = True
            running = list(self._running)
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            # Whoever runs it waits for it too; here it is only seen to that it does end.
            threading.Thread(target=_see_it_end, args=(process,), daemon=True).start()


def _forget(home: str, kubeconfig: int) -> None:
    os.close(kubeconfig)
    shutil.rmtree(home, ignore_errors=True)


def _see_it_end(process: "subprocess.Popen[str]") -> None:
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _said(errors: str) -> str:
    """Its last words, without the warnings before them."""
    lines = [line for line in errors.strip().splitlines() if line and not _NOISE.match(line)]
    start = next((index for index, line in enumerate(lines) if line.startswith("Error: ")), 0)
    return " ".join(lines[start:]).removeprefix("Error: ") or errors.strip()[-500:] or "it failed without a word"
