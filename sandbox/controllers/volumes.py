"""Stand-ins for two CSI drivers: claims on Hetzner's get volumes in the emulated cloud, claims on Longhorn's in name only."""

import gzip
import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

from ..machines.api import MERGE
from ..machines.pod_status import now
from ..machines.sizes import gibibytes
from ..machines.watching import (
    ATTACHMENT,
    CLAIM,
    NODE,
    SECRET,
    STORAGE_CLASS,
    VOLUME,
    Key,
    Kind,
    Object,
    Watching,
    key_of,
    part_of,
)
from .cloud_volumes import CloudVolumes, VolumeError
from .stand_in import StandIn

HETZNER: Final = "csi.hetzner.cloud"
LONGHORN: Final = "driver.longhorn.io"

_DRIVERS: Final = (HETZNER, LONGHORN)
_PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
_SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
_PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
_LOCATION: Final = "topology.kubernetes.io/region"
_PROVIDED_BY: Final = "instance.hetzner.cloud/provided-by"
_RELEASE: Final = "hcloud-csi"
_SYSTEM: Final = "kube-system"
_TOKEN: Final = "hcloud"  # noqa: S105  the Secret's name
"""Secret with the token: the chart's default ``controller.hcloudToken.existingSecret``."""


class Volumes(StandIn):
    """Provisions, attaches and deletes.

    Args:
        watching: The cluster, watched.
        say: Where troubles are told.
        endpoint: Of the cloud's API; asked when it is needed.
    """

    name: ClassVar = "csi"

    def __init__(self, watching: Watching, say: Callable[[str], None], endpoint: Callable[[], str]) -> None:
        super().__init__(watching, say)
        self._endpoint = endpoint
        self._told: set[tuple[str, str]] = set()
        self._nodes = watching.follow(NODE)
        self._claims = self.responsible_for(CLAIM)
        self._volumes = self.responsible_for(VOLUME)
        self.responsible_for(ATTACHMENT)
        self._classes = self.depends_on(STORAGE_CLASS, self._of_class)
        self._secrets = self.depends_on(SECRET, self._of_token)

    def _of_class(self, storage_class: Object) -> Iterator[tuple[Kind, Key]]:
        for claim in self._claims:
            if claim["spec"].get("storageClassName") == storage_class["metadata"]["name"]:
                yield CLAIM, key_of(claim)

    def _of_token(self, secret: Object) -> Iterator[tuple[Kind, Key]]:
        if key_of(secret) == (_SYSTEM, _TOKEN):
            for claim in self._claims:
                yield CLAIM, key_of(claim)

    async def look(self, kind: Kind, object: Object) -> None:
        """Provision for a claim, attach for an attachment, delete a volume that nobody claims any more."""
        if kind is CLAIM:
            await self._provision(object)
        elif kind is ATTACHMENT:
            await self._attach(object)
        elif part_of(object, "status").get("phase") == "Released":
            await self._delete(object)

    async def release(self, kind: Kind, object: Object) -> None:
        """Detach what is no more to be attached."""
        if kind is ATTACHMENT and object["spec"]["attacher"] in _DRIVERS:
            volume, server = self._attached(object)
            if volume is not None and server is not None:
                await self._cloud().detach(volume, server)
            await self.cluster.ask("PATCH", ATTACHMENT.path(*key_of(object)), {"metadata": {"finalizers": None}}, MERGE)

    # -- provisioning

    async def _provision(self, claim: Object) -> None:
        annotations = part_of(claim["metadata"], "annotations")
        driver = annotations.get(_PROVISIONER)
        storage_class = self._classes.get("", claim["spec"].get("storageClassName") or "")
        if driver not in _DRIVERS or storage_class is None or claim["spec"].get("volumeName"):
            return
        selected = annotations.get(_SELECTED_NODE, "")
        if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer" and not selected:
            return
        name = f"pvc-{claim['metadata']['uid']}"
        size = gibibytes(claim["spec"]["resources"]["requests"]["storage"])
        try:
            if driver == HETZNER:
                location = self._location(selected)
                labels = {
                    "managed-by": "csi-driver",
                    **await self._extra_labels(),
                    "pvc-name": claim["metadata"]["name"],
                    "pvc-namespace": claim["metadata"]["namespace"],
                    "pv-name": name,
                }
                handle = str(await self._cloud().create(name, size, location, labels))
                size = max(size, 10)
                reach = [(_LOCATION, location), (_PROVIDED_BY, "cloud")]
            else:
                handle, reach = name, []
        except VolumeError as error:
            await self._write_event(claim, "ProvisioningFailed", str(error))
            raise
        await self.apply(VOLUME, _volume(claim, storage_class, name, f"{size}Gi", handle, reach))

    def _location(self, selected: str) -> str:
        """Of the machine that the scheduler has chosen, or of any, where it may be anywhere."""
        nodes = [self._nodes.get("", selected)] if selected else list(self._nodes)
        for node in nodes:
            labels = part_of(node["metadata"], "labels") if node else {}
            if labels.get(_PROVIDED_BY) == "cloud" and labels.get(_LOCATION):
                return labels[_LOCATION]
        raise VolumeError(f"node {selected!r} is no machine of the cloud: no volume can be attached to it")

    def _cloud(self) -> CloudVolumes:
        """The cloud, with the token that the cluster holds.

        Raises:
            VolumeError: it holds none.
        """
        secret = self._secrets.get(_SYSTEM, _TOKEN)
        token = part_of(secret, "data").get("token") if secret else None
        if not token:
            raise VolumeError(f"secret {_SYSTEM}/{_TOKEN} has no token")
        return CloudVolumes(b64decode(token).decode(), self._endpoint())

    async def _extra_labels(self) -> Mapping[str, str]:
        """What the driver's release says in ``controller.volumeExtraLabels``: Helm keeps its values with the release."""
        query = f"?labelSelector=owner%3Dhelm,name%3D{_RELEASE},status%3Ddeployed"
        found = (await self.cluster.ask("GET", SECRET.path(_SYSTEM) + query))["items"]
        if not found:
            return {}
        release = json.loads(gzip.decompress(b64decode(b64decode(found[-1]["data"]["release"]))))
        values: Mapping[str, Any] = release.get("config") or {}
        return part_of(part_of(values, "controller"), "volumeExtraLabels")

    async def _write_event(self, claim: Object, reason: str, message: str) -> None:
        namespace, name = key_of(claim)
        uid = claim["metadata"]["uid"]
        if (uid, message) in self._told:
            return
        self._told.add((uid, message))
        involved = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": namespace,
            "name": name,
            "uid": uid,
        }
        event = {
            "metadata": {"generateName": f"{name}.", "namespace": namespace},
            "involvedObject": involved,
            "type": "Warning",
            "reason": reason,
            "message": message[:1000],
            "source": {"component": part_of(claim["metadata"], "annotations")[_PROVISIONER]},
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        await self.cluster.ask("POST", f"/api/v1/namespaces/{namespace}/events", event)

    async def _delete(self, volume: Object) -> None:
        """A volume that nobody claims any more goes, unless it is to be kept."""
        driver = part_of(volume["metadata"], "annotations").get(_PROVISIONED_BY)
        if driver in _DRIVERS and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            if driver == HETZNER:
                await self._cloud().delete(int(volume["spec"]["csi"]["volumeHandle"]))
            await self.cluster.ask("DELETE", VOLUME.path(*key_of(volume)))

    # -- attaching

    async def _attach(self, attachment: Object) -> None:
        driver = attachment["spec"]["attacher"]
        if driver not in _DRIVERS or part_of(attachment, "status").get("attached"):
            return
        volume, server = self._attached(attachment)
        if driver == HETZNER:
            if volume is None or server is None:
                raise VolumeError(f"{attachment['spec']['nodeName']} is no machine of the cloud, or the volume is gone")
            await self._cloud().attach(volume, server)
        path = ATTACHMENT.path(*key_of(attachment))
        finalizer = f"external-attacher/{driver.replace('.', '-')}"
        await self.cluster.ask("PATCH", path, {"metadata": {"finalizers": [finalizer]}}, MERGE)
        await self.cluster.ask("PATCH", f"{path}/status", {"status": {"attached": True}}, MERGE)

    def _attached(self, attachment: Object) -> tuple[int | None, int | None]:
        """Numbers of the cloud's volume and server; None for what is not in the cloud."""
        spec = attachment["spec"]
        volume = self._volumes.get("", spec["source"].get("persistentVolumeName") or "")
        node = self._nodes.get("", spec["nodeName"])
        handle = volume["spec"].get("csi", {}).get("volumeHandle", "") if volume else ""
        kind, _, server = (node["spec"].get("providerID", "") if node else "").partition("://")
        return (
            int(handle) if spec["attacher"] == HETZNER and handle.isdigit() else None,
            int(server) if kind == "hcloud" and server.isdigit() else None,
        )


def _volume(
    claim: Object, storage_class: Object, name: str, size: str, handle: str, reach: list[tuple[str, str]]
) -> Object:
    """The volume for a claim, bound to it.

    Args:
        reach: Labels of the machines that it can be attached to; all when empty.
    """
    driver = storage_class["provisioner"]
    spec: Object = {
        "capacity": {"storage": size},
        "accessModes": claim["spec"]["accessModes"],
        "volumeMode": claim["spec"].get("volumeMode") or "Filesystem",
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
        "storageClassName": storage_class["metadata"]["name"],
        "mountOptions": storage_class.get("mountOptions") or [],
        "csi": {"driver": driver, "volumeHandle": handle, "fsType": "ext4"},
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            **{key: claim["metadata"][key] for key in ("namespace", "name", "uid", "resourceVersion")},
        },
    }
    if reach:
        terms = [{"key": key, "operator": "In", "values": [value]} for key, value in reach]
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": terms}]}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_BY: driver}},
        "spec": spec,
    }
