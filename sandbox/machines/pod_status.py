"""What a kubelet says of a pod: pure functions of the pod."""

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .references import Missing
from .watching import Object, each_of, part_of

_NO_OTHER: Final[Mapping[str, Any]] = {"waiting": None, "running": None, "terminated": None}
"""A container's state is one of them: a patch must take the others away."""


def now() -> str:
    """The time, as the API writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_over(pod: Object) -> bool:
    """Whether it has ended."""
    return part_of(pod, "status").get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    """Whether it is told to be ready."""
    conditions = each_of(part_of(pod, "status"), "conditions")
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def ends_by_itself(pod: Object) -> bool:
    """Whether its containers are there to end: those of Jobs."""
    return pod["spec"].get("restartPolicy", "Always") != "Always"


def running(pod: Object, host: str, address: str) -> Object:
    """All containers run, and are ready.

    Args:
        pod: The pod.
        host: Its node's address.
        address: Its own.
    """
    time = now()
    gates = [gate["conditionType"] for gate in each_of(pod["spec"], "readinessGates")]
    held = {each["type"] for each in each_of(pod["status"], "conditions") if each["status"] == "True"}
    ready = _condition("Ready", holds=True)
    if waiting := [gate for gate in gates if gate not in held]:
        said = f"corresponding condition of pod readiness gate {waiting[0]!r} does not exist."
        ready = _condition("Ready", holds=False, reason="ReadinessGatesNotReady", message=said)
    conditions = [
        _condition(type, holds=True) for type in ("PodReadyToStartContainers", "Initialized", "ContainersReady")
    ]
    return {
        **_placed(pod, host, address),
        "phase": "Running",
        "conditions": [*conditions, ready],
        "initContainerStatuses": [
            _runs(container, time) if container.get("restartPolicy") == "Always" else _ended(container, time)
            for container in each_of(pod["spec"], "initContainers")
        ],
        "containerStatuses": [_runs(container, time) for container in pod["spec"]["containers"]],
    }


def succeeded(pod: Object, host: str, address: str) -> Object:
    """All containers have ended well."""
    time = now()
    conditions = [_condition(type, holds=True, reason="PodCompleted") for type in ("Initialized",)]
    conditions += [_condition(type, holds=False, reason="PodCompleted") for type in ("ContainersReady", "Ready")]
    return {
        **_placed(pod, host, address),
        "phase": "Succeeded",
        "conditions": conditions,
        "initContainerStatuses": [_ended(each, time) for each in each_of(pod["spec"], "initContainers")],
        "containerStatuses": [_ended(each, time) for each in pod["spec"]["containers"]],
    }


def waiting(pod: Object, host: str, reasons: Sequence[Missing]) -> Object:
    """Containers wait for what is missing."""
    by_container = {each.container: each for each in reversed(reasons)}
    first = reasons[0]

    def state(container: Object) -> Object:
        why = by_container.get(container["name"]) or by_container.get("")
        told = {"reason": "ContainerCreating"} if why is None else {"reason": why.reason, "message": why.message}
        return {**_container(container), "ready": False, "started": False, "state": {**_NO_OTHER, "waiting": told}}

    names = [container["name"] for container in pod["spec"]["containers"]]
    said = f"containers with unready status: [{' '.join(names)}]"
    unready = [
        _condition(type, holds=False, reason="ContainersNotReady", message=said)
        for type in ("ContainersReady", "Ready")
    ]
    # While an init container waits, it alone knows why.
    initialized = first.container in ("", *names)
    conditions = [_condition("Initialized", holds=initialized), *unready]
    return {
        "phase": "Pending",
        "hostIP": host,
        "startTime": pod["status"].get("startTime") or now(),
        "conditions": conditions,
        "initContainerStatuses": [state(each) for each in each_of(pod["spec"], "initContainers")],
        "containerStatuses": [state(each) for each in pod["spec"]["containers"]],
    }


def _placed(pod: Object, host: str, address: str) -> Object:
    return {
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": pod["status"].get("startTime") or now(),
    }


def _container(container: Object) -> Object:
    return {"name": container["name"], "image": container.get("image", ""), "imageID": "", "restartCount": 0}


def _known(container: Object) -> Object:
    """A container that was made; in name only, and so is the id of its image."""
    digest = hashlib.sha256(container.get("image", "").encode()).hexdigest()
    return {**_container(container), "imageID": f"sandbox://{digest}", "containerID": f"sandbox://{digest}"}


def _runs(container: Object, time: str) -> Object:
    state = {**_NO_OTHER, "running": {"startedAt": time}}
    return {**_known(container), "ready": True, "started": True, "state": state}


def _ended(container: Object, time: str) -> Object:
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": time, "finishedAt": time}
    return {**_known(container), "ready": False, "started": False, "state": {**_NO_OTHER, "terminated": ended}}


def _condition(type: str, *, holds: bool, reason: str = "", message: str = "") -> Object:
    # What is not said now must not stay from before.
    return {
        "type": type,
        "status": "True" if holds else "False",
        "lastTransitionTime": now(),
        "reason": reason or None,
        "message": message or None,
    }
