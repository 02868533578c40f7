"""Stands where the engine's resource monitor stands: the SDK calls it for every resource and every look-up."""

# The SDK's own internals, which it does not type.
# pyright: reportUnknownVariableType=false

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import resource_pb2

from ..deployment import PROVIDER_PREFIX, REFERENCE_TYPE, STACK_TYPE, STATE_FUNCTION, Diagnostic, Resource, State
from ..plugins.check import Failure
from ..plugins.package import Created, PartiallyCreated, ProviderError, Surroundings, Target
from ..plugins.schema import package_of
from ..plugins.values import Properties, Secret, annotate, contains, decode, encode, masked, plain
from .hooks import HookError, Hooks
from .providers import Provider, default_configuration, default_refused, open_provider

_FEATURES = [
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
]

_PROVIDER_ID = "00000000-0000-0000-0000-000000000000"


class InvokeFailed(grpc.RpcError):
    """A look-up failed; the SDK turns it into an exception of the program, as it does with the engine's."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self._message = message

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return self._message


@dataclass
class Record:
    """What a run leaves behind."""

    resources: dict[str, Resource] = field(default_factory=dict[str, Resource])
    states: list[State] = field(default_factory=list[State])
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    exports: Properties = field(default_factory=dict[str, Any])

    def error(self, message: str, urn: str = "") -> None:
        self.diagnostics.append(Diagnostic("error", message, urn))

    @property
    def failed(self) -> bool:
        return any(entry.severity == "error" for entry in self.diagnostics)


@dataclass(frozen=True)
class Setting:
    """What a run is given."""

    project: str
    stack: str
    config: Mapping[str, str]
    secret_keys: frozenset[str]
    preview: bool
    stack_outputs: Mapping[str, Properties]
    surroundings: Surroundings
    progress: Callable[[str, str], None]


class Monitor:
    """Registers resources, calls the plugins' code, and records it all.

    In a preview it goes on after a failed check, so that all failures of the run come out together; a real run starts
    nothing more after the first failure, as the engine does.
    """

    def __init__(self, setting: Setting, hooks: Hooks) -> None:
        self._setting = setting
        self._hooks = hooks
        self._lock = threading.RLock()
        self._providers: dict[str, Provider] = {}
        self._inherited: dict[str, tuple[bool, bool]] = {}
        self.record = Record()

    # -- the interface that the SDK calls

    def GetDeploymentInfo(self, request: empty_pb2.Empty) -> resource_pb2.DeploymentInfo:
        del request
        return resource_pb2.DeploymentInfo(supportedFeatures=_FEATURES)

    def SignalAndWaitForShutdown(self, request: empty_pb2.Empty) -> empty_pb2.Empty:
        return request

    def RegisterResourceOutputs(self, request: resource_pb2.RegisterResourceOutputsRequest) -> empty_pb2.Empty:
        resource = self.record.resources.get(request.urn)
        if resource is not None and resource.type == STACK_TYPE:
            self.record.exports = decode(request.outputs)
        return empty_pb2.Empty()

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> resource_pb2.RegisterResourceResponse:
        urn = self._urn(request.parent, request.type, request.name)
        inputs = decode(request.object)
        with self._lock:
            if urn in self.record.resources:
                self.record.error(f"Duplicate resource URN '{urn}'; try giving it a unique name", urn)
                return _failed(urn)
            protect, retain = self._inherit(urn, request)
            self._note(urn, request, inputs, protect=protect, provider="")
        self._setting.progress("create", urn)
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        if request.type.startswith(PROVIDER_PREFIX):
            return self._register_provider(urn, request, inputs)
        try:
            provider = self._provider(request.provider, request.type, urn)
        except ProviderError as error:
            self.record.error(str(error), urn)
            return self._go_on(urn, inputs)
        return self._register_custom(urn, request, inputs, provider, protect=protect, retain=retain)

    def ReadResource(self, request: resource_pb2.ReadResourceRequest) -> resource_pb2.ReadResourceResponse:
        urn = self._urn(request.parent, request.type, request.name)
        given = decode(request.properties)
        self._setting.progress("read", urn)
        if request.type == REFERENCE_TYPE:
            provider, outputs = "", self._refer(str(given["name"]))
            given = {"name": given["name"]}
        else:
            found = self._provider(request.provider, request.type, urn)
            provider = found.urn
            read = found.package.read(Target(request.type, request.name), request.id, {}, plain(given))
            if read is None:
                raise ProviderError(f"resource '{request.id}' does not exist")
            outputs = annotate(read.outputs, given)
        outputs = _with_secrets(outputs, request.additionalSecretOutputs)
        with self._lock:
            self.record.resources[urn] = Resource(
                urn=urn,
                type=request.type,
                name=request.name,
                parent=request.parent,
                provider=provider,
                external=True,
                dependencies=tuple(sorted(request.dependencies)),
                inputs=masked(given),
            )
        return resource_pb2.ReadResourceResponse(urn=urn, properties=encode(outputs))

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest) -> resource_pb2.ResourceInvokeResponse:
        arguments = decode(request.args)
        if request.tok == STATE_FUNCTION:
            # Nothing was deployed before: without an engine there is only a first time.
            return _returned({"name": arguments["stackName"], "outputs": {}})
        try:
            provider = self._provider(request.provider, request.tok, "")
            if not provider.configured:
                return resource_pb2.ResourceInvokeResponse(unknown=True)
            result = provider.package.invoke(request.tok, plain(arguments))
        except ProviderError as error:
            raise InvokeFailed(f"invocation of {request.tok} returned an error: {error}") from error
        if contains(arguments, Secret):
            result = {key: Secret(value) for key, value in result.items()}
        return _returned(result)

    # -- providers

    def _register_provider(
        self, urn: str, request: resource_pb2.RegisterResourceRequest, inputs: Properties
    ) -> resource_pb2.RegisterResourceResponse:
        name = package_of(request.type)
        try:
            provider, failures = open_provider(urn, name, inputs, self._setting.surroundings)
        except ProviderError as error:
            self.record.error(str(error), urn)
            return _failed(urn)
        self._report(request.type, request.name, urn, failures)
        outputs = _with_secrets(inputs, request.additionalSecretOutputs)
        with self._lock:
            self._providers[urn] = provider
            if not self._setting.preview:
                self.record.states.append(
                    State(urn, request.type, _PROVIDER_ID, "", protect=False, retain_on_delete=False, outputs=outputs)
                )
        if failures and not self._setting.preview:
            return _failed(urn)
        id = "" if self._setting.preview else str(uuid.uuid4())
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id, object=encode(outputs))

    def _provider(self, reference: str, token: str, urn: str) -> Provider:
        """The provider that a resource or a look-up uses.

        Raises:
            ProviderError: it is a default provider that the configuration forbids, or one that failed.
        """
        name = package_of(token)
        wanted = reference.rpartition("::")[0]
        if not wanted:
            if default_refused(name, self._setting.config):
                raise ProviderError(f"Default provider for '{name}' disabled. '{token}' must use an explicit provider.")
            wanted = f"default:{name}"
        with self._lock:
            if wanted not in self._providers:
                if reference:
                    raise ProviderError(f"unknown provider '{reference}' for {urn or token}")
                self._open_default(wanted, name)
            return self._providers[wanted]

    def _open_default(self, key: str, name: str) -> None:
        given: Properties = {
            option: Secret(value) if f"{name}:{option}" in self._setting.secret_keys else value
            for option, value in default_configuration(name, self._setting.config).items()
        }
        provider, failures = open_provider("", name, given, self._setting.surroundings)
        self._report(f"{PROVIDER_PREFIX}{name}", "default", "", failures)
        self._providers[key] = provider

    # -- custom resources

    def _register_custom(
        self,
        urn: str,
        request: resource_pb2.RegisterResourceRequest,
        given: Properties,
        provider: Provider,
        *,
        protect: bool,
        retain: bool,
    ) -> resource_pb2.RegisterResourceResponse:
        target = Target(request.type, request.name, urn.encode())
        checked = provider.package.check(target, plain(given))
        # The engine does not ask a provider whose configuration is not known yet; mistakes are worth telling all the same.
        inputs = annotate(checked.inputs, given) if provider.configured else given
        with self._lock:
            self._note(urn, request, inputs, protect=protect, provider=provider.urn)
            self._report(request.type, request.name, urn, checked.failures)
            failed = self.record.failed
        if checked.failures or (failed and not self._setting.preview):
            return self._go_on(urn, inputs)
        try:
            created = self._create(urn, request, target, provider, inputs)
        except PartiallyCreated as partial:
            # It is recorded as the engine records it: to be taken down, though nothing that depends on it is made.
            outputs = annotate(partial.outputs, inputs)
            with self._lock:
                self.record.states.append(
                    State(urn, request.type, partial.id, provider.urn, protect, retain, outputs=outputs)
                )
            self.record.error(str(partial), urn)
            return _failed(urn)
        except (ProviderError, HookError) as error:
            self.record.error(str(error), urn)
            return _failed(urn)
        outputs = _with_secrets(annotate(created.outputs, inputs), request.additionalSecretOutputs)
        if not self._setting.preview:
            state = State(
                urn, request.type, created.id, provider.urn, protect=protect, retain_on_delete=retain, outputs=outputs
            )
            with self._lock:
                self.record.states.append(state)
            try:
                self._run_hooks("after", request.hooks.after_create, urn, created.id, inputs, outputs)
            except HookError as error:
                self.record.error(str(error), urn)
                return _failed(urn)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=created.id, object=encode(outputs))

    def _create(
        self,
        urn: str,
        request: resource_pb2.RegisterResourceRequest,
        target: Target,
        provider: Provider,
        inputs: Properties,
    ) -> Created:
        self._run_hooks("before", request.hooks.before_create, urn, "", inputs, None)
        if self._setting.preview and not provider.configured:
            return Created("", {})
        return provider.package.create(target, plain(inputs), preview=self._setting.preview)

    def _run_hooks(
        self, phase: str, names: Iterable[str], urn: str, id: str, inputs: Properties, outputs: Properties | None
    ) -> None:
        for warning in self._hooks.run(list(names), phase, urn, id, inputs, outputs):
            self.record.diagnostics.append(Diagnostic("warning", warning, urn))

    def _go_on(self, urn: str, inputs: Properties) -> resource_pb2.RegisterResourceResponse:
        """After a failure: in a preview as if nothing were, so that what depends on it is checked too."""
        if self._setting.preview:
            return resource_pb2.RegisterResourceResponse(urn=urn, object=encode(inputs))
        return _failed(urn)

    # -- stack references

    def _refer(self, name: str) -> Properties:
        full = name if "/" in name else f"organization/{self._setting.project}/{name}"
        outputs = self._setting.stack_outputs.get(full)
        if outputs is None:
            raise ProviderError(f'unknown stack "{name}"')
        secret = sorted(key for key, value in outputs.items() if contains(value, Secret))
        return {"name": name, "outputs": dict(outputs), "secretOutputNames": list(secret)}

    # -- records

    def _urn(self, parent: str, type: str, name: str) -> str:
        qualified = parent.split("::")[2] if parent else ""
        prefix = f"{qualified}$" if qualified not in ("", STACK_TYPE) else ""
        return f"urn:pulumi:{self._setting.stack}::{self._setting.project}::{prefix}{type}::{name}"

    def _inherit(self, urn: str, request: resource_pb2.RegisterResourceRequest) -> tuple[bool, bool]:
        protect, retain = self._inherited.get(request.parent, (False, False))
        if request.HasField("protect"):
            protect = request.protect
        if request.HasField("retainOnDelete"):
            retain = request.retainOnDelete
        self._inherited[urn] = (protect, retain)
        return protect, retain

    def _note(
        self,
        urn: str,
        request: resource_pb2.RegisterResourceRequest,
        inputs: Properties,
        *,
        protect: bool,
        provider: str,
    ) -> None:
        self.record.resources[urn] = Resource(
            urn=urn,
            type=request.type,
            name=request.name,
            parent=request.parent,
            provider=provider,
            protect=protect,
            custom=request.custom,
            dependencies=tuple(sorted(request.dependencies)),
            inputs=masked(inputs),
            ignore_changes=tuple(request.ignoreChanges),
            aliases=tuple(self._alias(urn, request, alias) for alias in request.aliases),
            delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
            replacement_trigger=_trigger(request),
            edges=tuple(
                filter(
                    None,
                    [
                        provider,
                        *request.dependencies,
                        *(urn for each in request.propertyDependencies.values() for urn in each.urns),
                        request.deletedWith,
                    ],
                )
            ),
        )

    def _alias(self, urn: str, request: resource_pb2.RegisterResourceRequest, alias: Any) -> str:
        if alias.urn:
            return str(alias.urn)
        spec = alias.spec
        parent = "" if spec.noParent else spec.parentUrn or request.parent
        renamed = self._urn(parent, spec.type or request.type, spec.name or request.name)
        head, _, rest = renamed.partition("::")
        _, _, tail = rest.partition("::")
        stack = f"urn:pulumi:{spec.stack}" if spec.stack else head
        return f"{stack}::{spec.project or self._setting.project}::{tail}"

    def _report(self, type: str, name: str, urn: str, failures: Iterable[Failure]) -> None:
        for failure in failures:
            self.record.error(f"{type} resource '{name}' has a problem: {failure}", urn)


def _returned(result: Properties) -> resource_pb2.ResourceInvokeResponse:
    response = resource_pb2.ResourceInvokeResponse()
    getattr(response, "return").CopyFrom(encode(result))
    return response


def _failed(urn: str) -> resource_pb2.RegisterResourceResponse:
    return resource_pb2.RegisterResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)


def _trigger(request: resource_pb2.RegisterResourceRequest) -> Any:
    if not request.HasField("replacement_trigger"):
        return None
    from google.protobuf import struct_pb2  # noqa: PLC0415

    return masked(decode(struct_pb2.Struct(fields={"value": request.replacement_trigger}))["value"])


def _with_secrets(outputs: Properties, names: Iterable[str]) -> Properties:
    """``additional_secret_outputs``, which the SDKs also use for what their providers call sensitive."""
    secret = set(names)
    return {
        key: Secret(value) if key in secret and not isinstance(value, Secret) else value
        for key, value in outputs.items()
    }
