"""Why what a release made is not ready, as far as the cluster tells."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from ...package import ProviderError
from .cluster import Cluster, Manifest

_SHOWN: Final = 6
_WORKLOADS: Final = ("DaemonSet", "Deployment", "StatefulSet", "Job")


def of_release(cluster: Cluster, namespace: str, made: Sequence[Manifest]) -> list[str]:
    """One line for each pod that is not ready, and for each workload that has no pods, with the reason.

    Args:
        cluster: Where the release is.
        namespace: Its namespace.
        made: Its objects.
    """
    found: list[str] = []
    try:
        for each in made:
            if each.get("kind") in _WORKLOADS:
                found += _of_workload(cluster, each, str(each["metadata"].get("namespace") or namespace))
    except ProviderError as error:
        found.append(f"the cluster tells no more: {error}")
    more = len(found) - _SHOWN
    return found[:_SHOWN] + ([f"and {more} more"] if more > 0 else [])


def left_over(cluster: Cluster, namespace: str, made: Sequence[Manifest]) -> str:
    """The objects of a release that are still there, and what holds them; to be put behind a message."""
    found: list[str] = []
    try:
        for each in made:
            metadata: dict[str, Any] = {"namespace": namespace, **(each.get("metadata") or {})}
            live = cluster.get({**each, "metadata": metadata})
            if live is not None:
                held = ", ".join(live["metadata"].get("finalizers") or []) or "no finalizer"
                found.append(f"{each['kind']} {metadata['name']} ({held})")
    except ProviderError:
        return ""
    return f"; still there: {', '.join(found[:_SHOWN])}" if found else ""


def of_webhook(said: str) -> str:
    """What to do about a refusal that came about because a webhook does not answer; empty for all others."""
    if "failed calling webhook" not in said:
        return ""
    return f"a webhook does not answer: {said}. Its operator is not ready yet: look at its pods, then run again"


def of_pod(pod: Manifest) -> str:
    """Why a pod is not ready; empty when it is, or is done."""
    status = cast("dict[str, Any]", pod.get("status") or {})
    conditions = {each["type"]: each for each in cast("list[dict[str, Any]]", status.get("conditions") or [])}
    if status.get("phase") == "Succeeded" or conditions.get("Ready", {}).get("status") == "True":
        return ""
    name = pod["metadata"]["name"]
    statuses: list[Any] = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in statuses:
        state = cast("dict[str, Any]", container.get("state") or {})
        why = state.get("waiting") or state.get("terminated")
        if why and why.get("reason") not in (None, "ContainerCreating", "PodInitializing", "Completed"):
            return _line(f"pod {name}", why)
    placed = conditions.get("PodScheduled", {})
    if placed.get("status") == "False":
        return _line(f"pod {name}", placed)
    ready = conditions.get("Ready", {})
    if ready.get("status") == "False":
        return _line(f"pod {name}", ready)
    return f"pod {name}: it is {status.get('phase', 'Pending')}" + (
        "" if pod["spec"].get("nodeName") else ", on no machine"
    )


def _of_workload(cluster: Cluster, workload: Manifest, namespace: str) -> list[str]:
    kind, name = str(workload["kind"]), str(workload["metadata"]["name"])
    chosen = cast("dict[str, Any]", workload["spec"].get("selector") or {})
    labels = cast("dict[str, str]", chosen.get("matchLabels") or {})
    if kind == "Job":
        labels = {"job-name": name}
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    pods = cluster.items("v1", "Pod", namespace, selector)
    wanted = int(workload["spec"].get("replicas", 1))
    if not pods and wanted:
        return (
            [_without_pods(cluster, kind, name, namespace)]
            if kind != "DaemonSet"
            else _refusals(cluster, name, namespace)
        )
    return [trouble for trouble in map(of_pod, pods) if trouble]


def _without_pods(cluster: Cluster, kind: str, name: str, namespace: str) -> str:
    refused = _refusals(cluster, name, namespace)
    return refused[0] if refused else f"{kind} {name} has no pods"


def _refusals(cluster: Cluster, name: str, namespace: str) -> list[str]:
    """Why pods of a workload are not made: its controller tells it in events alone."""
    for event in cluster.items("v1", "Event", namespace, ""):
        of = str(cast("dict[str, Any]", event.get("involvedObject") or {}).get("name", ""))
        if event.get("reason") == "FailedCreate" and (of == name or of.startswith(f"{name}-")):
            return [_line(name, event)]
    return []


def _line(name: str, told: Mapping[str, Any]) -> str:
    return f"{name}: [{told.get('reason')}] {told.get('message') or ''}".strip()
