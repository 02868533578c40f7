"""Constraints: one of each kind, where it holds, and whether it records, tells or refuses."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from ..layer import INGRESS, MONITORING
from ..mesh import METRICS_AUTHENTICATION
from ..problem import Problem
from ..storage import CLOUD_VOLUMES
from ..tenancy import ENVIRONMENT_LABEL, TENANT_NAMESPACES
from .data import HERE, read

Manifest = dict[str, Any]
Enforcement = Literal["dryrun", "warn", "deny"]

ENFORCEMENTS: Final[Sequence[Enforcement]] = ("dryrun", "warn", "deny")
NAME: Final = "platform"
"""Of every constraint: there is one of each kind."""
_API: Final = "constraints.gatekeeper.sh/v1beta1"

EXEMPT_NAMESPACES: Final = (
    "argocd",
    "cert-manager",
    "external-secrets",
    "gatekeeper-system",
    "gpu",
    "kube-node-lease",
    "kube-public",
    "kube-system",
    "linkerd",
    "linkerd-cni",
    "longhorn-system",
    "monitoring",
    "object-store",
    "openbao",
    "platform",
    "reloader",
    "traefik",
    "vault",
)
"""Namespaces that the platform's own layers make. What keeps tenants apart holds in all others, whoever made them."""

BREAK_GLASS_GROUP: Final = "hetzner-platform:break-glass"
"""Nobody is in it: a platform-admin acts as it, by name, and the audit log says who."""

PLATFORM_USERS: Final = (
    BREAK_GLASS_GROUP,
    "system:masters",
    "system:serviceaccounts:external-secrets",
    "system:serviceaccounts:kube-system",
)
"""Groups that write what is the platform's in a tenant's namespace: the deployment itself, controllers, and who mends by hand.

Not Argo CD's: it writes what tenants tell it.
"""

MESH_IMAGES: Final = ("cr.l5d.io/linkerd/proxy",)
"""What the mesh puts into pods before constraints see them, and which no tenant has a say in."""

MESH_CALLERS: Final = (INGRESS, MONITORING)
"""Namespaces whose pods any tenant may let call its own."""

_PODS: Final = (
    {"apiGroups": [""], "kinds": ["Pod", "ReplicationController"]},
    {"apiGroups": ["apps"], "kinds": ["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]},
    {"apiGroups": ["batch"], "kinds": ["CronJob", "Job"]},
)


@dataclass(frozen=True)
class Rules:
    """What is configured of the constraints.

    Args:
        enforcement: Of those that are neither tenants' isolation nor audit.
        registries: Prefixes of images, each ending with ``/``.
        overrides: Kind → enforcement.
        storage_classes: What tenants' claims may be made of.
        exempt_namespaces: Where the platform's own pods are.
    """

    enforcement: Enforcement
    registries: Sequence[str]
    overrides: Mapping[str, Enforcement] = field(default_factory=dict[str, Enforcement])
    storage_classes: Sequence[str] = (CLOUD_VOLUMES, "longhorn")
    exempt_namespaces: Sequence[str] = EXEMPT_NAMESPACES


@functools.cache
def listing() -> dict[str, Mapping[str, Any]]:
    """What components/policy/constraints.yaml says of each kind."""
    return cast("dict[str, Mapping[str, Any]]", read("constraints.yaml"))


def isolation() -> frozenset[str]:
    """Kinds that keep tenants apart: they refuse whatever is configured."""
    return frozenset(kind for kind, each in listing().items() if each["set"] == "isolation")


def problems(rules: Rules) -> list[Problem]:
    """What is wrong with ``rules``; keys as config/platform.yaml has them."""
    known = listing()
    found: list[Problem] = []
    for kind, enforcement in rules.overrides.items():
        key = f"policy.overrides.{kind}"
        if kind not in known:
            found.append(Problem(key, enforcement, "names no constraint", f"one of: {', '.join(sorted(known))}"))
        elif enforcement not in ENFORCEMENTS:
            found.append(_enforcement(key, enforcement))
        elif enforcement != "deny" and known[kind]["set"] == "isolation":
            found.append(Problem(key, enforcement, "keeps tenants apart, and is always denied", "remove the override"))
    if rules.enforcement not in ENFORCEMENTS:
        found.append(_enforcement("policy.enforcement", rules.enforcement))
    if not rules.registries:
        found.append(Problem("image_registries", [], "is empty: no image could run", "name at least one registry"))
    for number, registry in enumerate(rules.registries):
        if not registry.endswith("/"):
            problem = "does not end with '/': it would allow any registry whose name begins like it"
            found.append(Problem(f"image_registries[{number}]", registry, problem, f"write {registry}/"))
    return found


def _enforcement(key: str, value: str) -> Problem:
    return Problem(key, value, "is no enforcement", f"one of: {', '.join(ENFORCEMENTS)}")


def constraints(rules: Rules) -> list[Manifest]:
    """One constraint of each kind, sorted."""
    return [_constraint(kind, each, rules) for kind, each in sorted(listing().items())]


def _constraint(kind: str, each: Mapping[str, Any], rules: Rules) -> Manifest:
    given = dict(each.get("parameters", {})) | _computed(kind, rules)
    return {
        "apiVersion": _API,
        "kind": kind,
        "metadata": {"name": NAME},
        "spec": {
            "enforcementAction": _action(kind, each["set"], rules),
            "match": _match(each, rules),
            **({"parameters": given} if given else {}),
        },
    }


def _action(kind: str, group: str, rules: Rules) -> Enforcement:
    if group == "isolation":
        return "deny"
    return rules.overrides.get(kind, "dryrun" if group == "audit" else rules.enforcement)


def _match(each: Mapping[str, Any], rules: Rules) -> Manifest:
    kinds = [dict(entry) for entry in (_PODS if each["kinds"] == "pods" else each["kinds"])]
    match each["where"]:
        case "tenants":
            return {"kinds": kinds, "namespaceSelector": {"matchLabels": dict(TENANT_NAMESPACES)}}
        case "production":
            return {
                "kinds": kinds,
                "namespaceSelector": {"matchLabels": TENANT_NAMESPACES | {ENVIRONMENT_LABEL: "production"}},
            }
        case "outside":
            return {"kinds": kinds, "excludedNamespaces": sorted(rules.exempt_namespaces)}
        case _:
            return {"kinds": kinds}


def _computed(kind: str, rules: Rules) -> dict[str, Any]:
    mesh = {"mesh": list(MESH_IMAGES)}
    callers = {"callers": list(MESH_CALLERS)}
    platform = {"platform": list(PLATFORM_USERS)}
    every: dict[str, dict[str, Any]] = {
        "K8sAllowedReposv2": {"allowed": list(rules.registries), **mesh},
        "K8sDisallowedTags": mesh,
        "K8sImageDigests": mesh,
        "K8sRequiredProbes": mesh,
        "K8sRequiredResources": mesh,
        "K8sStorageClass": {"allowed": list(rules.storage_classes), **platform},
        "TenantGpu": mesh,
        # A tenant makes none, and may name this one only in the authorization of what is called <service>-metrics.
        "TenantMesh": {**callers, **platform, "metrics": METRICS_AUTHENTICATION},
        "TenantNetworkPolicy": {**platform, **callers},
        "TenantSecretStore": platform,
        "TenantTraefik": platform,
    }
    return every.get(kind, {})


_WORKLOADS: Final = "platform-workloads"


def admission(exempt_namespaces: Sequence[str] = EXEMPT_NAMESPACES) -> list[Manifest]:
    """Policies that hold while Gatekeeper is away, each with its binding: which hosts a tenant's route takes, whom a
    tenant's network policy lets in, how many containers a pod has, and what an operator changes of the platform's workloads.
    """
    made: list[Manifest] = []
    for path in sorted((HERE / "admission").glob("*.yaml")):
        policy: Manifest = read("admission", path.name)
        name = policy["metadata"]["name"]
        made += [policy, _bound(name, "In" if name == _WORKLOADS else "NotIn", exempt_namespaces)]
    by_name = {each["metadata"]["name"]: each["spec"] for each in made if each["kind"] == "ValidatingAdmissionPolicy"}
    asked = f"!request.userInfo.groups.exists(group, group in {json.dumps(PLATFORM_USERS)})"
    flows = by_name["tenant-network-policies"]
    flows["matchConditions"] = [{"name": "asked-by-others", "expression": asked}]
    # Controllers write what they run, each with its own rights.
    people = f"!request.userInfo.username.startsWith('system:') && {asked}"
    by_name[_WORKLOADS]["matchConditions"] = [{"name": "asked-by-people", "expression": people}]
    flows["variables"] = [{"name": "callers", "expression": json.dumps(MESH_CALLERS)}]
    return made


def _bound(policy: str, operator: Literal["In", "NotIn"], exempt_namespaces: Sequence[str]) -> Manifest:
    where = {"key": "kubernetes.io/metadata.name", "operator": operator, "values": sorted(exempt_namespaces)}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": policy},
        "spec": {
            "policyName": policy,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchExpressions": [where]}},
        },
    }


def config(exempt_namespaces: Sequence[str] = EXEMPT_NAMESPACES) -> Manifest:
    """Gatekeeper's own Config: what it keeps in mind, and where it does not look at all.

    The platform's namespaces are not looked at: a webhook that is wrong must not be able to hold up what runs the cluster.
    """
    kept = [
        {"group": "", "version": "v1", "kind": "Namespace"},
        {"group": "apps", "version": "v1", "kind": "Deployment"},
        {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"},
        {"group": "traefik.io", "version": "v1alpha1", "kind": "IngressRoute"},
    ]
    unseen = [{"excludedNamespaces": sorted(exempt_namespaces), "processes": ["audit", "webhook"]}]
    return {
        "apiVersion": "config.gatekeeper.sh/v1alpha1",
        "kind": "Config",
        "metadata": {"name": "config", "namespace": "gatekeeper-system"},
        "spec": {"match": unseen, "sync": {"syncOnly": kept}},
    }
