"""The kubernetes provider: any object, by server-side apply through the official client."""

import base64
import threading
from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast

import yaml

from ...check import Failure
from ...drift import imported, inputs_as_given
from ...package import Change, Checked, Created, Kind, Package, ProviderError, Read, Target, autoname, kind
from ...schema import SchemaError, schema_of
from ...values import Properties, Unknown, without_nulls
from .cluster import Cluster

_AWAITED: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Pod", "PersistentVolumeClaim", "Ingress")

RELEASE: Final = "kubernetes:helm.sh/v3:Release"

_IMMUTABLE_DATA: Final = {
    "kubernetes:core/v1:ConfigMap": ("enableConfigMapMutable", ("data", "binaryData")),
    "kubernetes:core/v1:Secret": ("enableSecretMutable", ("data", "stringData", "type")),
}
"""The provider replaces these when their data changes, unless its configuration lets it change them."""


class Kubernetes(Package):
    """``pulumi_kubernetes``: ids ``<namespace>/<name>``, invented names where none is given."""

    name = "kubernetes"
    kinds: ClassVar[Mapping[str, Kind]] = {RELEASE: kind("name", "namespace")}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._configured: Properties = {}
        self._cluster: Cluster | None = None
        self._cancelled = threading.Event()

    def check_config(self, inputs: Properties) -> list[Failure]:
        failures = super().check_config(inputs)
        content = inputs.get("kubeconfig")
        if isinstance(content, str) and not _is_kubeconfig(content):
            failures.append(Failure("kubeconfig", "is no kubeconfig: YAML with clusters, users and contexts"))
        return failures

    def configure(self, inputs: Properties) -> None:
        super().configure(inputs)
        self._configured = inputs

    def check(self, target: Target, given: Properties, old: Properties | None = None) -> Checked:
        if _is_custom(target.token):
            # The SDK types a custom resource's envelope alone; what is in it, its definition tells.
            inputs = without_nulls(given)
            missing = [
                Failure(name, "is required and missing") for name in ("apiVersion", "kind") if name not in inputs
            ]
            checked = Checked(inputs, missing)
        else:
            checked = super().check(target, given, old)
        if not checked.failures:
            _name(target, checked.inputs, old or {})
        return checked

    def diff(self, target: Target, old: Properties, new: Properties, outputs: Properties) -> Change:
        change = super().diff(target, old, new, outputs)
        replaces = list(change.replaces)
        if _identity(old) != _identity(new):
            replaces.append("metadata")
        mutable, data = _IMMUTABLE_DATA.get(target.token, ("", ()))
        if not self._configured.get(mutable):
            replaces += [name for name in change.changed if name in data]
        # Two objects of one name cannot stand beside each other.
        same_name = _identity(old) == _identity(new) and not _was_invented(target, new)
        return Change(change.changed, tuple(dict.fromkeys(replaces)), bool(replaces) and same_name)

    def make(self, target: Target, inputs: Properties) -> Created:
        cluster, manifest = self._reach(target), _manifest(target, inputs)
        _refuse_unwaited(target, manifest)
        made = cluster.apply(manifest)
        return Created(_id(made), _outputs(inputs, made))

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Read | None:
        known = cast("dict[str, Any]", outputs or inputs or _named_by(target, id))
        found = self._reach(target).get(_manifest(target, known))
        if found is None:
            return None
        told = _outputs(inputs, found)
        return Read(told, inputs_as_given(inputs, told) if inputs else imported(told, schema_of(target.token).inputs))

    def update(
        self, target: Target, id: str, old: Properties, new: Properties, outputs: Properties, *, preview: bool
    ) -> Properties:
        if preview:
            return super().update(target, id, old, new, outputs, preview=True)
        return _outputs(new, self._reach(target).apply(_manifest(target, new)))

    def delete(self, target: Target, id: str, outputs: Properties) -> None:
        self._reach(target).delete(_manifest(target, outputs), self._cancelled)

    def cancel(self) -> None:
        self._cancelled.set()

    def _reach(self, target: Target) -> Cluster:
        if target.token == RELEASE:
            raise ProviderError("the sandbox's kubernetes plugin does not install charts: it has no Helm")
        if self._cluster is None:
            config = self._configured.get("kubeconfig")
            if not isinstance(config, str):
                raise ProviderError("the kubernetes provider has no kubeconfig")
            self._cluster = Cluster(config)
        return self._cluster


def _manifest(target: Target, properties: Properties) -> dict[str, Any]:
    """The object to apply: what the engine's own and the cloud's additions leave."""
    schema_kind = target.token.rpartition(":")[2]
    version = target.token.split(":")[1]
    group_version = str(properties.get("apiVersion") or version.removeprefix("core/"))
    return {
        **{name: value for name, value in properties.items() if not name.startswith("__") and name != "status"},
        "apiVersion": group_version,
        "kind": str(properties.get("kind") or schema_kind),
    }


def _outputs(inputs: Properties, found: dict[str, Any]) -> Properties:
    """The object as the cluster tells it; texts that were given in clear are told in clear again."""
    told: Properties = {**inputs, **found}
    texts = inputs.get("stringData")
    if isinstance(texts, dict):
        data = cast("dict[str, str]", found.get("data") or {})
        told["stringData"] = {
            name: base64.b64decode(data[name]).decode(errors="replace") for name in texts if name in data
        }
    metadata = cast("dict[str, Any]", found.get("metadata") or {})
    told["metadata"] = {name: value for name, value in metadata.items() if name != "managedFields"}
    return told


def _id(found: dict[str, Any]) -> str:
    metadata = found["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def _named_by(target: Target, id: str) -> dict[str, Any]:
    namespace, _, name = id.rpartition("/")
    return {"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}}


def _refuse_unwaited(target: Target, manifest: dict[str, Any]) -> None:
    """The real provider waits until these are ready; who does not want that says so, and so must whoever uses this one.

    Raises:
        ProviderError: the object would be waited for.
    """
    annotations = cast("dict[str, str]", manifest.get("metadata", {}).get("annotations") or {})
    if manifest["kind"] in _AWAITED and annotations.get("pulumi.com/skipAwait") != "true":
        raise ProviderError(
            f"{target.name}: the sandbox's kubernetes plugin does not wait for a {manifest['kind']}: there is no kubelet; "
            "annotate it with pulumi.com/skipAwait"
        )


def _is_custom(token: str) -> bool:
    """Whether a type is none of the SDK's: its group has a dot, as all groups of custom resources do."""
    try:
        schema_of(token)
    except SchemaError:
        return "." in token.split(":")[1].partition("/")[0]
    return False


def _name(target: Target, inputs: Properties, old: Properties) -> None:
    """Invent the name that is not given, once: what a former run invented stays."""
    if target.token == RELEASE:
        if "name" not in inputs:
            inputs["name"] = autoname(target, old.get("name"))
        return
    metadata = inputs.get("metadata")
    if isinstance(metadata, Unknown):
        return
    given = cast("dict[str, Any]", metadata or {})
    if "name" not in given and "generateName" not in given:
        before = cast("dict[str, Any]", old.get("metadata") or {})
        inputs["metadata"] = {**given, "name": autoname(target, before.get("name"))}


def _identity(inputs: Properties) -> tuple[Any, ...]:
    metadata = cast("dict[str, Any]", inputs.get("metadata") or {})
    return (inputs.get("apiVersion"), inputs.get("kind"), metadata.get("name"), metadata.get("namespace"))


def _was_invented(target: Target, inputs: Properties) -> bool:
    name = cast("dict[str, Any]", inputs.get("metadata") or {}).get("name", inputs.get("name"))
    return autoname(target, name) == name


def _is_kubeconfig(content: str) -> bool:
    try:
        parsed: Any = yaml.safe_load(content)
    except yaml.YAMLError:
        return False
    return isinstance(parsed, dict) and {"clusters", "users", "contexts"} <= set(cast("dict[str, Any]", parsed))


PACKAGE = Kubernetes
