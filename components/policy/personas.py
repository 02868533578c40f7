"""Who may do what: one ClusterRole for each persona, made of sets of rules, and the bindings that give them to groups."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypedDict, cast

from ..problem import Problem
from .constraints import BREAK_GLASS_GROUP, listing
from .data import read

Manifest = dict[str, Any]
Rule = Mapping[str, Any]

_API: Final = "rbac.authorization.k8s.io/v1"
_GROUP: Final = "rbac.authorization.k8s.io"

CLUSTER_PERSONAS: Final = ("platform-admin", "platform-operator", "sre-oncall", "auditor")
"""Those that hold in the whole cluster. Tenants' hold in their namespaces; ``ci-pusher`` has no access to clusters at all."""

OPERATED_NAMESPACES: Final = (
    "cert-manager",
    "external-secrets",
    "gatekeeper-system",
    "linkerd",
    "longhorn-system",
    "reloader",
    "traefik",
)
"""Namespaces of layers that every region has: a platform-operator may mend what runs there."""

SYNC_ACCOUNT: Final = "argocd-sync"
"""Service account of a tenant's namespace as which Argo CD applies the tenant's manifests."""


class TenantGroups(TypedDict, total=False):
    """Groups of a tenant, as the API server knows them."""

    admin: Sequence[str]
    developer: Sequence[str]
    viewer: Sequence[str]


def cluster_roles() -> list[Manifest]:
    """The ClusterRoles of all personas."""
    every = cast("Mapping[str, Mapping[str, Any]]", read("personas.yaml"))
    return [_role(name, each) for name, each in every.items()]


def _role(name: str, each: Mapping[str, Any]) -> Manifest:
    rules = [rule for part in each["rules"] for rule in _rules(part)]
    if each.get("constraints"):
        kinds = sorted(kind.lower() for kind in listing())
        rules.append(
            {"apiGroups": ["constraints.gatekeeper.sh"], "resources": kinds, "verbs": ["get", "list", "watch"]}
        )
    return {"apiVersion": _API, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}


def _rules(part: str) -> list[Rule]:
    return cast("list[Rule]", read("roles", f"{part}.yaml"))


def persona_problems(personas: Mapping[str, Sequence[str]]) -> list[Problem]:
    """What is wrong with the groups of cluster-wide personas; keys as config/platform.yaml has them."""
    found: list[Problem] = []
    for persona, groups in personas.items():
        if persona not in CLUSTER_PERSONAS:
            known = f"one of: {', '.join(CLUSTER_PERSONAS)}; a tenant's groups stand in config/tenants.yaml"
            found.append(Problem(f"personas.{persona}", list(groups), "is no persona of the whole cluster", known))
        found += [
            Problem(f"personas.{persona}[{number}]", group, "is one of Kubernetes' own or the platform's", _OWN_GROUP)
            for number, group in enumerate(groups)
            if reserved_group(group)
        ]
    return found


_OWN_GROUP: Final = "name a group of your identity provider"


def reserved_group(group: str) -> bool:
    """Whether a group means more than its members: nobody's configuration may name it."""
    return not group or group.startswith(("system:", "hetzner-platform:"))


def persona_bindings(
    personas: Mapping[str, Sequence[str]], operated: Sequence[str] = OPERATED_NAMESPACES
) -> list[Manifest]:
    """Bindings of cluster-wide personas.

    Args:
        personas: Persona → groups. A persona without groups is bound to nobody.
        operated: Namespaces where a platform-operator may change what runs; they must exist.
    """
    made = [_binding("platform-break-glass", "platform-break-glass", [BREAK_GLASS_GROUP])]
    made += [_binding(persona, persona, groups) for persona, groups in sorted(personas.items()) if groups]
    operators = personas.get("platform-operator", ())
    if operators:
        role = "platform-operator-namespace"
        made += [_binding("platform-operator", role, operators, namespace) for namespace in sorted(operated)]
    return made


def tenant_role_bindings(
    namespace: str, environment: Literal["production", "staging"], groups: TenantGroups
) -> list[Manifest]:
    """What a tenant's groups may do in one of its namespaces, and the account as which Argo CD syncs it.

    Developers change things in staging; in production they look, read logs and forward ports. Nobody runs commands in pods
    of production.

    Raises:
        ValueError: a group is one of Kubernetes' own, or the platform's.
    """
    roles = {
        "admin": f"tenant-admin-{environment}",
        "developer": f"tenant-developer-{environment}",
        "viewer": "tenant-viewer",
    }
    given = cast("Mapping[str, Sequence[str]]", groups)
    for group in (group for each in given.values() for group in each):
        if reserved_group(group):
            raise ValueError(f"{namespace}: the group {group!r} is not a tenant's to have: {_OWN_GROUP}")
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": SYNC_ACCOUNT, "namespace": namespace},
        "automountServiceAccountToken": False,
    }
    sync = _binding(SYNC_ACCOUNT, "argocd-sync", [], namespace)
    sync["subjects"] = [{"kind": "ServiceAccount", "name": SYNC_ACCOUNT, "namespace": namespace}]
    return [
        account,
        sync,
        *(
            _binding(f"tenant-{persona}", role, given[persona], namespace)
            for persona, role in roles.items()
            if given.get(persona)
        ),
    ]


def _binding(name: str, role: str, groups: Sequence[str], namespace: str | None = None) -> Manifest:
    return {
        "apiVersion": _API,
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "Group", "apiGroup": _GROUP, "name": group} for group in groups],
    }
