"""Objects as a program gives them, as a cluster tells them, and what a change of one means."""

import base64
from collections.abc import Mapping
from typing import Any, Final, cast

from ...package import Target
from ...values import Properties, Value

Manifest = dict[str, Any]

RELEASE: Final = "kubernetes:helm.sh/v3:Release"

_READ_ONLY: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

_WORKLOAD: Final = ("spec.selector",)
_POD: Final = (
    "affinity automountServiceAccountToken containers dnsConfig dnsPolicy enableServiceLinks hostAliases hostIPC hostNetwork "
    "hostPID hostname imagePullSecrets initContainers nodeName nodeSelector overhead preemptionPolicy priority "
    "priorityClassName readinessGates restartPolicy runtimeClassName schedulerName securityContext serviceAccount "
    "serviceAccountName shareProcessNamespace subdomain terminationGracePeriodSeconds volumes"
)
_VOLUME: Final = (
    "awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker gcePersistentDisk glusterfs hostPath "
    "iscsi local nfs photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume"
)

_REPLACED_ON: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("apps/v1", "DaemonSet"): _WORKLOAD,
    ("apps/v1", "Deployment"): _WORKLOAD,
    ("apps/v1", "StatefulSet"): (
        *_WORKLOAD,
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    ("batch/v1", "Job"): (*_WORKLOAD, "spec.completions", "spec.parallelism", "spec.template"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io/v1", "StorageClass"): ("parameters", "provisioner"),
    ("v1", "PersistentVolume"): tuple(f"spec.{name}" for name in _VOLUME.split()),
    ("v1", "PersistentVolumeClaim"): (*_WORKLOAD, "spec.accessModes", "spec.storageClassName", "spec.volumeName"),
    ("v1", "Pod"): tuple(f"spec.{name}" for name in _POD.split()),
    ("v1", "ResourceQuota"): ("spec.scopes",),
    ("v1", "Secret"): ("type",),
    ("v1", "Service"): ("spec.clusterIP",),
}
"""The real provider's table (provider/diff.go), for the versions that clusters of today serve."""

_DATA: Final = {
    ("v1", "ConfigMap"): ("enableConfigMapMutable", ("binaryData", "data")),
    ("v1", "Secret"): ("enableSecretMutable", ("data", "stringData")),
}
"""Replaced when their data changes, unless the provider's configuration lets it change them."""


def manifest(target: Target, properties: Mapping[str, Any]) -> Manifest:
    """What is sent to the cluster: without what the engine, the provider and the cluster add."""
    made = {
        name: _dashed(value) for name, value in properties.items() if not name.startswith("__") and name != "status"
    }
    _, version, kind = target.token.split(":")
    made["apiVersion"] = str(properties.get("apiVersion") or version.removeprefix("core/"))
    made["kind"] = str(properties.get("kind") or (kind.removesuffix("Patch") if is_patch(target.token) else kind))
    metadata = made.get("metadata")
    if isinstance(metadata, dict):
        metadata = cast("dict[str, Any]", metadata)
        made["metadata"] = {name: value for name, value in metadata.items() if name not in _READ_ONLY}
    return made


def is_patch(token: str) -> bool:
    """Whether it is one of the resources that own fields of an object, and not the object, such as ``NodePatch``."""
    return token.endswith("Patch")


def outputs(target: Target, inputs: Properties, live: Manifest, manager: str) -> Properties:
    """The object as the cluster tells it; texts that were given in clear are told in clear again."""
    told: Properties = {name: _underscored(value) for name, value in live.items()}
    texts = inputs.get("stringData")
    if isinstance(texts, dict):
        data = cast("dict[str, str]", live.get("data") or {})
        told["stringData"] = {
            name: base64.b64decode(data[name]).decode(errors="replace") for name in texts if name in data
        }
    metadata = cast("dict[str, Any]", live.get("metadata") or {})
    told["metadata"] = {name: value for name, value in metadata.items() if name != "managedFields"}
    told["__fieldManager"] = manager
    told["__initialApiVersion"] = manifest(target, inputs)["apiVersion"]
    return told


def object_id(live: Mapping[str, Any]) -> str:
    """``<namespace>/<name>``, or the name of what has no namespace."""
    metadata = live["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def named_by(target: Target, id: str) -> Manifest:
    """The place of the object with this id."""
    namespace, _, name = id.rpartition("/")
    return manifest(target, {"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}})


def annotation(manifest: Mapping[str, Any], name: str) -> str:
    """The value of an annotation ``pulumi.com/<name>``; empty when there is none."""
    metadata: Any = manifest.get("metadata")
    annotations: Any = cast("dict[str, Any]", metadata).get("annotations") if isinstance(metadata, dict) else None
    return (
        str(cast("dict[str, Any]", annotations).get(f"pulumi.com/{name}") or "")
        if isinstance(annotations, dict)
        else ""
    )


def inputs_now(given: Value, last: Value, found: Value) -> Value:
    """The inputs that would make the object so as it is found.

    Only what was given counts. What is found as it was last seen is told as it was given: the cluster writes some
    values otherwise than programs do, such as quantities.
    """
    if last == found:
        return given
    if isinstance(given, dict) and isinstance(found, dict):
        before = last if isinstance(last, dict) else {}
        return {
            name: inputs_now(value, before.get(name), found[name]) for name, value in given.items() if name in found
        }
    if isinstance(given, list) and isinstance(found, list):
        before = last if isinstance(last, list) and len(last) == len(found) else [None] * len(found)
        return [inputs_now(*each) for each in zip(given, before, found, strict=False)]
    return found


def imported(live: Properties, names: Mapping[str, Any]) -> Properties:
    """Inputs for an object that no program has given yet: all that a program could give, without the cluster's own."""
    made = {name: value for name, value in live.items() if name in names and name != "status"}
    metadata = cast("dict[str, Any]", live["metadata"])
    told = cast("dict[str, Any]", metadata.get("annotations") or {})
    annotations = {name: value for name, value in told.items() if name != _LAST_APPLIED}
    kept = {name: value for name, value in metadata.items() if name not in (*_READ_ONLY, "annotations")}
    made["metadata"] = {**kept, **({"annotations": annotations} if annotations else {})}
    return made


def replaced_on(old: Manifest, new: Manifest, configured: Properties) -> list[str]:
    """The properties whose change makes another object."""
    place = (new["apiVersion"], new["kind"])
    paths = ["metadata.name", "metadata.namespace", *_REPLACED_ON.get(place, ())]
    option, data = _DATA.get(place, ("", ()))
    if not configured.get(option) or new.get("immutable") is True:
        paths += data
    found = [path.partition(".")[0] for path in paths if _at(old, path) != _at(new, path)]
    return list(dict.fromkeys(found))


def _at(manifest: Manifest, path: str) -> Any:
    value: Any = manifest
    for name in path.split("."):
        value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else value
    return (value or "default") if path == "metadata.namespace" else value


def _dashed(value: Any) -> Any:
    """``x_kubernetes_…``, as the SDK calls them, are ``x-kubernetes-…`` for the cluster."""
    return _renamed(value, "x_kubernetes_", "_", "-")


def _underscored(value: Any) -> Any:
    return _renamed(value, "x-kubernetes-", "-", "_")


def _renamed(value: Any, prefix: str, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {
            (name.replace(old, new) if name.startswith(prefix) else name): _renamed(each, prefix, old, new)
            for name, each in cast("dict[str, Any]", value).items()
        }
    if isinstance(value, list):
        return [_renamed(each, prefix, old, new) for each in cast("list[Any]", value)]
    return value
