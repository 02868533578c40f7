"""The kubernetes provider: any object, remembered as it was given. No cluster is asked."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast

import yaml

from ..check import Failure
from ..package import Change, Checked, Created, Kind, Package, Target, autoname, kind
from ..schema import SchemaError, schema_of
from ..values import Properties, Unknown, without_nulls

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
        if target.token == RELEASE:
            name, namespace = str(inputs["name"]), str(inputs.get("namespace") or "default")
            status: Properties = {"name": name, "namespace": namespace, "revision": 1, "status": "deployed"}
            return Created(f"{namespace}/{name}", {**inputs, "namespace": namespace, "status": status})
        metadata = cast("dict[str, Any]", inputs["metadata"])
        name, namespace = str(metadata["name"]), metadata.get("namespace")
        return Created(f"{namespace}/{name}" if namespace else name, dict(inputs))


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
