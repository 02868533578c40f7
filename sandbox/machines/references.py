"""What a pod refers to, and what of it is not there: a kubelet starts no container before."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from .watching import Object, each_of, part_of

_UNSTARTED: Final = "ContainerCreating"
_UNCONFIGURED: Final = "CreateContainerConfigError"

Referred = Literal["Secret", "ConfigMap", "ServiceAccount", "PersistentVolumeClaim"]


Lookup = Callable[[Referred, str], Object | None]
"""Finds an object by kind and name, in the pod's namespace."""


@dataclass(frozen=True)
class Missing:
    """Why containers do not start.

    Args:
        reason: As the kubelet gives it to containers.
        message: What is missing.
        container: The container that waits; all do when empty.
    """

    reason: str
    message: str
    container: str = ""


def missing(pod: Object, lookup: Lookup) -> list[Missing]:
    """What keeps a pod's containers from starting; volumes first, for no container starts without any of them."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    volumes = [text for volume in each_of(spec, "volumes") for text in _volume(volume, spec, namespace, lookup)]
    if volumes:
        return [Missing(_UNSTARTED, text) for text in volumes]
    containers = [*(each_of(spec, "initContainers")), *spec["containers"]]
    return [
        Missing(_UNCONFIGURED, text, container["name"])
        for container in containers
        for text in _environment(container, namespace, lookup)
    ]


def claims(pod: Object) -> list[str]:
    """Names of the claims that the pod's volumes are, those of generic ephemeral volumes among them."""
    found: list[str] = []
    for volume in each_of(pod["spec"], "volumes"):
        if "persistentVolumeClaim" in volume:
            found.append(volume["persistentVolumeClaim"]["claimName"])
        elif "ephemeral" in volume:
            found.append(f"{pod['metadata']['name']}-{volume['name']}")
    return found


def _volume(volume: Object, spec: Object, namespace: str, lookup: Lookup) -> Iterator[str]:
    if secret := volume.get("secret"):
        yield from _file("Secret", secret.get("secretName", ""), secret, namespace, lookup)
    elif config_map := volume.get("configMap"):
        yield from _file("ConfigMap", config_map.get("name", ""), config_map, namespace, lookup)
    for source in each_of(part_of(volume, "projected"), "sources"):
        if secret := source.get("secret"):
            yield from _file("Secret", secret.get("name", ""), secret, namespace, lookup)
        elif config_map := source.get("configMap"):
            yield from _file("ConfigMap", config_map.get("name", ""), config_map, namespace, lookup)
        elif "serviceAccountToken" in source:
            account = spec.get("serviceAccountName") or "default"
            if lookup("ServiceAccount", account) is None:
                yield f'serviceaccounts "{account}" not found'


def _file(
    kind: Literal["Secret", "ConfigMap"], name: str, source: Mapping[str, Any], namespace: str, lookup: Lookup
) -> Iterator[str]:
    if source.get("optional"):
        return
    found = lookup(kind, name)
    if found is None:
        yield f'{kind.lower()} "{name}" not found'
        return
    for item in each_of(source, "items"):
        if item["key"] not in _keys(found):
            yield f"{kind.lower()} {namespace}/{name}: references non-existent key: {item['key']}"


def _environment(container: Object, namespace: str, lookup: Lookup) -> Iterator[str]:
    kinds: Iterable[tuple[Literal["Secret", "ConfigMap"], str]] = (("Secret", "secret"), ("ConfigMap", "configMap"))
    for kind, word in kinds:
        for source in each_of(container, "envFrom"):
            reference = source.get(f"{word}Ref")
            if reference and not reference.get("optional") and lookup(kind, reference["name"]) is None:
                yield f'{kind.lower()} "{reference["name"]}" not found'
        for variable in each_of(container, "env"):
            reference = part_of(variable, "valueFrom").get(f"{word}KeyRef")
            if not reference or reference.get("optional"):
                continue
            found = lookup(kind, reference["name"])
            if found is None:
                yield f'{kind.lower()} "{reference["name"]}" not found'
            elif reference["key"] not in _keys(found):
                yield f"couldn't find key {reference['key']} in {kind} {namespace}/{reference['name']}"


def _keys(object: Object) -> set[str]:
    return {*part_of(object, "data"), *part_of(object, "binaryData")}
