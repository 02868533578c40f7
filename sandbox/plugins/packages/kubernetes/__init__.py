"""The kubernetes provider: objects of any kind, made, changed, read and deleted through a cluster's API.

It does what the real one does (4.29 and later): creations are refused when the object is there, updates are server-side
applies under a field manager of the resource's own, deletions are foreground deletions, and all of them wait.
"""

import secrets
import threading
from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast

from ....toolchain import find_tool
from ...check import Failure
from ...package import (
    Change,
    Checked,
    Created,
    Kind,
    Package,
    PartiallyCreated,
    ProviderError,
    Read,
    Target,
    autoname,
    kind,
)
from ...schema import schema_of
from ...values import Properties, Unknown, contains, without_nulls
from . import awaits, configuration, fields, objects, releases, troubles
from . import inputs as inputs_of
from .cluster import ApiError, Cluster, Manifest, UnknownKindError, UnreachableError
from .helm import Helm

_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between tries of a creation whose namespace or definition is not there yet."""

_PROPAGATION: Final = {"orphan": "Orphan", "background": "Background"}


class Kubernetes(Package):
    """``pulumi_kubernetes``: ids ``<namespace>/<name>``, invented names where none is given."""

    name = "kubernetes"
    kinds: ClassVar[Mapping[str, Kind]] = {objects.RELEASE: kind("name", "namespace")}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._configured: Properties = {}
        self._cluster: Cluster | None = None
        self._helm: Helm | None = None
        self._opening = threading.Lock()
        self._cancelled = threading.Event()

    # -- the provider's own configuration

    def check_config(self, inputs: Properties) -> list[Failure]:
        failures = super().check_config(inputs)
        content = inputs.get("kubeconfig")
        if isinstance(content, str) and configuration.kubeconfig(inputs) is None:
            failures.append(Failure("kubeconfig", "is no kubeconfig: YAML with clusters, users and contexts"))
        return failures

    def diff_config(self, old: Properties, new: Properties) -> Change:
        """Another cluster replaces everything in it: by its identifier where it has one, else by what is told of it."""
        change = super().diff_config(old, new)
        before, after = old.get("clusterIdentifier"), new.get("clusterIdentifier")
        if before and before == after:
            return change
        replaces = ["clusterIdentifier"] if before and after else []
        reached = [name for name in ("kubeconfig", "context", "cluster") if name in change.changed]
        unknown = [name for name in reached if isinstance(new.get(name), Unknown)]
        if unknown:
            replaces += unknown
        elif (told := configuration.cluster(old)) and (tells := configuration.cluster(new)) and told != tells:
            replaces += reached
        return Change(change.changed, tuple(replaces))

    def configure(self, inputs: Properties) -> None:
        super().configure(inputs)
        self._configured = inputs
        self._cluster = self._helm = None

    # -- inputs

    def check(self, target: Target, given: Properties, old: Properties | None = None) -> Checked:
        if inputs_of.is_custom(target.token):
            # The SDK types a custom resource's envelope alone; what is in it, its definition tells.
            inputs = without_nulls(given)
            missing = [
                Failure(name, "is required and missing") for name in ("apiVersion", "kind") if name not in inputs
            ]
            checked = Checked(inputs, missing)
        else:
            checked = super().check(target, given, old)
        checked.failures.extend(inputs_of.refusals(target, checked.inputs))
        if not checked.failures:
            inputs_of.name(target, checked.inputs, old or {})
            self._place(target, checked.inputs)
        if not checked.failures and target.token == objects.RELEASE:
            checked.failures.extend(
                releases.check(
                    checked.inputs,
                    self._namespace(),
                    real_charts=self.surroundings.real_charts,
                    definitions=self.surroundings.definitions,
                )
            )
        return checked

    def _place(self, target: Target, inputs: Properties) -> None:
        """Give an object without a namespace the configured one, if its kind has namespaces."""
        wanted, metadata = self._namespace(), inputs.get("metadata")
        if not wanted or not isinstance(metadata, dict) or metadata.get("namespace") or target.token == objects.RELEASE:
            return
        manifest = objects.manifest(target, inputs)
        try:
            namespaced = self._reach().is_namespaced(manifest)
        except UnknownKindError:
            namespaced = True
        except ProviderError:
            return
        if namespaced:
            inputs["metadata"] = {**metadata, "namespace": wanted}

    def _namespace(self) -> str:
        given = self._configured.get("namespace")
        return str(given or configuration.context(self._configured).get("namespace") or "")

    def diff(self, target: Target, old: Properties, new: Properties, outputs: Properties) -> Change:
        change = super().diff(target, old, new, outputs)
        if target.token == objects.RELEASE:
            return releases.diff(change, new, outputs)
        before, after = objects.manifest(target, old), objects.manifest(target, new)
        if objects.is_patch(target.token):
            replaces = ["metadata"] if _place_of(before) != _place_of(after) else []
        else:
            replaces = objects.replaced_on(before, after, self._configured)
        # Two objects of one name cannot stand beside each other.
        same = _place_of(before) == _place_of(after) and not _was_invented(target, new)
        return Change(change.changed, tuple(replaces), bool(replaces) and same)

    # -- the life of an object

    def create(self, target: Target, inputs: Properties, *, preview: bool) -> Created:
        if not preview:
            return self.make(target, inputs)
        echoed = Created("", dict(inputs))
        if target.token == objects.RELEASE or objects.is_patch(target.token) or contains(inputs, Unknown):
            return echoed
        manifest = objects.manifest(target, inputs)
        try:
            cluster = self._reach()
            if not cluster.knows(manifest):
                return echoed
            made = self._send_new(cluster, target, manifest, "", dry=True)
        except UnreachableError:
            return echoed
        except ApiError as error:
            if error.status in (403, 404, 409) or (error.status == 400 and "dry" in str(error)):
                return echoed
            raise ProviderError(f"{_named(manifest)}: {_explained(error, '')}") from error
        made.pop("status", None)
        return Created("", objects.outputs(target, inputs, made, ""))

    def make(self, target: Target, inputs: Properties) -> Created:
        if target.token == objects.RELEASE:
            return self._releases().make(inputs)
        cluster, manifest = self._reach(), objects.manifest(target, inputs)
        awaits.condition_of(manifest)
        manager = _manager(manifest, {})
        made = self._try_to_create(cluster, target, manifest, manager)
        live, missing = awaits.wait_ready(cluster, manifest, made, target.timeout, self._cancelled, updating=False)
        outputs = objects.outputs(target, inputs, live, manager)
        if missing:
            raise PartiallyCreated(
                objects.object_id(live), outputs, f"{_named(live)} was created, but is not ready: {missing}"
            )
        return Created(objects.object_id(live), outputs)

    def _try_to_create(self, cluster: Cluster, target: Target, manifest: Manifest, manager: str) -> Manifest:
        """Create it; what it needs may be on its way."""
        for pause in (*_PAUSES, None):
            try:
                return self._send_new(cluster, target, manifest, manager, dry=False)
            except UnknownKindError:
                if pause is None or self._cancelled.wait(pause):
                    raise
            except ApiError as error:
                if error.status == 404 and pause is not None and not self._cancelled.wait(pause):
                    continue
                raise ProviderError(f"{_named(manifest)}: {_explained(error, manager)}") from error
        raise AssertionError("the last try returns or raises")

    def _send_new(self, cluster: Cluster, target: Target, manifest: Manifest, manager: str, *, dry: bool) -> Manifest:
        if objects.is_patch(target.token) or self._configured.get("upsertExistingObjects"):
            return cluster.apply(manifest, manager or fields.CREATED_BY, force=dry or self._forces(manifest), dry=dry)
        return cluster.create(manifest, fields.CREATED_BY, dry=dry)

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Read | None:
        try:
            if target.token == objects.RELEASE:
                return self._releases().read(id, inputs, outputs)
            return self._read(target, id, inputs, outputs)
        except UnreachableError as error:
            if self._configured.get("deleteUnreachable"):
                return None
            if self._configured.get("skipUpdateUnreachable"):
                return Read(outputs, inputs)
            raise UnreachableError(f"{target.name} cannot be read: {error}. {_GONE}") from error

    def _read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Read | None:
        known = inputs or outputs
        place = objects.named_by(target, id)
        if known:
            place |= {name: value for name, value in objects.manifest(target, known).items() if name != "metadata"}
        cluster = self._reach()
        live = cluster.get(place)
        if live is None:
            return None
        told = objects.outputs(target, inputs, live, _manager(place, outputs))
        if not inputs:
            names = told if inputs_of.is_custom(target.token) else schema_of(target.token).inputs
            return Read(told, objects.imported(told, names))
        now = cast("Properties", objects.inputs_now(inputs, outputs, told))
        if missing := awaits.missing_now(cluster, objects.manifest(target, inputs), live):
            raise PartiallyCreated(id, told, f"{_named(live)} is not ready: {missing}", now)
        return Read(told, now)

    def update(
        self, target: Target, id: str, old: Properties, new: Properties, outputs: Properties, *, preview: bool
    ) -> Properties:
        if target.token == objects.RELEASE:
            echoed = super().update(target, id, old, new, outputs, preview=True)
            return echoed if preview else self._releases().change(new)
        manifest = objects.manifest(target, new)
        if preview and contains(new, Unknown):
            return super().update(target, id, old, new, outputs, preview=True)
        try:
            cluster = self._reach()
            if preview and not cluster.knows(manifest):
                return dict(new)
            return self._update(cluster, target, id, manifest, new, outputs, dry=preview)
        except UnreachableError:
            if not preview:
                raise
            return super().update(target, id, old, new, outputs, preview=True)

    def _update(
        self,
        cluster: Cluster,
        target: Target,
        id: str,
        manifest: Manifest,
        new: Properties,
        outputs: Properties,
        *,
        dry: bool,
    ) -> Properties:
        manager = _manager(manifest, outputs)
        live = cluster.get(manifest)
        if live is None:
            raise ProviderError(f"{_named(manifest)} is gone, so it cannot be changed: refresh first")
        try:
            changed = self._send_changed(cluster, target, manifest, live, manager, dry=dry)
        except ApiError as error:
            if dry and error.status == 403:
                return dict(new)
            message = f"{_named(manifest)}: {_explained(error, manager)}"
            if dry:
                raise ProviderError(message) from error
            # As the real provider does: it stands with the new inputs in the state, and is tried again.
            raise PartiallyCreated(id, objects.outputs(target, new, live, manager), message) from error
        if dry:
            return objects.outputs(target, new, changed, manager)
        live, missing = awaits.wait_ready(cluster, manifest, changed, target.timeout, self._cancelled, updating=True)
        told = objects.outputs(target, new, live, manager)
        if missing:
            raise PartiallyCreated(id, told, f"{_named(live)} was changed, but is not ready: {missing}")
        return told

    def _send_changed(
        self, cluster: Cluster, target: Target, manifest: Manifest, live: Manifest, manager: str, *, dry: bool
    ) -> Manifest:
        if manifest["kind"] == "CustomResourceDefinition" and not objects.is_patch(target.token):
            version = live["metadata"]["resourceVersion"]
            replaced = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}
            return cluster.replace(replaced, manager, dry=dry)
        taken = [] if objects.is_patch(target.token) else fields.taken_over(live, manager)
        if taken and not dry:
            live = cluster.patch(manifest, taken)
        force = self._forces(manifest) or fields.has_no_managers(live) or (dry and fields.was_created_here(live))
        return cluster.apply(manifest, manager, force=force, dry=dry)

    def delete(self, target: Target, id: str, outputs: Properties) -> None:
        try:
            if target.token == objects.RELEASE:
                self._releases().remove(outputs)
            else:
                self._delete(target, id, outputs)
        except UnreachableError as error:
            if self._configured.get("deleteUnreachable"):
                return
            raise UnreachableError(f"{target.name} cannot be deleted: {error}. {_GONE}") from error

    def _delete(self, target: Target, id: str, outputs: Properties) -> None:
        manifest = objects.manifest(target, {**outputs, "metadata": {}})
        metadata = cast("dict[str, Any]", outputs.get("metadata") or {})
        manifest["metadata"] = {**metadata, **objects.named_by(target, id)["metadata"]}
        try:
            cluster = self._reach()
            if objects.is_patch(target.token):
                _relinquish(cluster, manifest, _manager(manifest, outputs))
                return
            propagation = objects.annotation(manifest, "deletionPropagationPolicy").lower()
            before = cluster.get(manifest)
            if before is None:
                return
            cluster.delete(manifest, _PROPAGATION.get(propagation, "Foreground"))
            left = awaits.wait_gone(cluster, manifest, before["metadata"]["uid"], target.timeout, self._cancelled)
        except ApiError as error:
            raise ProviderError(f"{_named(manifest)} cannot be deleted: {error}") from error
        if left is not None:
            held = ", ".join(left["metadata"].get("finalizers") or []) or "none"
            raise ProviderError(f"{_named(manifest)} is being deleted, but is still there; its finalizers: {held}")

    def cancel(self) -> None:
        self._cancelled.set()
        with self._opening:
            helm = self._helm
        if helm is not None:
            helm.cancel()

    def _forces(self, manifest: Manifest) -> bool:
        return objects.annotation(manifest, "patchForce") == "true" or bool(self._configured.get("enablePatchForce"))

    def _reach(self) -> Cluster:
        with self._opening:
            return self._opened()

    def _opened(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster(self._kubeconfig(), configuration.context_name(self._configured), self._cancelled)
        return self._cluster

    def _kubeconfig(self) -> dict[str, Any]:
        parsed = configuration.kubeconfig(self._configured)
        if parsed is None:
            # The real provider would take ~/.kube/config: a sandbox has no business there.
            raise UnreachableError("the kubernetes provider has no kubeconfig")
        return parsed

    def _releases(self) -> releases.Releases:
        with self._opening:
            cluster = self._opened()
            if self._helm is None:
                found = find_tool("helm")
                if found is None:
                    raise ProviderError("charts are installed with Helm, which is not here: `make toolchain` gets it")
                self._helm = Helm(found.path, self._kubeconfig(), configuration.context_name(self._configured))
            return releases.Releases(
                self._helm,
                cluster,
                real_charts=self.surroundings.real_charts,
                definitions=self.surroundings.definitions,
            )


_GONE: Final = (
    "If the cluster is gone, PULUMI_K8S_DELETE_UNREACHABLE=true takes its objects out of the state without asking it"
)


def _manager(manifest: Manifest, outputs: Properties) -> str:
    """The field manager: each resource has its own, so that two that manage one object find out."""
    own = objects.annotation(manifest, "patchFieldManager") or outputs.get("__fieldManager")
    return str(own or f"{fields.CREATED_BY}-{secrets.token_hex(4)}")


def _relinquish(cluster: Cluster, manifest: Manifest, manager: str) -> None:
    """Own no field any more; the object stays."""
    metadata = manifest["metadata"]
    place = {name: metadata[name] for name in ("name", "namespace") if metadata.get(name)}
    if cluster.get(manifest) is not None:
        bare = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": place}
        cluster.apply(bare, manager, force=False, dry=False)


def _explained(error: ApiError, manager: str) -> str:
    if error.reason == "AlreadyExists":
        return (
            f"{error}. Import it, manage some of its fields with a Patch resource, or set upsertExistingObjects on the "
            "provider"
        )
    if error.reason == "Conflict":
        return f"{manager} and another field manager want the same field to differ: {error}"
    return troubles.of_webhook(str(error)) or str(error)


def _place_of(manifest: Manifest) -> tuple[Any, Any]:
    metadata = manifest.get("metadata")
    known = cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}
    return known.get("name"), known.get("namespace") or "default"


def _was_invented(target: Target, inputs: Properties) -> bool:
    name = _place_of(cast("Manifest", inputs))[0]
    return name is not None and autoname(target, name) == name


def _named(manifest: Manifest) -> str:
    return f"{manifest['kind']} {objects.object_id(manifest)}"


PACKAGE = Kubernetes
