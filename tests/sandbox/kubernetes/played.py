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


@contextlib.contextmanager
def pods(core: client.CoreV1Api, namespace: str, status: dict[str, Any]) -> Iterator[None]:
    """Within the block, all pods of the namespace are bound to the Node and get this status."""
    over = threading.Event()

    def play() -> None:
        done: set[str] = set()
        while not over.wait(0.05):
            for pod in core.list_namespaced_pod(namespace).items:
                if pod.metadata.uid not in done and pod.metadata.deletion_timestamp is None:
                    target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
                    binding = {"metadata": {"name": pod.metadata.name}, "target": target}
                    core.create_namespaced_pod_binding(pod.metadata.name, namespace, binding, _preload_content=False)
                    core.patch_namespaced_pod_status(pod.metadata.name, namespace, {"status": status})
                    done.add(pod.metadata.uid)
                elif pod.metadata.deletion_timestamp is not None:
                    with contextlib.suppress(client.ApiException):
                        core.delete_namespaced_pod(pod.metadata.name, namespace, grace_period_seconds=0)

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        over.set()
        player.join()
