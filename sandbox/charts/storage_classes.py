"""StorageClasses of the storage charts: claims are bound by them, so the stand-ins have them too."""

from collections.abc import Mapping
from typing import Any, Final, cast

from .definitions import at

_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"


def storage_classes(chart: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The StorageClasses that there are after a release with these values; for most charts none."""
    match chart:
        case "hcloud-csi":
            listed = cast("list[Mapping[str, Any]]", values.get("storageClasses") or [])
            return [_of_the_cloud(each) for each in listed]
        case "longhorn":
            return [_longhorn(values)] if at(values, "persistence.createStorageClass") is not False else []
        case _:
            return []


def _of_the_cloud(given: Mapping[str, Any]) -> dict[str, Any]:
    return _class(
        given["name"],
        "csi.hetzner.cloud",
        default=bool(given.get("defaultStorageClass")),
        reclaim=given.get("reclaimPolicy", "Delete"),
        binding="WaitForFirstConsumer",
        parameters=cast("Mapping[str, Any]", given.get("extraParameters") or {}),
    )


def _longhorn(values: Mapping[str, Any]) -> dict[str, Any]:
    """Longhorn's manager makes it, from what its chart tells it."""
    given = cast("Mapping[str, Any]", values.get("persistence") or {})
    jobs = cast("Mapping[str, Any]", given.get("recurringJobSelector") or {})
    return _class(
        "longhorn",
        "driver.longhorn.io",
        default=bool(given.get("defaultClass", True)),
        reclaim=given.get("reclaimPolicy", "Delete"),
        binding=given.get("volumeBindingMode", "Immediate"),
        parameters={
            "numberOfReplicas": given.get("defaultClassReplicaCount", 3),
            "dataLocality": given.get("defaultDataLocality", "disabled"),
            **({"recurringJobSelector": jobs.get("jobList", "[]")} if jobs.get("enable") else {}),
        },
    )


def _class(
    name: str, provisioner: str, *, default: bool, reclaim: str, binding: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": {_DEFAULT: str(default).lower()}},
        "provisioner": provisioner,
        "reclaimPolicy": reclaim,
        "volumeBindingMode": binding,
        "allowVolumeExpansion": True,
        "parameters": {key: str(value) for key, value in parameters.items()},
    }
