"""Runs a program under the SDK's mocks and keeps what it registered, options included."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pulumi
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks, settings
from pulumi.runtime.stack import run_pulumi_func
from pulumi.runtime.sync_await import _sync_await

SIGNATURE = "4dabf18193072939515e22adb298388d"


@dataclass(frozen=True)
class Registered:
    """One registration as the engine would receive it; secrets are ``[secret]``."""

    type: str
    name: str
    parent: str
    provider: str
    inputs: dict[str, Any]
    secret_inputs: frozenset[str]
    protect: bool
    retain_on_delete: bool
    delete_before_replace: bool
    replacement_trigger: Any
    dependencies: frozenset[str]


@dataclass
class Recording:
    """Every registration by ``<last part of the type>/<name>``."""

    resources: dict[str, Registered] = field(default_factory=dict)
    look_ups: dict[str, str] = field(default_factory=dict)
    """Function → reference of the provider that answered."""
    exports: dict[str, Any] = field(default_factory=dict)
    secret_exports: frozenset[str] = frozenset()

    def of(self, kind: str) -> dict[str, Registered]:
        """Registrations of one kind by name."""
        return {resource.name: resource for key, resource in self.resources.items() if key.split("/")[0] == kind}


class _Outputs(mocks.Mocks):
    """Echoes inputs and invents, from the name alone, what providers compute."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        computed = {
            "PrivateKey": {"privateKeyPem": f"private key of {args.name}", "publicKeyPem": f"public of {args.name}"},
            "SelfSignedCert": {"certPem": f"certificate of {args.name}"},
            "LocallySignedCert": {"certPem": f"certificate of {args.name}"},
            "CertRequest": {"certRequestPem": f"request of {args.name}"},
            "OriginCaCertificate": {"certificate": f"certificate of {args.name}"},
            "RandomPassword": {"result": f"password of {args.name}"},
            "RandomBytes": {"base64": f"bytes of {args.name}", "hex": ""},
        }.get(args.typ.rpartition(":")[2], {})
        return f"{args.name}-id", {**args.inputs, **computed}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        self.recording.look_ups[args.token.rpartition(":")[2]] = args.provider
        if "getZeroTrustTunnelCloudflaredToken" in args.token:
            return {**args.args, "id": "x", "token": f"token of {args.args['tunnelId']}"}
        raise AssertionError(f"unexpected look-up {args.token}")


class _Monitor(mocks.MockMonitor):
    def __init__(self, recording: Recording) -> None:
        super().__init__(_Outputs(recording))
        self.recording = recording

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        answer = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            inputs = MessageToDict(request.object)
            kind = request.type.rpartition(":")[2]
            key = f"{kind}/{request.name}"
            assert key not in self.recording.resources, f"{key} is registered twice"
            self.recording.resources[key] = Registered(
                type=request.type,
                name=request.name,
                parent=request.parent.rpartition("::")[2],
                provider=request.provider,
                inputs={name: _masked(value) for name, value in inputs.items()},
                secret_inputs=frozenset(name for name, value in inputs.items() if _is_secret(value)),
                protect=request.protect,
                retain_on_delete=request.retainOnDelete,
                delete_before_replace=request.deleteBeforeReplace,
                replacement_trigger=MessageToDict(request).get("replacementTrigger"),
                dependencies=frozenset(urn.rpartition("::")[2] for urn in request.dependencies),
            )
        return answer


def _is_secret(value: Any) -> bool:
    return isinstance(value, dict) and SIGNATURE in value


def _masked(value: Any) -> Any:
    if _is_secret(value):
        return "[secret]"
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value


def record(program: Callable[[], dict[str, Any]], *, preview: bool = False) -> Recording:
    """Run ``program``, which returns what it would export."""
    recording = Recording()
    with _event_loops_closed():
        settings.set_root_resource(None)
        mocks.set_mocks(_Outputs(recording), project="test", stack="test", preview=preview, monitor=_Monitor(recording))
        settings.SETTINGS.rpc_manager.clear()
        settings.SETTINGS.outputs.clear()
        exported: dict[str, pulumi.Output[Any]] = {}

        def run() -> None:
            exported.update({name: pulumi.Output.from_input(value) for name, value in program().items()})

        _sync_await(run_pulumi_func(run))
        secret: set[str] = set()
        for name, output in exported.items():
            recording.exports[name] = _sync_await(output.future())
            if _sync_await(output.is_secret()):
                secret.add(name)
        recording.secret_exports = frozenset(secret)
    return recording


@contextmanager
def _event_loops_closed() -> Iterator[None]:
    """Close every loop made inside: the SDK makes one a thread, and an open one is reported as a leak much later."""
    made: list[asyncio.AbstractEventLoop] = []
    new_event_loop = asyncio.new_event_loop

    def remembered() -> asyncio.AbstractEventLoop:
        made.append(new_event_loop())
        return made[-1]

    with patch("asyncio.new_event_loop", remembered), patch("asyncio.events.new_event_loop", remembered):
        asyncio.set_event_loop(asyncio.new_event_loop())
        try:
            yield
        finally:
            made[0].run_until_complete(made[0].shutdown_default_executor())
            for loop in made:
                loop.close()
            asyncio.set_event_loop(None)
