"""Serves a package to the engine: ``pulumirpc.ResourceProvider`` over gRPC, generic over what the package does.

It declares that it accepts no secrets, so that the engine takes secrecy away before and restores it after each call, by
the names of the properties (`values.annotate` is the same rule).
"""

# The SDK's own internals, which it does not type.
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false, reportArgumentType=false

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2

from .check import Failure
from .package import Package, PartiallyCreated, ProviderError, Surroundings, Target
from .packages import open_package
from .protocol import CHANNEL_OPTIONS, plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2
from .values import decode, encode, plain

SKIPPED_VARIABLE = "SANDBOX_SKIPPED"
"""Names of packages, with commas between, whose resources are made nowhere (see `skipped`)."""

CHARTS_VARIABLE = "SANDBOX_CHARTS"
"""``real``: Helm fetches charts. Otherwise they are stand-ins."""

DEFINITIONS_VARIABLE = "SANDBOX_DEFINITIONS"
"""Directory of real definitions for the stand-ins."""

_WORKERS = 16
_ORPHANED_SECONDS = 1.0

Answer = TypeVar("Answer")


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """One package behind the engine's protocol."""

    def __init__(self, package: Package) -> None:
        self._package = package

    # -- what the plugin is

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        del request, context
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False, accept_resources=False, accept_outputs=False
        )

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        del request, context
        return plugin_pb2.PluginInfo(version=self._package.version())

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        del request, context
        return provider_pb2.GetSchemaResponse(schema="{}")

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        del context
        self._package.cancel()
        return request

    # -- its configuration

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        given = plain(decode(request.news))
        failures = _answer(context, lambda: self._package.check_config(self._package.parse_configuration(given)))
        return provider_pb2.CheckResponse(inputs=encode(given), failures=_failures(failures))

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        old, new = (
            self._package.parse_configuration(plain(decode(each))) for each in (request.old_inputs, request.news)
        )
        change = _answer(context, lambda: self._package.diff_config(old, new))
        return provider_pb2.DiffResponse(
            changes=_SOME if change.changed else _NONE, diffs=change.changed, replaces=change.replaces
        )

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        given = self._package.parse_configuration(plain(decode(request.args)))
        _answer(context, lambda: self._package.configure(given))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    # -- resources

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        target = Target(_type(request.urn), _name(request.urn), bytes(request.randomSeed))
        checked = _answer(
            context, lambda: self._package.check(target, plain(decode(request.news)), plain(decode(request.olds)))
        )
        return provider_pb2.CheckResponse(inputs=encode(checked.inputs), failures=_failures(checked.failures))

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        change = _answer(
            context,
            lambda: self._package.diff(
                _target(request),
                plain(decode(request.old_inputs)),
                plain(decode(request.news)),
                plain(decode(request.olds)),
            ),
        )
        return provider_pb2.DiffResponse(
            changes=_SOME if change.changed else _NONE,
            diffs=change.changed,
            replaces=change.replaces,
            deleteBeforeReplace=change.delete_before_replace,
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        created = _answer(
            context,
            lambda: self._package.create(_target(request), plain(decode(request.properties)), preview=request.preview),
        )
        return provider_pb2.CreateResponse(id=created.id, properties=encode(created.outputs))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs = plain(decode(request.inputs))
        found = _answer(
            context,
            lambda: self._package.read(_target(request), request.id, inputs, plain(decode(request.properties))),
        )
        if found is None:
            return provider_pb2.ReadResponse(id="")
        return provider_pb2.ReadResponse(
            id=found.id or request.id, properties=encode(found.outputs), inputs=encode(found.inputs)
        )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        outputs = _answer(
            context,
            lambda: self._package.update(
                _target(request),
                request.id,
                plain(decode(request.old_inputs)),
                plain(decode(request.news)),
                plain(decode(request.olds)),
                preview=request.preview,
            ),
        )
        return provider_pb2.UpdateResponse(properties=encode(outputs))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        _answer(context, lambda: self._package.delete(_target(request), request.id, plain(decode(request.properties))))
        return empty_pb2.Empty()

    # -- functions

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        result = _answer(context, lambda: self._package.invoke(request.tok, plain(decode(request.args))))
        return provider_pb2.InvokeResponse(**{"return": encode(result)})


_SOME = provider_pb2.DiffResponse.DIFF_SOME
_NONE = provider_pb2.DiffResponse.DIFF_NONE


def _answer(context: grpc.ServicerContext, work: Callable[[], Answer]) -> Answer:
    """Do the work; what a provider refuses becomes the call's error, without a traceback."""
    try:
        return work()
    except PartiallyCreated as partial:
        _tell_partial(context, partial)
        context.abort(grpc.StatusCode.UNKNOWN, str(partial))
        raise AssertionError("abort does not return") from partial
    except ProviderError as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        raise AssertionError("abort does not return") from error


def _tell_partial(context: grpc.ServicerContext, partial: PartiallyCreated) -> None:
    """The engine records a resource whose creation failed half-way when the error's details say so."""
    detail = provider_pb2.ErrorResourceInitFailed(
        id=partial.id,
        properties=encode(partial.outputs),
        inputs=encode(partial.outputs if partial.inputs is None else partial.inputs),
        reasons=[str(partial)],
    )
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(partial), details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))


def _failures(failures: list[Failure]) -> list[Any]:
    # The engine prints the value of a property that a failure names, secret or not: so none is named to it, and the
    # reason says where.
    return [provider_pb2.CheckFailure(reason=str(failure)) for failure in failures]


def _target(request: Any) -> Target:
    return Target(_type(request.urn), _name(request.urn), timeout=float(getattr(request, "timeout", 0.0)))


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def surroundings_from_environment() -> Surroundings:
    """What the environment says about packages to skip, and about charts."""
    definitions = os.environ.get(DEFINITIONS_VARIABLE)
    return Surroundings(
        skipped=frozenset(os.environ.get(SKIPPED_VARIABLE, "").split(",")) - {""},
        real_charts=os.environ.get(CHARTS_VARIABLE) == "real",
        definitions=Path(definitions) if definitions else None,
    )


def serve(name: str) -> int:
    """Serve a package on 127.0.0.1, print the port, and stop without a word at SIGINT or SIGTERM."""
    try:
        package = open_package(name, surroundings_from_environment())
    except ProviderError as error:
        print(error, file=sys.stderr)
        return 2
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    server = grpc.server(futures.ThreadPoolExecutor(_WORKERS), options=CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(package), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    # An engine that was killed tells nobody: without it there is no more work to do.
    parent = os.getppid()
    while not stopped.wait(_ORPHANED_SECONDS) and os.getppid() == parent:
        pass
    # What waits would keep the process, and what it started, for as long as it may wait.
    package.cancel()
    server.stop(grace=1).wait()
    return 0
