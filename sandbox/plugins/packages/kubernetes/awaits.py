"""What the provider waits for: when an object of each kind is ready, and how long that may take."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from ...package import ProviderError
from .cluster import ApiError, Cluster, Manifest, UnreachableError
from .objects import annotation

LONGEST_SECONDS: Final = 600.0
"""Unless ``customTimeouts`` or ``pulumi.com/timeoutSeconds`` say otherwise."""

SETTLED_SECONDS: Final = 1.0
"""How long a Service's endpoints must stay as they are. The real provider waits ten, which a sandbox need not."""

_FIRST_POLL_SECONDS: Final = 0.02
_POLL_SECONDS: Final = 0.2

_SKIPS_DELETES: Final = ("Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job")
"""``skipAwait`` on these holds for their deletion too, as with the real provider."""

READY: Final = ""


@dataclass
class Look:
    """What is known of an object that is waited for.

    Args:
        cluster: Where it is.
        live: As it was last seen.
        updating: Whether it was there before.
        settled: Seconds for which a Service's endpoints must not change; 0 for one look without waiting.
    """

    cluster: Cluster
    live: Manifest
    updating: bool = False
    settled: float = SETTLED_SECONDS
    endpoints: tuple[str, float] = field(default=("", 0.0))

    @property
    def name(self) -> str:
        return str(self.live["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.live["metadata"].get("namespace") or "default")

    def at(self, path: str, otherwise: Any = None) -> Any:
        """The value at a path with dots."""
        value: Any = self.live
        for name in path.split("."):
            value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
        return otherwise if value is None else value

    def condition(self, type: str) -> Mapping[str, str]:
        """A condition of its status; empty when it has none of this type."""
        none: dict[str, str] = {}
        conditions = cast("list[dict[str, str]]", self.at("status.conditions", []))
        return next((each for each in conditions if each.get("type") == type), none)

    def is_seen(self) -> bool:
        """Whether its controller has seen its latest version."""
        return int(self.at("status.observedGeneration", 0)) >= int(self.at("metadata.generation", 0))


class NeverReadyError(ProviderError):
    """It cannot become ready any more."""


Condition = Callable[[Look], str]
"""Tells what is missing; `READY` when nothing is."""


def _deployment(look: Look) -> str:
    wanted = int(look.at("spec.replicas", 1))
    available, progressing = look.condition("Available"), look.condition("Progressing")
    if not look.is_seen():
        return "its controller has not seen it"
    if progressing.get("status") == "False":
        return f"[{progressing.get('reason')}] {progressing.get('message')}"
    updated, replicas = int(look.at("status.updatedReplicas", 0)), int(look.at("status.replicas", 0))
    ready = int(look.at("status.readyReplicas", 0))
    if updated < wanted or replicas > updated or ready < wanted:
        return f"{ready} of {wanted} replicas are ready, {updated} are of the new version"
    if available.get("status") != "True":
        return f"[{available.get('reason', 'Unavailable')}] {available.get('message', '')}".strip()
    return READY


def _stateful_set(look: Look) -> str:
    wanted = int(look.at("spec.replicas", 1))
    ready, updated = int(look.at("status.readyReplicas", 0)), int(look.at("status.updatedReplicas", 0))
    if not look.is_seen():
        return "its controller has not seen it"
    rolls = look.at("spec.updateStrategy.type", "RollingUpdate") == "RollingUpdate"
    partition = int(look.at("spec.updateStrategy.rollingUpdate.partition", 0))
    if ready < wanted or int(look.at("status.replicas", 0)) != wanted:
        return f"{ready} of {wanted} replicas are ready"
    if rolls and not partition and look.at("status.updateRevision") != look.at("status.currentRevision"):
        return f"{updated} of {wanted} replicas are of the new version"
    return READY


def _daemon_set(look: Look) -> str:
    wanted = int(look.at("status.desiredNumberScheduled", 0))
    if not look.is_seen():
        return "its controller has not seen it"
    for name in ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady"):
        if int(look.at(f"status.{name}", 0)) < wanted:
            return f"{name} is {look.at(f'status.{name}', 0)} of {wanted}"
    return READY


def _job(look: Look) -> str:
    failed = look.condition("Failed")
    if failed.get("status") == "True":
        raise NeverReadyError(f"[{failed.get('reason')}] {failed.get('message')}")
    if not look.at("status.startTime"):
        return "it has not started"
    if look.condition("Complete").get("status") != "True":
        counts = (f"{name} {look.at(f'status.{name}', 0)}" for name in ("active", "succeeded", "failed"))
        return f"it has not succeeded: {', '.join(counts)}"
    return READY


def _pod(look: Look) -> str:
    if look.at("status.phase") == "Succeeded":
        return READY
    for type in ("PodScheduled", "Initialized", "Ready"):
        condition = look.condition(type)
        if condition.get("status") != "True":
            return f"it is not {type} {condition.get('message', '')}".strip() + _troubles([look.live])
    return READY


def _service(look: Look) -> str:
    balanced = look.at("spec.type") == "LoadBalancer"
    if balanced and not look.at("status.loadBalancer.ingress"):
        return "it was given no address by a load balancer"
    if (
        look.at("spec.type") == "ExternalName"
        or look.at("spec.clusterIP") == "None"
        or not look.at("spec.selector", {})
    ):
        return READY
    place = {"apiVersion": "v1", "kind": "Endpoints", "metadata": look.live["metadata"]}
    endpoints = look.cluster.get(place)
    if endpoints is None:
        return "it has no endpoints"
    subsets = cast("list[dict[str, Any]]", endpoints.get("subsets") or [])
    if any(subset.get("notReadyAddresses") for subset in subsets):
        return "some of the Pods that it selects are not ready"
    version = str(endpoints["metadata"]["resourceVersion"])
    if look.endpoints[0] != version:
        look.endpoints = (version, time.monotonic())
    return READY if time.monotonic() - look.endpoints[1] >= look.settled else "its endpoints still change"


def _claim(look: Look) -> str:
    phase, storage = look.at("status.phase"), look.at("spec.storageClassName")
    if phase == "Bound":
        return READY
    if storage and phase == "Pending" and not look.updating:
        place = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": storage}}
        if (look.cluster.get(place) or {}).get("volumeBindingMode") == "WaitForFirstConsumer":
            return READY
    return f"it is {phase}"


def _volume(look: Look) -> str:
    phase = look.at("status.phase")
    return READY if phase in ("Available", "Bound") else f"it is {phase}"


def _quota(look: Look) -> str:
    return READY if look.at("spec.hard") == look.at("status.hard") else "its status does not hold its limits"


def _ingress(look: Look) -> str:
    return READY if look.at("status.loadBalancer.ingress") else "it was given no address"


def _secret(look: Look) -> str:
    is_token = look.at("type") == "kubernetes.io/service-account-token"
    return READY if not is_token or look.at("data") else "its token was not made"


AWAITED: Final[Mapping[tuple[str, str], Condition]] = {
    ("apps/v1", "DaemonSet"): _daemon_set,
    ("apps/v1", "Deployment"): _deployment,
    ("apps/v1", "StatefulSet"): _stateful_set,
    ("batch/v1", "Job"): _job,
    ("networking.k8s.io/v1", "Ingress"): _ingress,
    ("v1", "PersistentVolume"): _volume,
    ("v1", "PersistentVolumeClaim"): _claim,
    ("v1", "Pod"): _pod,
    ("v1", "ResourceQuota"): _quota,
    ("v1", "Secret"): _secret,
    ("v1", "Service"): _service,
}
"""By apiVersion and kind. All other kinds are ready once they are there."""


def condition_of(manifest: Manifest) -> Condition | None:
    """What an object is to be waited for; None for nothing.

    Raises:
        ProviderError: the annotation ``pulumi.com/waitFor`` cannot be understood.
    """
    if annotation(manifest, "skipAwait") == "true":
        return None
    if custom := annotation(manifest, "waitFor"):
        return _custom(custom)
    return AWAITED.get((manifest["apiVersion"], manifest["kind"]))


def missing_now(cluster: Cluster, manifest: Manifest, live: Manifest) -> str:
    """What an object lacks at this moment, without waiting; `READY` when it is ready."""
    condition = condition_of(manifest)
    if condition is None:
        return READY
    try:
        return condition(Look(cluster, live, updating=True, settled=0.0))
    except NeverReadyError as error:
        return str(error)


def wait_ready(
    cluster: Cluster, manifest: Manifest, live: Manifest, seconds: float, cancelled: threading.Event, *, updating: bool
) -> tuple[Manifest, str]:
    """Wait until an object is ready. Returns it as it was last seen, and what it lacks: `READY` when nothing.

    Args:
        manifest: As the program gives it; its annotations count.
        live: As the cluster answered.
        seconds: From ``customTimeouts``; 0 for none.
    """
    condition = condition_of(manifest)
    if condition is None:
        return live, READY
    limit = time_limit(manifest, seconds)
    deadline = time.monotonic() + limit
    look = Look(cluster, live, updating)
    while True:
        try:
            found = cluster.get(look.live)
            if found is None or found["metadata"]["uid"] != live["metadata"]["uid"]:
                return look.live, "it was deleted meanwhile"
            look.live = found
            missing = condition(look)
        except NeverReadyError as error:
            return look.live, str(error)
        except (UnreachableError, ApiError) as error:
            # A server that restarts must not end the wait.
            missing = str(error)
        if missing == READY:
            return look.live, READY
        if cancelled.wait(_POLL_SECONDS):
            return look.live, f"the wait was cancelled: {missing}"
        if time.monotonic() > deadline:
            return look.live, f"it did not become ready within {limit:.0f} s: {missing}{_troubles(_pods(look))}"


def wait_gone(
    cluster: Cluster, manifest: Manifest, uid: str, seconds: float, cancelled: threading.Event
) -> Manifest | None:
    """Wait until a deleted object is gone. Returns what is left of it when it does not go in time."""
    if annotation(manifest, "skipAwait") == "true" and manifest["kind"] in _SKIPS_DELETES:
        return None
    deadline = time.monotonic() + time_limit(manifest, seconds)
    left: Manifest | None = manifest
    pause = _FIRST_POLL_SECONDS
    while True:
        try:
            left = cluster.get(manifest)
            if left is None or left["metadata"]["uid"] != uid:
                return None
        except (UnreachableError, ApiError):
            pass  # asked again until the time is over
        if cancelled.wait(pause) or time.monotonic() > deadline:
            return left
        pause = min(2 * pause, _POLL_SECONDS)


def time_limit(manifest: Manifest, seconds: float) -> float:
    """How many seconds may be waited for an object."""
    annotated = annotation(manifest, "timeoutSeconds")
    return seconds or (float(annotated) if annotated.isdigit() else LONGEST_SECONDS)


def _custom(text: str) -> Condition:
    try:
        given: Any = json.loads(text)
    except ValueError:
        given = text
    expressions = [str(each) for each in cast("list[Any]", given)] if isinstance(given, list) else [text]
    conditions = [_expression(each) for each in expressions]
    return lambda look: next((missing for each in conditions if (missing := each(look))), READY)


def _expression(text: str) -> Condition:
    if found := re.fullmatch(r"condition=([^=]+)(?:=(\w+))?", text):
        type, wanted = found[1], (found[2] or "True").lower()
        return lambda look: (
            READY if look.condition(type).get("status", "").lower() == wanted else f"{text} does not hold"
        )
    if found := re.fullmatch(r"jsonpath=\{?\.?([\w.-]+)\}?(?:=(.*))?", text):
        path, value = found[1], found[2]

        def holds(look: Look) -> str:
            there = look.at(path)
            # As JSONPath prints it: true, not True.
            shown = str(there).lower() if isinstance(there, bool) else str(there)
            met = there is not None and (value is None or shown == value.strip("'\""))
            return READY if met else f"{text} does not hold"

        return holds
    raise ProviderError(
        f"pulumi.com/waitFor: {text!r} is not understood here: write condition=<type>[=<status>] or jsonpath={{.a.b}}[=<value>]"
    )


def _pods(look: Look) -> list[Manifest]:
    labels = look.at("spec.selector.matchLabels")
    if not isinstance(labels, dict):
        return []
    selector = ",".join(f"{name}={value}" for name, value in cast("dict[str, str]", labels).items())
    try:
        return look.cluster.items("v1", "Pod", look.namespace, selector)
    except ProviderError:
        return []


def _troubles(pods: list[Manifest]) -> str:
    """Why containers do not run, as far as they say."""
    found: list[str] = []
    for pod in pods:
        statuses = cast("list[dict[str, Any]]", (pod.get("status") or {}).get("containerStatuses") or [])
        for status in statuses:
            waiting = cast("dict[str, str]", (status.get("state") or {}).get("waiting") or {})
            if waiting and waiting.get("reason") != "ContainerCreating":
                found.append(
                    f"{pod['metadata']['name']}: [{waiting.get('reason')}] {waiting.get('message', '')}".strip()
                )
    return "".join(f"; {each}" for each in dict.fromkeys(found))
