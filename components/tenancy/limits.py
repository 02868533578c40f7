"""How much a tenant may have in an environment, and what its pods get when they do not say."""

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from .names import LIMITS, QUOTA, Environment, priority_class

COUNTS: Final[Mapping[str, int]] = {
    "configmaps": 100,
    "secrets": 100,
    "services": 30,
    "persistentvolumeclaims": 10,
    "replicationcontrollers": 0,
    "count/deployments.apps": 30,
    # Six revisions of each deployment.
    "count/replicasets.apps": 200,
    "count/statefulsets.apps": 10,
    "count/jobs.batch": 50,
    "count/cronjobs.batch": 20,
    "count/ingressroutes.traefik.io": 30,
    "count/externalsecrets.external-secrets.io": 100,
    "count/serviceaccounts": 50,
    "count/networkpolicies.networking.k8s.io": 100,
    "count/horizontalpodautoscalers.autoscaling": 50,
    "count/poddisruptionbudgets.policy": 50,
    "count/servers.policy.linkerd.io": 100,
    "count/authorizationpolicies.policy.linkerd.io": 100,
    "count/meshtlsauthentications.policy.linkerd.io": 100,
    "count/httproutes.policy.linkerd.io": 100,
    "count/httproutes.gateway.networking.k8s.io": 100,
}
"""Objects of a namespace, of every kind that is there and its tenant makes: far above what a team needs, far below what would fill etcd."""

NOTHING: Final[Mapping[str, int]] = {"services.loadbalancers": 0, "services.nodeports": 0}
"""Load balancers cost money, and both would open a way in beside the ingress."""

DEFAULT_REQUESTS: Final[Mapping[str, str]] = {"cpu": "50m", "memory": "128Mi"}
DEFAULT_LIMITS: Final[Mapping[str, str]] = {"memory": "256Mi"}
LEAST: Final[Mapping[str, str]] = {"cpu": "5m", "memory": "8Mi"}


class QuotaArgs(TypedDict):
    """What all pods of a namespace may have together."""

    cpu: str
    """Requested cores, as Kubernetes writes them: ``2``, ``500m``."""
    memory: str
    """Memory that containers are limited to (``4Gi``); requests cannot be above it."""
    pods: int
    """Pods at a time."""
    storage: str
    """Size of all its volumes together: ``20Gi``."""
    gpus: int
    """GPUs in this region; 0 where it has none."""


def quota(namespace: str, wanted: QuotaArgs) -> dict[str, Any]:
    """The ResourceQuota. Cores are limited by requests alone: idle ones may be used by whoever needs them."""
    hard = {
        "requests.cpu": wanted["cpu"],
        "requests.memory": wanted["memory"],
        "limits.memory": wanted["memory"],
        "requests.storage": wanted["storage"],
        "requests.nvidia.com/gpu": str(wanted["gpus"]),
        "pods": str(wanted["pods"]),
        **{name: str(number) for name, number in {**NOTHING, **COUNTS}.items()},
    }
    return _object("ResourceQuota", namespace, QUOTA, {"hard": hard})


def priority_quota(namespace: str, environment: Environment) -> dict[str, Any]:
    """No pod of another priority class than its environment's: it could push the platform's own pods off a machine."""
    scope = "PriorityClass"
    other = [
        {"scopeName": scope, "operator": "Exists"},
        {"scopeName": scope, "operator": "NotIn", "values": [priority_class(environment)]},
    ]
    spec = {"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": other}}
    return _object("ResourceQuota", namespace, "priority", spec)


def limits(namespace: str, wanted: QuotaArgs) -> dict[str, Any]:
    """The LimitRange. It says nothing of a most of CPU: that would become every container's limit."""
    container = {
        "type": "Container",
        "defaultRequest": dict(DEFAULT_REQUESTS),
        "default": dict(DEFAULT_LIMITS),
        "min": dict(LEAST),
        "max": {"memory": wanted["memory"]},
    }
    volume = {"type": "PersistentVolumeClaim", "max": {"storage": wanted["storage"]}}
    return _object("LimitRange", namespace, LIMITS, {"limits": [container, volume]})


def _object(kind: str, namespace: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": dict(spec)}
