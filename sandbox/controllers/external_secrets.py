"""A stand-in for the External Secrets Operator: stores are ready when what they name is there; Secrets hold placeholders."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final, cast

from ..machines.pod_status import now
from ..machines.watching import (
    CONFIG_MAP,
    SECRET,
    SERVICE_ACCOUNT,
    Key,
    Kind,
    Object,
    Watching,
    each_of,
    key_of,
    part_of,
)
from .stand_in import MADE_BY, StandIn, condition, digest, holds, owner

_VERSION: Final = "external-secrets.io/v1"
STORE: Final = Kind(_VERSION, "secretstores", defined=True)
CLUSTER_STORE: Final = Kind(_VERSION, "clustersecretstores", namespaced=False, defined=True)
EXTERNAL_SECRET: Final = Kind(_VERSION, "externalsecrets", defined=True)

_SPEC: Final = "sandbox/spec"
_PLACEHOLDER: Final = "placeholder-of-the-sandbox"


class ExternalSecrets(StandIn):
    """Stores and what is fetched from them."""

    name: ClassVar = "external-secrets"

    def __init__(self, watching: Watching, say: Callable[[str], None]) -> None:
        super().__init__(watching, say)
        self._stores = {kind: self.responsible_for(kind) for kind in (STORE, CLUSTER_STORE)}
        self._external = self.responsible_for(EXTERNAL_SECRET)
        kinds = {"Secret": SECRET, "ConfigMap": CONFIG_MAP, "ServiceAccount": SERVICE_ACCOUNT}
        self._named = {name: self.depends_on(kind, self._of_named) for name, kind in kinds.items()}
        for kind in self._stores:
            self.depends_on(kind, lambda store, kind=kind: self._of_store(kind, store))

    async def look(self, kind: Kind, object: Object) -> None:
        """Judge a store, or make a Secret."""
        if kind is EXTERNAL_SECRET:
            await self._fetch(object)
            return
        problem = self._problem(kind, object)
        reason = "InvalidProviderConfig" if problem else "Valid"
        conditions = condition(object, "Ready", holds=not problem, reason=reason, message=problem or "store validated")
        await self.report(kind, object, {"conditions": conditions})

    # -- whom a change concerns

    def _of_named(self, named: Object) -> Iterator[tuple[Kind, Key]]:
        """Stores name what is in their namespace; a cluster's store may name anything. A Secret may be a target."""
        namespace, name = key_of(named)
        for kind, stores in self._stores.items():
            for store in stores:
                if any(each[2] == name for each in references(store, key_of(store)[0] or namespace)):
                    yield kind, key_of(store)
        for external in self._external:
            if (namespace, name) == (key_of(external)[0], _target(external)):
                yield EXTERNAL_SECRET, key_of(external)

    def _of_store(self, kind: Kind, store: Object) -> Iterator[tuple[Kind, Key]]:
        for external in self._external:
            if _store(external) == (kind, key_of(store)):
                yield EXTERNAL_SECRET, key_of(external)

    # -- stores

    def _problem(self, kind: Kind, store: Object) -> str:
        """Why a store is not ready; empty when it is."""
        providers = part_of(store["spec"], "provider")
        if len(providers) != 1:
            return f"exactly one provider must be configured, found: {', '.join(sorted(providers)) or 'none'}"
        for word, namespace, name, key in references(store, key_of(store)[0]):
            if not namespace:
                return f"{word} {name!r}: a {kind.plural[:-1]} must say its namespace"
            found = self._named[word].get(namespace, name)
            if found is None:
                return f"{word} {namespace}/{name} not found"
            if key and key not in part_of(found, "data"):
                return f"{word} {namespace}/{name} has no key {key!r}"
        return ""

    # -- what is fetched

    async def _fetch(self, external: Object) -> None:
        kind, key = _store(external)
        store = self._stores[kind].get(*key)
        if store is None or not holds(store):
            said = f"could not get {'SecretStore' if kind is STORE else 'ClusterSecretStore'} {key[1]!r}"
            said += ": it is not ready" if store else ": not found"
            conditions = condition(external, "Ready", holds=False, reason="SecretSyncedError", message=said)
            await self.report(EXTERNAL_SECRET, external, {"conditions": conditions})
            return
        wanted = _secret(external)
        found = self._named["Secret"].get(*key_of(wanted))
        mark = {_SPEC: digest(external["spec"])}
        current = found is not None and mark.items() <= part_of(found["metadata"], "annotations").items()
        if not current:
            wanted["metadata"]["annotations"] = mark
            await self.apply(SECRET, wanted)
        conditions = condition(external, "Ready", holds=True, reason="SecretSynced", message="secret synced")
        refreshed = part_of(external, "status").get("refreshTime") if current else None
        await self.report(EXTERNAL_SECRET, external, {"conditions": conditions, "refreshTime": refreshed or now()})


def references(store: Object, namespace: str) -> Iterator[tuple[str, str, str, str]]:
    """What a store's provider names: kind, namespace, name and, of a key in it, the key."""
    yield from _walk(part_of(store["spec"], "provider"), namespace)


def _walk(part: Any, namespace: str) -> Iterator[tuple[str, str, str, str]]:
    if isinstance(part, list):
        for each in cast("list[Any]", part):
            yield from _walk(each, namespace)
    if not isinstance(part, dict):
        return
    for field, value in cast("dict[str, Any]", part).items():
        if not isinstance(value, dict) or "name" not in value:
            yield from _walk(value, namespace)
            continue
        named = cast("dict[str, Any]", value)
        place, name, key = named.get("namespace") or namespace, str(named["name"]), str(named.get("key") or "")
        if field == "serviceAccountRef":
            yield "ServiceAccount", place, name, ""
        elif field == "caProvider":
            yield str(named.get("type") or "ConfigMap"), place, name, key
        elif field.lower().endswith("secretref"):
            yield "Secret", place, name, key


def _store(external: Object) -> tuple[Kind, Key]:
    reference = part_of(external["spec"], "secretStoreRef")
    name = reference.get("name", "")
    if reference.get("kind") == "ClusterSecretStore":
        return CLUSTER_STORE, ("", name)
    return STORE, (key_of(external)[0], name)


def _target(external: Object) -> str:
    return part_of(external["spec"], "target").get("name") or external["metadata"]["name"]


def _secret(external: Object) -> Object:
    spec = external["spec"]
    template = part_of(part_of(spec, "target"), "template")
    keys = [each["secretKey"] for each in each_of(spec, "data")]
    if templated := part_of(template, "data"):
        keys = list(templated)
    if each_of(spec, "dataFrom"):
        keys.append("placeholder")
    metadata = part_of(template, "metadata")
    labels: Mapping[str, str] = {
        **part_of(metadata, "labels"),
        "reconcile.external-secrets.io/managed": "true",
        MADE_BY: ExternalSecrets.name,
    }
    made: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": template.get("type") or "Opaque",
        "metadata": {"name": _target(external), "namespace": key_of(external)[0], "labels": dict(labels)},
        "data": {key: b64encode(_PLACEHOLDER.encode()).decode() for key in keys},
    }
    if (part_of(spec, "target").get("creationPolicy") or "Owner") == "Owner":
        made["metadata"]["ownerReferences"] = [owner(_VERSION, "ExternalSecret", external)]
    return made
