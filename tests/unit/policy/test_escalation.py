"""No persona can become more than it is: what a role must never hold is found, and none of ours holds it."""

from typing import Any

import pytest

from components.policy import cluster_roles, escalations, persona_bindings, tenant_role_bindings
from components.secrets import Vault, store

PERSONAS = {
    "platform-admin": ["admins"],
    "platform-operator": ["platform"],
    "sre-oncall": ["on-call"],
    "auditor": ["audit"],
}
GROUPS: Any = {"admin": ["shop-admins"], "developer": ["shop"], "viewer": ["shop-viewers"]}
MEANT = {
    # Staging is where tenants may look into their pods.
    "tenant-admin-staging": ["pods/exec", "pods/attach", "pods/ephemeralcontainers"],
    "tenant-developer-staging": ["pods/exec", "pods/attach", "pods/ephemeralcontainers"],
    # The engine's clients: these accounts have no rights in the cluster, and no pod runs as them.
    "external-secrets-token": ["serviceaccounts/token of secrets-reader"],
    "secrets-writer": ["serviceaccounts/token of secrets-writer"],
    # An admission policy of the API server says which, and keeps the platform's own from it.
    "argocd-sync": ["networkpolicies"],
    # Cordon and drain.
    "sre-oncall": ["nodes"],
    # Nobody is in its group: a platform-admin acts as it, by name, in the audit log.
    "platform-break-glass": [
        "secrets",
        "pods/exec",
        "pods/attach",
        "pods/ephemeralcontainers",
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "persistentvolumes",
        "namespaces",
        "nodes",
        "roles",
        "rolebindings",
        "clusterroles",
        "clusterrolebindings",
        "networkpolicies",
        "ciliumnetworkpolicies",
        "ciliumclusterwidenetworkpolicies",
        "resourcequotas",
        "limitranges",
        "secretstores",
        "middlewares",
        "tlsoptions",
        "tlsstores",
        "pods",
        "deployments",
        "daemonsets",
        "statefulsets",
        "replicasets",
        "jobs",
        "cronjobs",
    ],
}
"""All that any persona holds of what is dangerous, and why."""


def ours() -> list[dict[str, Any]]:
    tenants = [
        manifest
        for environment in ("production", "staging")
        for manifest in [
            *tenant_role_bindings(f"shop-{environment}", environment, GROUPS),
            *store(Vault("https://openbao.openbao.svc:8200"), f"shop-{environment}", GROUPS["admin"]),
        ]
    ]
    return [*cluster_roles(), *persona_bindings(PERSONAS), *tenants]


def test_no_persona_holds_what_nobody_should() -> None:
    assert escalations(ours(), MEANT) == []


def test_every_exception_is_one_that_is_needed() -> None:
    found = {(each.role, each.grant.partition(" ")[2]) for each in escalations(ours())}
    assert found == {(role, resource) for role, resources in MEANT.items() for resource in resources}


def role(*, wide: bool = False, **rule: Any) -> list[dict[str, Any]]:
    given = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], **rule}
    made: list[dict[str, Any]] = [{"kind": "ClusterRole", "metadata": {"name": "r"}, "rules": [given]}]
    if wide:
        made.append({"kind": "ClusterRoleBinding", "metadata": {"name": "b"}, "roleRef": {"name": "r"}, "subjects": []})
    return made


BAD = {
    "every verb": role(verbs=["*"]),
    "every resource": role(resources=["*"]),
    "every group": role(apiGroups=["*"]),
    "every subresource": role(resources=["pods/*"]),
    "every path": role(nonResourceURLs=["/*"]),
    "Secrets by name": role(resources=["secrets"], resourceNames=["one"]),
    "Secrets listed": role(resources=["secrets"], verbs=["list"]),
    "Secrets watched": role(resources=["secrets"], verbs=["watch"]),
    "Secrets made, for a token": role(resources=["secrets"], verbs=["create"]),
    "nodes/proxy, which reading is enough for": role(resources=["nodes/proxy"]),
    "pods/exec, which reading is enough for": role(resources=["pods/exec"]),
    "tokens": role(resources=["serviceaccounts/token"], verbs=["create"]),
    "tokens by name": role(resources=["serviceaccounts/token"], verbs=["create"], resourceNames=["secrets-writer"]),
    "escalate": role(resources=["roles"], verbs=["escalate"]),
    "bind": role(resources=["clusterroles"], verbs=["bind"], resourceNames=["view"]),
    "anybody": role(resources=["users"], verbs=["impersonate"]),
    "accounts by name": role(resources=["serviceaccounts"], verbs=["impersonate"], resourceNames=["a"]),
    "system:masters by name": role(resources=["groups"], verbs=["impersonate"], resourceNames=["system:masters"]),
    "webhooks": role(resources=["validatingwebhookconfigurations"], verbs=["patch"]),
    "admission policies": role(resources=["validatingadmissionpolicybindings"], verbs=["delete"]),
    "volumes of a machine": role(resources=["persistentvolumes"], verbs=["create"]),
    "a namespace's labels": role(resources=["namespaces"], verbs=["patch"]),
    "roles": role(resources=["roles"], verbs=["update"]),
    "bindings": role(resources=["rolebindings"], verbs=["create"]),
    "network policies": role(resources=["networkpolicies"], verbs=["create"]),
    "quotas": role(resources=["resourcequotas"], verbs=["delete"]),
    "limits": role(resources=["limitranges"], verbs=["update"]),
    "certificates of users": role(resources=["certificatesigningrequests/approval"], verbs=["update"]),
    "TLS options": role(resources=["tlsoptions"], verbs=["create"]),
    "stores": role(resources=["secretstores"], verbs=["create"]),
    "endpoints": role(resources=["endpointslices"], verbs=["create"]),
    "pods everywhere": role(wide=True, verbs=["create"]),
    "jobs everywhere": role(wide=True, resources=["jobs"], verbs=["patch"]),
    "added to edit": [
        {
            "kind": "ClusterRole",
            "metadata": {"name": "r", "labels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}},
            "rules": [],
        }
    ],
    "made of others": [
        {"kind": "ClusterRole", "metadata": {"name": "r"}, "aggregationRule": {"clusterRoleSelectors": []}}
    ],
    "admin": [{"kind": "RoleBinding", "metadata": {"name": "b"}, "roleRef": {"name": "admin"}, "subjects": []}],
    "everybody": [
        {
            "kind": "RoleBinding",
            "metadata": {"name": "b"},
            "roleRef": {"name": "r"},
            "subjects": [{"kind": "Group", "name": "system:authenticated"}],
        }
    ],
}


@pytest.mark.parametrize("objects", BAD.values(), ids=BAD.keys())
def test_what_nobody_should_hold_is_found(objects: list[dict[str, Any]]) -> None:
    assert len(escalations(objects)) >= 1


@pytest.mark.parametrize(
    "objects",
    [
        role(),
        role(wide=True),
        role(verbs=["create"]),
        role(resources=["users"], verbs=["impersonate"], resourceNames=["break-glass"]),
        role(resources=["persistentvolumes"], verbs=["delete"]),
    ],
)
def test_what_may_be_held_is_not_found(objects: list[dict[str, Any]]) -> None:
    assert escalations(objects) == []


@pytest.mark.parametrize("grant", ["nodes/proxy", "serviceaccounts/token"])
def test_some_things_cannot_be_excepted(grant: str) -> None:
    assert escalations(role(resources=[grant], verbs=["create"]), {"r": [grant]})
    assert escalations(role(verbs=["*"]), {"r": ["", "pods"]})


def test_tenants_run_commands_in_pods_of_staging_alone() -> None:
    for name, may in (("tenant-admin-production", False), ("tenant-admin-staging", True), ("argocd-sync", False)):
        (found,) = [each for each in cluster_roles() if each["metadata"]["name"] == name]
        assert any("pods/exec" in rule["resources"] for rule in found["rules"]) is may


def test_a_tenants_groups_are_bound_in_its_namespace_alone() -> None:
    made = tenant_role_bindings("shop-production", "production", GROUPS)
    assert {each["metadata"]["namespace"] for each in made} == {"shop-production"}
    bound = {
        each["roleRef"]["name"]: [subject["name"] for subject in each["subjects"]] for each in made if "roleRef" in each
    }
    assert bound == {
        "argocd-sync": ["argocd-sync"],
        "tenant-admin-production": ["shop-admins"],
        "tenant-developer-production": ["shop"],
        "tenant-viewer": ["shop-viewers"],
    }
    assert {each["metadata"]["name"] for each in cluster_roles()} >= set(bound)


def test_a_persona_without_groups_is_bound_to_nobody() -> None:
    made = persona_bindings({"auditor": []})
    assert [each["metadata"]["name"] for each in made] == ["platform-break-glass"]
    assert [each["roleRef"]["name"] for each in tenant_role_bindings("a-staging", "staging", {})[1:]] == ["argocd-sync"]


@pytest.mark.parametrize("group", ["system:masters", "hetzner-platform:break-glass", ""])
def test_a_tenant_cannot_be_given_a_group_that_is_more_than_its_members(group: str) -> None:
    with pytest.raises(ValueError, match="not a tenant's to have"):
        tenant_role_bindings("shop-production", "production", {"viewer": [group]})
