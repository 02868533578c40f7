"""The Hetzner emulator alone, in a process of its own: prints port and token, and ends when it is told to."""

import signal
import tempfile
from pathlib import Path

from sandbox.clouds import Options, ThreadedClouds

if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as directory,
        ThreadedClouds(Path(directory), Options(rate_limit=False)) as clouds,
    ):
        print(clouds.access.hetzner.rpartition(":")[2].removesuffix("/v1"), clouds.access.token, flush=True)
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
