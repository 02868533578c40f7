"""Who may do what in a region, with its own groups: requests in their name, and the API server's own authorizer."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.policy.test_personas import (
    ALLOWED,
    ANOTHER,
    NEVER,
    PLATFORM,
    PRODUCTION,
    REFUSED,
    STAGING,
    TENANTS,
    WHO,
    rows,
)

from .cluster import RegionCluster, Who
from .composition import Object
from .pods import pod

ROOT = Path(__file__).resolve().parents[2]
CONFIG: dict[str, Any] = {
    name: yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8")) for name in ("platform", "tenants")
}
SUPPORT = "support"
"""A group of two tenants."""

NAMES = {PRODUCTION: "accounts-production", STAGING: "accounts-staging", ANOTHER: "ml-production", PLATFORM: "traefik"}
"""Namespaces of the region for those of the table."""

FORBIDDEN = 403


def person(group: str) -> Who:
    return Who("somebody", (group, "system:authenticated"))


def account(namespace: str, name: str) -> Who:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return Who(f"system:serviceaccount:{namespace}:{name}", groups)


def who(persona: str) -> Who:
    """A persona of the table, by the groups that the configuration names."""
    if persona in CONFIG["platform"]["personas"]:
        return person(CONFIG["platform"]["personas"][persona][0])
    if persona == "argocd-sync":
        return account("accounts-production", "argocd-sync")
    groups = CONFIG["tenants"]["accounts"]["groups"]
    return person(groups[persona.removeprefix("tenant-")][0] if persona in TENANTS else WHO[persona])


def allowed(cluster: RegionCluster, row: tuple[str, str, str, str]) -> bool:
    persona, verb, resource, place = row
    group, _, rest = resource.rpartition(":")
    plural, _, subresource = rest.partition("/")
    asked = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
    asked["namespace"] = NAMES.get(place, place)
    meant = who(persona)
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": meant.user, "groups": list(meant.groups), "resourceAttributes": asked},
    }
    return bool(cluster.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)["status"]["allowed"])


def differing(cluster: RegionCluster, table: str, expected: bool) -> list[tuple[str, ...]]:
    wanted = list(rows(table))
    with ThreadPoolExecutor(4) as workers:
        answers = list(workers.map(lambda row: allowed(cluster, row), wanted))
    assert len(answers) > 30
    return [row for row, answer in zip(wanted, answers, strict=True) if answer is not expected]


def test_personas_may_do_what_they_are_for(cluster: RegionCluster) -> None:
    assert differing(cluster, ALLOWED, True) == []


def test_personas_may_do_no_more(cluster: RegionCluster) -> None:
    assert differing(cluster, REFUSED, False) == []


def granted(rule: Object, verb: str, resource: str) -> bool:
    """Whether one of the API server's rules grants it for objects of any name."""
    group, _, rest = resource.rpartition(":")
    subresource = rest.partition("/")[2]
    resources = {"*", rest, *([f"*/{subresource}"] if subresource else [])}
    return (
        not rule.get("resourceNames")
        and not {"*", verb}.isdisjoint(rule["verbs"])
        and not {"*", group}.isdisjoint(rule["apiGroups"])
        and not resources.isdisjoint(rule["resources"])
    )


def granted_rows(cluster: RegionCluster, table: str) -> list[tuple[str, ...]]:
    """Rows of a table that the API server's list of somebody's rights grants. What is granted everywhere is in every namespace's."""
    held: dict[tuple[str, str], list[Object]] = {}
    found: list[tuple[str, ...]] = []
    for row in rows(table):
        persona, verb, resource, place = row
        at = (persona, NAMES.get(place, place) or "default")
        if at not in held:
            held[at] = rules(cluster, who(persona), at[1])
        if any(granted(rule, verb, resource) for rule in held[at]):
            found.append(row)
    return found


def test_what_is_never_granted_is_granted_nowhere(cluster: RegionCluster) -> None:
    lines = NEVER.strip().splitlines()
    tenants = [f"{persona} {line} production staging cluster" for persona in TENANTS for line in lines]
    platform = [
        f"{persona} {line} production platform cluster" for persona in CONFIG["platform"]["personas"] for line in lines
    ]
    assert granted_rows(cluster, "\n".join([*tenants, *platform])) == []
    # The control: what is granted is found in these lists.
    assert granted_rows(cluster, ALLOWED) == list(rows(ALLOWED))


def test_the_configured_groups_are_bound_and_no_others(cluster: RegionCluster) -> None:
    version = "rbac.authorization.k8s.io/v1"
    ours = {each["metadata"]["name"] for each in cluster.composition.objects() if each["kind"] == "ClusterRoleBinding"}
    bound = {
        (subject["kind"], subject["name"])
        for each in cluster.items(version, "ClusterRoleBinding")
        if each["metadata"]["name"] in ours
        for subject in each["subjects"]
    }
    people = {group for groups in CONFIG["platform"]["personas"].values() for group in groups}
    assert {name for kind, name in bound if kind == "Group"} == {*people, "hetzner-platform:break-glass"}
    assert {name for kind, name in bound if kind == "User"} == set()


# --- tenants


STRANGER = person("nobody-in-particular")
"""In no group that anybody has named."""


def environments() -> dict[str, list[str]]:
    """Namespaces by tenant."""
    return {tenant: [f"{tenant}-{each}" for each in told["environments"]] for tenant, told in CONFIG["tenants"].items()}


def groups_of(tenant: str) -> set[str]:
    return {group for groups in CONFIG["tenants"][tenant]["groups"].values() for group in groups}


def rules(cluster: RegionCluster, meant: Who, namespace: str) -> list[Object]:
    """Everything that somebody may do in a namespace, as the API server itself lists it."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = cluster.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body, who=meant)["status"]
    assert answer["incomplete"] is False
    return sorted(answer["resourceRules"], key=str)


def test_a_tenant_has_no_right_in_any_namespace_that_is_not_its_own(cluster: RegionCluster) -> None:
    names = [each["metadata"]["name"] for each in cluster.items("v1", "Namespace")]
    own = {(group, name) for tenant, mine in environments().items() for group in _own(tenant) for name in mine}
    tried = [(group, name) for group in sorted({group for group, _ in own}) for name in names]
    nothing = rules(cluster, STRANGER, "default")
    more = {(group, name): given for group, name in tried if (given := rules(cluster, person(group), name)) != nothing}
    # Who leads a tenant writes its secrets: over a port of the engine's pods, once the engine knows who it is.
    writers = {
        (group, "openbao") for tenant in environments() for group in CONFIG["tenants"][tenant]["groups"]["admin"]
    }
    assert more.keys() == own | writers
    for at in writers:
        assert [each for each in more[at] if each not in nothing] == [
            {"verbs": ["create"], "apiGroups": [""], "resources": ["pods/portforward"]},
            {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["services", "pods"]},
        ]
    assert len(tried) == 6 * len(names)


def _own(tenant: str) -> set[str]:
    """Groups of this tenant and of no other."""
    return groups_of(tenant) - {SUPPORT}


def test_who_helps_two_tenants_looks_into_both_and_no_third(cluster: RegionCluster) -> None:
    names = [each["metadata"]["name"] for each in cluster.items("v1", "Namespace")]
    nothing = rules(cluster, STRANGER, "default")
    seen = {name for name in names if rules(cluster, person(SUPPORT), name) != nothing}
    assert seen == {*environments()["accounts"], *environments()["gateway"]}


def objects(namespace: str) -> list[Object]:
    """One of each kind that a tenant makes."""
    metadata = {"name": "tried", "namespace": namespace, "labels": {"app": "tried"}}
    template = {"metadata": {"labels": {"app": "tried"}}, "spec": pod(namespace)["spec"]}
    tenant, _, environment = namespace.rpartition("-")
    hosts = CONFIG["tenants"][tenant]["environments"][environment]["hosts"]
    rule = {"kind": "Rule", "match": f"Host(`{hosts[0]}`)", "services": [{"name": "web", "port": 80}]}
    return [
        {**pod(namespace), "metadata": metadata},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"selector": {"matchLabels": {"app": "tried"}}, "template": template},
        },
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "IngressRoute",
            "metadata": metadata,
            "spec": {"entryPoints": ["websecure"], "routes": [rule], "tls": {}},
        },
        {
            "apiVersion": "external-secrets.io/v1",
            "kind": "ExternalSecret",
            "metadata": metadata,
            "spec": {
                "secretStoreRef": {"kind": "SecretStore", "name": "tenant"},
                "dataFrom": [{"extract": {"key": f"{namespace}/app"}}],
            },
        },
    ]


VERBS = ("get", "list", "watch", "create", "delete")


def answers(cluster: RegionCluster, meant: Who, namespace: str) -> Iterator[tuple[str, str, int]]:
    """Kind, verb and what the API server answers to each real request; nothing is made or deleted."""
    for each in objects(namespace):
        version, kind = each["apiVersion"], each["kind"]
        many, one = cluster.path(version, kind, namespace), cluster.path(version, kind, namespace, "tried")
        yield kind, "get", cluster.status("GET", one, who=meant)
        yield kind, "list", cluster.status("GET", many, who=meant)
        yield kind, "watch", cluster.status("GET", many, who=meant, watch="1", timeoutSeconds="1")
        yield kind, "create", cluster.status("POST", many, each, who=meant, dryRun="All", fieldValidation="Strict")
        yield kind, "delete", cluster.status("DELETE", one, who=meant, dryRun="All")


DONE = {"get": 404, "list": 200, "watch": 200, "create": 201, "delete": 404}
"""What who may is answered, where there is nothing of this name."""

LOOKS = {verb: DONE[verb] if verb in ("get", "list", "watch") else FORBIDDEN for verb in VERBS}
NOTHING = dict.fromkeys(VERBS, FORBIDDEN)


def told(cluster: RegionCluster, meant: Who, namespace: str) -> dict[str, set[int]]:
    """By verb: every answer of any kind."""
    found: dict[str, set[int]] = {verb: set() for verb in VERBS}
    for _, verb, status in answers(cluster, meant, namespace):
        found[verb].add(status)
    return found


def only(expected: dict[str, int]) -> dict[str, set[int]]:
    return {verb: {status} for verb, status in expected.items()}


@pytest.mark.usefixtures("counted")
def test_requests_of_a_tenants_groups_in_its_own_namespaces(cluster: RegionCluster) -> None:
    groups = CONFIG["tenants"]["accounts"]["groups"]
    admin, developer, viewer = (person(groups[role][0]) for role in ("admin", "developer", "viewer"))
    production, staging = environments()["accounts"]
    assert told(cluster, admin, production) == told(cluster, admin, staging) == only(DONE)
    assert (told(cluster, developer, production), told(cluster, developer, staging)) == (only(LOOKS), only(DONE))
    assert told(cluster, viewer, production) == told(cluster, viewer, staging) == only(LOOKS)
    assert told(cluster, account(production, "argocd-sync"), production) == only(DONE)


@pytest.mark.parametrize(
    ("tenant", "another"), [pair for pair in product(("accounts", "gateway", "ml"), repeat=2) if pair[0] != pair[1]]
)
def test_requests_of_a_tenants_groups_in_anothers_namespaces(cluster: RegionCluster, tenant: str, another: str) -> None:
    meant = [person(group) for group in sorted(_own(tenant))]
    meant.append(account(environments()[tenant][0], "argocd-sync"))
    name = environments()[another][0]
    assert [each for each in meant if told(cluster, each, name) != only(NOTHING)] == []


def test_what_argo_syncs_with_is_for_one_namespace_of_its_tenant(cluster: RegionCluster) -> None:
    production, staging = environments()["accounts"]
    assert told(cluster, account(production, "argocd-sync"), staging) == only(NOTHING)


@pytest.mark.parametrize("verb", ["get", "list", "watch"])
def test_nobody_but_who_breaks_the_glass_reads_secrets(cluster: RegionCluster, verb: str) -> None:
    everybody = [person(group) for tenant in CONFIG["tenants"] for group in groups_of(tenant)]
    everybody += [person(group) for groups in CONFIG["platform"]["personas"].values() for group in groups]
    query = {"watch": "1", "timeoutSeconds": "1"} if verb == "watch" else {}
    for name in ("accounts-production", "traefik", "openbao", "kube-system"):
        path = cluster.path("v1", "Secret", name, "tried" if verb == "get" else "")
        assert {cluster.status("GET", path, who=each, **query) for each in everybody} == {FORBIDDEN}
        glass = Who("break-glass", ("hetzner-platform:break-glass", "system:authenticated"))
        assert cluster.status("GET", path, who=glass, **query) == (404 if verb == "get" else 200)
