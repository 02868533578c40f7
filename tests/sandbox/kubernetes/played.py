"""A kubelet's part, played: pods are bound to a Node and get the status that a test wants."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from kubernetes import client

RUNS: dict[str, Any] = {
    "phase": "Running",
    "conditions": [
        {"type": each, "status": "True"} for each in ("PodScheduled", "Initialized", "Ready", "ContainersReady")
    ],
    "podIP": "10.42.0.9",
    "podIPs": [{"ip": "10.42.0.9"}],
}
SUCCEEDS: dict[str, Any] = {"phase": "Succeeded"}
FAILS: dict[str, Any] = {"phase": "Failed"}
PULLS: dict[str, Any] = {
    "phase": "Pending",
    "containerStatuses": [
        {
            "name": "it",
            "image": "none",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
        }
    ],
}


NODE = "node-1"

PASSING = (404, 409, 429, 500, 503, 504)
"""What a kubelet meets while others delete and change its pods, or the API server is busy: it tries again."""


@contextlib.contextmanager
def pods(core: client.CoreV1Api, namespace: str, status: dict[str, Any]) -> Iterator[None]:
    """Within the block, all pods of the namespace are bound to the Node and get this status.

    Raises:
        Exception: what ended it before the block did.
    """
    over = threading.Event()
    done: set[str] = set()
    failures: list[Exception] = []

    def play() -> None:
        while not over.wait(0.05):
            try:
                for pod in core.list_namespaced_pod(namespace).items:
                    _play(core, pod, status, done)
            except client.ApiException as error:
                if error.status not in PASSING:
                    failures.append(error)
                    return
            except Exception as error:
                failures.append(error)
                return

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        over.set()
        player.join()
        if failures:
            raise failures[0]


def _play(core: client.CoreV1Api, pod: Any, status: dict[str, Any], done: set[str]) -> None:
    name, namespace = pod.metadata.name, pod.metadata.namespace
    if pod.metadata.deletion_timestamp is not None:
        core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
    elif pod.metadata.uid not in done:
        if pod.spec.node_name is None:
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"metadata": {"name": name}, "target": target}
            core.create_namespaced_pod_binding(name, namespace, binding, _preload_content=False)
        core.patch_namespaced_pod_status(name, namespace, {"status": status})
        done.add(pod.metadata.uid)
