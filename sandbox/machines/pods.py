"""The part of the kubelets that runs pods, in name only: they get an address and are told to be ready, no container is made."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any, Final

from . import pod_status
from .api import STRATEGIC
from .references import Missing, Referred, claims, missing
from .watching import (
    ATTACHMENT,
    CLAIM,
    CONFIG_MAP,
    NODE,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    VOLUME,
    Key,
    Kind,
    Object,
    Watching,
    each_of,
    key_of,
    part_of,
)
from .work_queue import WorkQueue

GPU: Final = "nvidia.com/gpu"
DEVICE_PLUGIN: Final = ("app.kubernetes.io/name", "nvidia-device-plugin")
"""Label of the pods that tell a kubelet of its machine's GPU."""

_WORKERS: Final = 4


class Pods:
    """Runs the pods of all Nodes of a cluster whose machines run.

    Args:
        watching: The cluster, watched.
        say: Where troubles are told.
    """

    def __init__(self, watching: Watching, say: Callable[[str], None]) -> None:
        self._cluster = watching.cluster
        self._queue = WorkQueue[Key](self._look, lambda text: say(f"pods: {text}"))
        self._addresses: dict[str, str] = {}
        """By uid, of the pods that have one."""
        self._unready: set[Key] = set()
        """Pods that are bound and wait for something."""
        self._told: set[tuple[str, str]] = set()
        """Uid and message of the events that were written."""
        self._nodes = watching.follow(NODE, self._heard_node)
        kinds: dict[Referred, Kind] = {
            "Secret": SECRET,
            "ConfigMap": CONFIG_MAP,
            "ServiceAccount": SERVICE_ACCOUNT,
            "PersistentVolumeClaim": CLAIM,
        }
        self._sources = {name: watching.follow(kind, self._heard_source) for name, kind in kinds.items()}
        self._volumes = watching.follow(VOLUME, self._heard_source)
        self._attachments = watching.follow(ATTACHMENT, self._heard_source)
        self._pods = watching.follow(POD, self._heard)

    async def work(self) -> None:
        """For ever."""
        await self._queue.work(_WORKERS)

    # -- what is heard

    def _heard(self, _: Kind, key: Key, pod: Object, gone: bool) -> None:
        uid = pod["metadata"]["uid"]
        if gone:
            self._addresses.pop(uid, None)
            self._unready.discard(key)
            if _is_device_plugin(pod):
                self._queue.put(("", pod["spec"].get("nodeName", "")))
            return
        if address := part_of(pod, "status").get("podIP"):
            self._addresses.setdefault(uid, address)
        if pod["spec"].get("nodeName"):
            self._queue.put(key)

    def _heard_node(self, _: Kind, key: Key, node: Object, gone: bool) -> None:
        if gone or not _is_ready(node):
            return
        for pod in self._on(key[1]):
            if not pod_status.is_ready(pod) and not pod_status.is_over(pod):
                self._queue.put(key_of(pod))

    def _heard_source(self, _: Kind, key: Key, __: Object, gone: bool) -> None:
        if not gone:
            for waiting in self._unready:
                if key[0] in ("", waiting[0]):
                    self._queue.put(waiting)

    # -- what is done

    async def _look(self, key: Key) -> None:
        if not key[0]:
            await self._count_gpus(key[1])
            return
        pod = self._pods.get(*key)
        node = self._nodes.get("", pod["spec"]["nodeName"]) if pod is not None else None
        # A machine that does not run neither starts nor ends anything.
        if pod is None or node is None or node["metadata"]["name"] not in self._cluster.kubelets:
            return
        if pod["metadata"].get("deletionTimestamp"):
            await self._end(pod)
        elif not pod_status.is_over(pod) and _is_ready(node):
            await self._run(pod, node)

    async def _end(self, pod: Object) -> None:
        self._unready.discard(key_of(pod))
        if pod["metadata"].get("deletionGracePeriodSeconds") == 0:
            # It has ended: somebody's finalizer is waited for.
            return
        if pod_status.ends_by_itself(pod) and not pod_status.is_over(pod):
            await self._report(pod, {"phase": "Failed", "reason": "Terminated"})
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        await self._cluster.ask("DELETE", POD.path(*key_of(pod)), body)

    async def _run(self, pod: Object, node: Object) -> None:
        host = next((each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"), "")
        reasons = [*self._unattached(pod, node), *missing(pod, self._lookup(pod))]
        if reasons:
            self._unready.add(key_of(pod))
            await self._wait(pod, host, reasons)
            return
        address = host if pod["spec"].get("hostNetwork") else self._address(pod, node)
        if not address:
            # The Node's addresses are not known yet: it will be heard of.
            return
        self._unready.discard(key_of(pod))
        if pod_status.ends_by_itself(pod):
            await self._report(pod, pod_status.succeeded(pod, host, address))
        elif not pod_status.is_ready(pod):
            status = pod_status.running(pod, host, address)
            if pod["status"].get("phase") == "Running" and not _ready(status) and pod["spec"].get("readinessGates"):
                return
            await self._report(pod, status)
            if _is_device_plugin(pod):
                await self._count_gpus(node["metadata"]["name"])

    async def _wait(self, pod: Object, host: str, reasons: list[Missing]) -> None:
        status = pod_status.waiting(pod, host, reasons)
        if _waits(pod["status"]) == _waits(status):
            return
        await self._report(pod, status)
        for each in reasons:
            await self._write_event(pod, each)

    async def _write_event(self, pod: Object, why: Missing) -> None:
        uid = pod["metadata"]["uid"]
        if (uid, why.message) in self._told:
            return
        self._told.add((uid, why.message))
        namespace, name = key_of(pod)
        event = {
            "metadata": {"generateName": f"{name}.", "namespace": namespace},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": name, "uid": uid},
            "type": "Warning",
            "reason": "Failed" if why.container else "FailedMount",
            "message": why.message,
            "source": {"component": "kubelet", "host": pod["spec"]["nodeName"]},
            "firstTimestamp": pod_status.now(),
            "lastTimestamp": pod_status.now(),
            "count": 1,
        }
        await self._cluster.ask("POST", f"/api/v1/namespaces/{namespace}/events", event)

    async def _report(self, pod: Object, status: Object) -> None:
        # With the uid: a pod of the same name may have taken its place.
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        await self._cluster.ask("PATCH", f"{POD.path(*key_of(pod))}/status", body, STRATEGIC)

    # -- what a pod needs

    def _lookup(self, pod: Object) -> Callable[[Referred, str], Object | None]:
        namespace = pod["metadata"]["namespace"]
        return lambda kind, name: self._sources[kind].get(namespace, name)

    def _unattached(self, pod: Object, node: Object) -> Iterator[Missing]:
        """Volumes of a CSI driver are attached to the machine before anything starts."""
        for name in claims(pod):
            claim = self._sources["PersistentVolumeClaim"].get(pod["metadata"]["namespace"], name)
            if claim is None or part_of(claim, "status").get("phase") != "Bound":
                yield Missing("ContainerCreating", f'persistentvolumeclaim "{name}" is not bound')
                continue
            volume = self._volumes.get("", claim["spec"]["volumeName"])
            if volume is None or "csi" not in volume["spec"]:
                continue
            if not any(self._attaches(each, volume, node) for each in self._attachments):
                yield Missing("ContainerCreating", f'volume "{claim["spec"]["volumeName"]}" is not attached')

    @staticmethod
    def _attaches(attachment: Object, volume: Object, node: Object) -> bool:
        spec = attachment["spec"]
        return (
            spec["source"].get("persistentVolumeName") == volume["metadata"]["name"]
            and spec["nodeName"] == node["metadata"]["name"]
            and bool(part_of(attachment, "status").get("attached"))
        )

    def _address(self, pod: Object, node: Object) -> str:
        """The pod's own, or one of its node's range that nobody has."""
        uid = pod["metadata"]["uid"]
        if uid not in self._addresses and (cidr := node["spec"].get("podCIDR")):
            taken = set(self._addresses.values())
            hosts = ip_network(cidr).hosts()
            # The first one is the machine's own in that range.
            next(hosts)
            if free := next((str(each) for each in hosts if str(each) not in taken), ""):
                self._addresses[uid] = free
        return self._addresses.get(uid, "")

    def _on(self, node: str) -> list[Object]:
        return [pod for pod in self._pods if pod["spec"].get("nodeName") == node]

    # -- GPUs

    async def _count_gpus(self, name: str) -> None:
        """A machine with a GPU offers it while its device plugin runs."""
        node = self._nodes.get("", name)
        if node is None or part_of(node["metadata"], "labels").get(GPU) != "present":
            return
        here = [
            pod for pod in self._on(name) if _is_device_plugin(pod) and not pod["metadata"].get("deletionTimestamp")
        ]
        count = "1" if here else "0"
        if part_of(node["status"], "allocatable").get(GPU) != count:
            sizes: dict[str, Any] = {"allocatable": {GPU: count}}
            if here:
                sizes["capacity"] = {GPU: count}
            await self._cluster.ask("PATCH", f"{NODE.path('', name)}/status", {"status": sizes}, STRATEGIC)


def _is_ready(node: Object) -> bool:
    conditions = each_of(part_of(node, "status"), "conditions")
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _ready(status: Object) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status["conditions"])


def _waits(status: Object) -> list[Any]:
    """What each container waits for."""
    both = [*each_of(status, "initContainerStatuses"), *each_of(status, "containerStatuses")]
    return [each["state"].get("waiting") for each in both]


def _is_device_plugin(pod: Object) -> bool:
    label, value = DEVICE_PLUGIN
    return part_of(pod["metadata"], "labels").get(label) == value
