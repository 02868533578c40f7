"""The language host for Python, for machines that cannot download the official one.

It serves ``pulumirpc.LanguageRuntime``: the engine starts it, and it starts the program in the project's virtual
environment. Configuration travels through the environment, never through arguments, as the official host does it.
"""

# The SDK's own internals, which it does not type.
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format

from .plugins.protocol import CHANNEL_OPTIONS, language_pb2, language_pb2_grpc, plugin_pb2

SHOWN = 32
"""Exit status of a program whose error the engine was told already."""

_ORPHANED_SECONDS = 1.0

_CONFIG = "PULUMI_CONFIG"
_SECRET_KEYS = "PULUMI_CONFIG_SECRET_KEYS"
_UNHANDLED = "Program failed with an unhandled exception:\n"


class Servicer(language_pb2_grpc.LanguageRuntimeServicer):
    """The host; ``engine`` is the engine's address, where the program's messages go."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._running: list[subprocess.Popen[bytes]] = []

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        del context
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        del request, context
        return plugin_pb2.PluginInfo(version="0.0.0")

    def GetRequiredPlugins(self, request: Any, context: grpc.ServicerContext) -> Any:
        del request, context
        return language_pb2.GetRequiredPluginsResponse()

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        del request, context
        return language_pb2.GetRequiredPackagesResponse()

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        del request, context
        return language_pb2.GetProgramDependenciesResponse()

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        del request, context
        return iter(())

    def RuntimeOptionsPrompts(self, request: Any, context: grpc.ServicerContext) -> Any:
        del request, context
        return language_pb2.RuntimeOptionsResponse()

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        del request, context
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        del context
        self.end()
        return request

    def end(self) -> None:
        """End the programs that run."""
        for process in self._running:
            if process.poll() is None:
                process.terminate()

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        del context
        options: Mapping[str, Any] = json_format.MessageToDict(request.info.options)
        root = Path(request.info.root_directory or request.pwd)
        python = find_python(root, str(options.get("virtualenv", "")))
        command = [
            *(str(python), "-u", "-m", "sandbox.language_host", "--run"),
            *("--monitor", request.monitor_address, "--engine", self._engine),
            *("--project", request.project, "--stack", request.stack, "--organization", request.organization),
            *("--parallel", str(max(request.parallel, 1)), "--root", str(root)),
            *(("--dry-run",) if request.dryRun else ()),
            *(str(Path(request.info.program_directory or request.pwd, request.info.entry_point or ".")), *request.args),
        ]
        environment = os.environ | {
            _CONFIG: json.dumps(dict(request.config)),
            _SECRET_KEYS: json.dumps(list(request.configSecretKeys)),
            "PYTHONPATH": os.pathsep.join(
                entry for entry in (str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")) if entry
            ),
        }
        process = subprocess.Popen(command, cwd=request.pwd or None, env=environment)
        self._running.append(process)
        status = process.wait()
        if status == 0:
            return language_pb2.RunResponse()
        if status == SHOWN:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"Program exited with non-zero exit code: {status}")


def find_python(root: Path, virtualenv: str) -> Path:
    """The Python of the project's virtual environment when it is there and has the SDK, else the host's own."""
    candidate = root / virtualenv / "bin" / "python"
    return candidate if virtualenv and candidate.exists() else Path(sys.executable)


def run_program(arguments: argparse.Namespace) -> int:
    """Run a program against the engine's monitor; the process exits with the result.

    A ``pulumi.RunError`` is told by its message alone, any other exception with its traceback, as the official host does.
    """
    import asyncio  # noqa: PLC0415 - the host's own process needs none of these
    import gc  # noqa: PLC0415
    import logging  # noqa: PLC0415
    import runpy  # noqa: PLC0415
    import traceback  # noqa: PLC0415

    import pulumi  # noqa: PLC0415
    from pulumi.runtime.stack import run_in_stack  # noqa: PLC0415

    from .tracing import without_stack_traces  # noqa: PLC0415

    without_stack_traces()
    # Nearly all that a program makes lives until it ends: looking for garbage is a quarter of its work, and finds little.
    gc.disable()
    settings = pulumi.runtime.Settings(
        project=arguments.project,
        stack=arguments.stack,
        monitor=arguments.monitor,
        engine=arguments.engine,
        parallel=arguments.parallel,
        dry_run=arguments.dry_run,
        organization=arguments.organization,
        root_directory=arguments.root,
    )
    pulumi.runtime.configure(settings)
    config = json.loads(os.environ.pop(_CONFIG, "{}"))
    pulumi.runtime.set_all_config(config, json.loads(os.environ.pop(_SECRET_KEYS, "[]")))
    sys.argv = [arguments.program, *arguments.arguments]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = futures.ThreadPoolExecutor(arguments.parallel * 4)
    loop.set_default_executor(executor)
    # Futures of resources that failed are never awaited; asyncio would complain about each.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        loop.run_until_complete(run_in_stack(lambda: _discard(runpy.run_path(arguments.program, run_name="__main__"))))
        return 0
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return SHOWN
    except Exception:
        pulumi.log.error(_UNHANDLED + traceback.format_exc())
        return SHOWN
    finally:
        executor.shutdown(wait=True)
        loop.close()


def _discard(result: object) -> None:
    del result


def serve(engine: str) -> int:
    """Serve the host on 127.0.0.1, print the port, and stop without a word at SIGINT or SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    server = grpc.server(futures.ThreadPoolExecutor(8), options=CHANNEL_OPTIONS)
    servicer = Servicer(engine)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    # An engine that was killed tells nobody: its program would wait for it for ever.
    parent = os.getppid()
    while not stopped.wait(_ORPHANED_SECONDS) and os.getppid() == parent:
        pass
    servicer.end()
    server.stop(grace=1).wait()
    return 0


def main(arguments: list[str]) -> int:
    """``--run …`` runs a program; anything else serves, the engine's address being the last argument."""
    if arguments[:1] != ["--run"]:
        return serve(arguments[-1] if arguments else "")
    parser = argparse.ArgumentParser(prog="pulumi-language-python")
    for option in ("--monitor", "--engine", "--project", "--stack", "--organization", "--root"):
        parser.add_argument(option, required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs="*")
    return run_program(parser.parse_args(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
