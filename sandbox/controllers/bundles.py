"""A stand-in for trust-manager: Bundles become ConfigMaps in the namespaces that they are for."""

from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import ClassVar, Final

from ..machines.watching import CONFIG_MAP, NAMESPACE, SECRET, Key, Kind, Object, Watching, each_of, key_of, part_of
from .stand_in import MADE_BY, StandIn, condition, owner

BUNDLE: Final = Kind("trust.cert-manager.io/v1alpha1", "bundles", namespaced=False, defined=True)

_SOURCES: Final = "cert-manager"
"""Where Secrets and ConfigMaps of sources are: the chart's ``app.trust.namespace``."""
_DEFAULT_CAS: Final = "# The public CAs that the real one's package brings are left out here.\n"


class SourceError(Exception):
    """A source of a Bundle is not there."""


class Bundles(StandIn):
    """Keeps the ConfigMaps of all Bundles."""

    name: ClassVar = "trust-manager"

    def __init__(self, watching: Watching, say: Callable[[str], None]) -> None:
        super().__init__(watching, say)
        self._bundles = self.responsible_for(BUNDLE)
        self._namespaces = self.depends_on(NAMESPACE, lambda _: self._all())
        self._secrets = self.depends_on(SECRET, self._of_source)
        self._config_maps = self.depends_on(CONFIG_MAP, self._of_source)

    def _all(self) -> Iterator[tuple[Kind, Key]]:
        return ((BUNDLE, key_of(bundle)) for bundle in self._bundles)

    def _of_source(self, source: Object) -> Iterator[tuple[Kind, Key]]:
        """What is in the sources' namespace concerns all; elsewhere, what bears a Bundle's name may be its target."""
        namespace, name = key_of(source)
        if namespace == _SOURCES:
            return self._all()
        return iter([(BUNDLE, ("", name))] if self._bundles.get("", name) else [])

    async def look(self, kind: Kind, object: Object) -> None:
        """Write its ConfigMaps, take away those that are too many, and say so."""
        try:
            text = "\n".join(self._source(source).strip() for source in each_of(object["spec"], "sources")) + "\n"
        except SourceError as error:
            conditions = condition(object, "Synced", holds=False, reason="SourceNotFound", message=str(error))
            await self.report(kind, object, {"conditions": conditions})
            return
        target = part_of(object["spec"], "target")
        key, name = part_of(target, "configMap").get("key"), object["metadata"]["name"]
        wanted = part_of(part_of(target, "namespaceSelector"), "matchLabels")
        for namespace in self._namespaces:
            if namespace["metadata"].get("deletionTimestamp"):
                continue
            place = namespace["metadata"]["name"]
            old = self._config_maps.get(place, name)
            if key and wanted.items() <= part_of(namespace["metadata"], "labels").items():
                if old is None or part_of(old, "data").get(key) != text:
                    await self.apply(CONFIG_MAP, _config_map(object, place, {key: text}))
            elif old is not None and part_of(old["metadata"], "labels").get(MADE_BY) == self.name:
                await self.cluster.ask("DELETE", CONFIG_MAP.path(place, name))
        said = "Successfully synced Bundle to all namespaces"
        conditions = condition(object, "Synced", holds=True, reason="Synced", message=said)
        await self.report(kind, object, {"conditions": conditions})

    def _source(self, source: Object) -> str:
        if "inLine" in source:
            return source["inLine"]
        if source.get("useDefaultCAs"):
            return _DEFAULT_CAS
        for word, mirror in (("secret", self._secrets), ("configMap", self._config_maps)):
            if word in source:
                name, key = source[word].get("name", ""), source[word].get("key", "")
                found = mirror.get(_SOURCES, name)
                text = part_of(found, "data").get(key) if found else None
                if text is None:
                    raise SourceError(f"failed to retrieve bundle from source: {word} {_SOURCES}/{name} has no {key!r}")
                return b64decode(text).decode() if word == "secret" else text
        return ""


def _config_map(bundle: Object, namespace: str, data: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": bundle["metadata"]["name"],
            "namespace": namespace,
            "labels": {"trust.cert-manager.io/bundle": bundle["metadata"]["name"], MADE_BY: Bundles.name},
            "ownerReferences": [owner(BUNDLE.version, "Bundle", bundle)],
        },
        "data": data,
    }
