"""Pods to try a namespace with."""

from typing import Any

Object = dict[str, Any]

_RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
_RESOURCES = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}}


def pod(namespace: str, security: Object | None = None, container: Object | None = None, **spec: Any) -> Object:
    """A pod of the restricted level, changed.

    Args:
        security: Merged into its security context.
        container: Merged into its container.
        spec: Merged into its spec.
    """
    context = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
        **(security or {}),
    }
    main = {"name": "main", "image": f"registry.example.com/app@sha256:{'0' * 64}", "resources": _RESOURCES}
    main |= {"securityContext": _RESTRICTED, **(container or {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tried", "namespace": namespace},
        "spec": {"containers": [main], "securityContext": context, **spec},
    }


def plain(namespace: str) -> Object:
    """One that says nothing about its security: root, as the image wants it."""
    return pod(namespace, container={"securityContext": {}}, securityContext={})


def on_host(namespace: str) -> Object:
    """One that has the machine."""
    return pod(
        namespace,
        container={"securityContext": {"privileged": True}, "volumeMounts": [{"name": "host", "mountPath": "/host"}]},
        securityContext={},
        hostNetwork=True,
        hostPID=True,
        volumes=[{"name": "host", "hostPath": {"path": "/"}}],
    )


RESTRICTED_REFUSES: dict[str, Any] = {
    "root": lambda namespace: pod(namespace, {"runAsNonRoot": False, "runAsUser": 0}),
    "no seccomp profile": lambda namespace: pod(namespace, {"seccompProfile": {"type": "Unconfined"}}),
    "a capability": lambda namespace: pod(
        namespace,
        container={
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
            }
        },
    ),
    "more privileges later": lambda namespace: pod(
        namespace, container={"securityContext": {"capabilities": {"drop": ["ALL"]}}}
    ),
    "the host's network": lambda namespace: pod(namespace, hostNetwork=True),
    "the host's processes": lambda namespace: pod(namespace, hostPID=True),
    "the host's files": lambda namespace: pod(namespace, volumes=[{"name": "host", "hostPath": {"path": "/"}}]),
    "a host's port": lambda namespace: pod(namespace, container={"ports": [{"containerPort": 80, "hostPort": 80}]}),
    "nothing said": plain,
    "all of the machine": on_host,
}
"""By what they want; all of it is too much where pods must be restricted."""

BASELINE_REFUSES = ("a capability", "the host's network", "the host's processes", "the host's files", "a host's port")
"""Of these, what is too much where pods must keep the baseline."""
