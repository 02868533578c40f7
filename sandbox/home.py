"""A running sandbox on this machine: its directory, and the process that holds its clouds."""

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from .clouds import Access
from .scratch import STACKS

CHECKOUT: Final = Path(__file__).resolve().parents[1]
DIRECTORY_VARIABLE: Final = "SANDBOX_DIRECTORY"

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


class HomeError(Exception):
    """The sandbox's process cannot be started or stopped, or is not the one that is wanted."""


@dataclass(frozen=True)
class Wanted:
    """What the process is started for; one that runs must have been started for the same.

    Args:
        machines: See ``Options.machines``.
        tools: Paths of etcd, kube-apiserver, kube-controller-manager and moto by name; those that are there.
        zone: Cloudflare's zone: name, id, account id, plan.
        regions: Index by name.
        object_store_user: Access key id of the object store's administrator.
    """

    machines: str
    tools: Mapping[str, str]
    zone: Mapping[str, str]
    regions: Mapping[str, int]
    object_store_user: str


class Home:
    """The sandbox below ``directory`` (mode 0700), by default ``out/sandbox`` in the checkout or ``SANDBOX_DIRECTORY``."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or Path(os.environ.get(DIRECTORY_VARIABLE) or CHECKOUT / "out" / "sandbox")
        self.engine = self.directory / "engine"
        self.deployments = self.directory / "deployments"
        self._access = self.directory / "access.json"
        self._wanted = self.directory / "wanted.json"
        self.log = self.directory / "clouds.log"

    @contextlib.contextmanager
    def alone(self) -> Generator[None]:
        """Two commands never change the same sandbox at the same time.

        Raises:
            HomeError: another one is at it.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise HomeError(f"another command works on {self.directory} at this moment: wait for it") from None
        try:
            yield
        finally:
            os.close(descriptor)

    def access(self) -> Access | None:
        """How to reach the clouds that run; None when none do."""
        try:
            access = Access.read(self._access)
        except FileNotFoundError:
            return None
        return access if _answers(access) else None

    def start(self, wanted: Wanted) -> tuple[Access, bool]:
        """Start the clouds unless they run; returns how to reach them, and whether they are new.

        Raises:
            HomeError: they do not start, or run for other machines than those wanted.
        """
        running = self.access()
        if running is not None:
            before: Any = json.loads(self._wanted.read_text())
            if before != json.loads(json.dumps(asdict(wanted))):
                raise HomeError(
                    "the sandbox runs for another configuration or engine: `make down` first, then `make up`"
                )
            return running, False
        if any(self.engine.glob("backend/.pulumi/stacks/*/*.json")) or any(self.deployments.glob("*.json")):
            raise HomeError(
                f"the clouds of {self.directory} are gone (was the machine restarted?), but what was made in them is still "
                f"recorded. Nothing of it is left: rm -r {self.directory}, then `make up`"
            )
        self._access.unlink(missing_ok=True)
        self._wanted.write_text(json.dumps(asdict(wanted)))
        descriptor = os.open(self.log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sandbox.daemon", str(self.directory)],
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            access = self.access()
            if access is not None:
                return access, True
            if process.poll() is not None:
                raise HomeError(f"the clouds did not start:\n{_tail(self.log)}")
            time.sleep(_POLL_SECONDS)
        process.terminate()
        raise HomeError(f"the clouds did not start within {_START_SECONDS:.0f} s:\n{_tail(self.log)}")

    def wanted(self) -> Wanted:
        """What the process was asked for."""
        return Wanted(**json.loads(self._wanted.read_text()))

    def write_environment(self, access: Access) -> Path:
        """A file for a shell: what clients of the clouds read from their environment. Mode 0600."""
        values = {
            "HCLOUD_ENDPOINT": access.hetzner,
            "HCLOUD_TOKEN": access.token,
            "CLOUDFLARE_BASE_URL": access.cloudflare,
            "CLOUDFLARE_API_TOKEN": access.api_token,
        }
        if access.object_store:
            values |= {
                "AWS_ENDPOINT_URL": f"http://{access.object_store}",
                "AWS_ACCESS_KEY_ID": access.object_store_user,
                "AWS_SECRET_ACCESS_KEY": access.object_store_password,
            }
        path = self.directory / "environment"
        _write_private(path, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()))
        return path

    def write_page_link(self, access: Access) -> Path:
        """A page that leads a browser to the overview; its token stands in it. Mode 0600."""
        path = self.directory / "overview.html"
        target = f"{access.control}/#{access.control_token}"
        _write_private(path, f'<!doctype html><meta http-equiv="refresh" content="0; url={target}">\n')
        return path

    def clear(self) -> None:
        """Forget a sandbox that was taken down; its log stays."""
        for part in (self.engine, self.deployments, self.directory / "machines", self.directory / "buckets"):
            shutil.rmtree(part, ignore_errors=True)
        for name in ("environment", "overview.html", "wanted.json", *(f"Pulumi.{stack}.yaml" for stack in STACKS)):
            (self.directory / name).unlink(missing_ok=True)
        for kubeconfig in self.directory.glob("kubeconfig-*.yaml"):
            kubeconfig.unlink()

    def publish(self, access: Access) -> None:
        """Called by the process: clients may come."""
        access.write(self._access)

    def stop(self) -> None:
        """Stop the clouds, with all machines.

        Raises:
            HomeError: they do not stop.
        """
        try:
            access = Access.read(self._access)
        except FileNotFoundError:
            return
        if _answers(access):
            os.kill(access.pid, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS
            while _alive(access.pid):
                if time.monotonic() > deadline:
                    raise HomeError(f"the sandbox's process {access.pid} does not stop: kill {access.pid}")
                time.sleep(_POLL_SECONDS)
        self._access.unlink(missing_ok=True)


def _answers(access: Access) -> bool:
    """Whether it is our process that answers there: another one does not know the token."""
    try:
        answer = httpx.get(f"{access.control}/clock", headers={"Authorization": f"Bearer {access.control_token}"})
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _write_private(path: Path, content: str) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
