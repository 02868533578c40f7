"""An object store on this machine: moto's server, which knows buckets with versions, locks, lifecycles and policies."""

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

import httpx

from .machines.processes import mortal

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.05


class ObjectStoreError(Exception):
    """The object store does not start; the message holds its own last words."""


class ObjectStore:
    """Runs between `start` and `stop`.

    Args:
        binary: ``moto_server``.
        directory: For its log; made with mode 0700. What it holds is in its memory.
        user: Access key id of the administrator.
        password: Its secret key.
    """

    def __init__(self, binary: Path, directory: Path, user: str, password: str) -> None:
        self.user, self.password = user, password
        self.endpoint = ""
        self._binary, self._directory = binary, directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on a free port of 127.0.0.1; ``endpoint`` is known then.

        Raises:
            ObjectStoreError: it does not come up.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        port = _free_port()
        self.endpoint = f"127.0.0.1:{port}"
        log = os.open(self._directory / "log", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(log, "wb") as file:
            try:
                self._process = subprocess.Popen(
                    [*mortal(), str(self._binary), "--host", "127.0.0.1", "--port", str(port)],
                    env={"PATH": os.environ.get("PATH", os.defpath)},
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    umask=0o077,
                )
            except OSError as error:
                raise ObjectStoreError(f"the object store {self._binary} does not start:\n{error}") from error
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                words = (self._directory / "log").read_text(errors="replace")[-500:]
                raise ObjectStoreError(f"the object store {self._binary} does not start:\n{words}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop it, with what it holds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        try:
            # Without credentials it refuses, which is an answer.
            return httpx.get(f"http://{self.endpoint}/", timeout=1).status_code in (200, 400, 403)
        except httpx.HTTPError:
            return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
