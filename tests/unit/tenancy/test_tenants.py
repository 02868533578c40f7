"""Tenants as the engine would receive them: what each has, what waits for what, and that none knows of another."""

from collections.abc import Callable, Sequence
from typing import Any

import pulumi
import pytest
import yaml

from components.layer import Flow, Pods, policies
from components.policy import cluster_roles
from components.storage import CONSUMERS
from components.tenancy import (
    Reach,
    TenantArgs,
    Tenants,
    namespace_of,
    platform_flows,
    reach_label,
    tenant_flows,
)
from components.tenancy.limits import limits, priority_quota, quota
from sandbox.deployment import Deployment, Resource
from sandbox.inprocess import run
from tests.waiting import before

Golden = Callable[[str, str], None]
ALL: tuple[Reach, ...] = ("databases", "internet", "object-store", "kubernetes-api")
OBJECT_STORE = Flow("to-object-store", "egress", [Pods("object-store")], [9000], reach_label("object-store"))


def flows(*reaches: Reach) -> list[Flow]:
    return tenant_flows(reaches, postgres="10.1.3.1", redis="10.1.3.2", object_store=OBJECT_STORE)


def tenant(name: str = "orders", environment: Any = "production", **changes: Any) -> TenantArgs:
    made: Any = {
        "tenant": name,
        "environment": environment,
        "owner": f"team-{name}",
        "quota": {"cpu": "2", "memory": "4Gi", "pods": 20, "storage": "10Gi", "gpus": 1},
        "flows": flows("databases", "object-store"),
        **changes,
    }
    return made


def deployed(tenants: Sequence[TenantArgs], after: Sequence[pulumi.Resource] = ()) -> Deployment:
    def program() -> None:
        Tenants("tenants", {"tenants": tenants, "platform_flows": platform_flows(4180)}, after=after)

    return run(program, project="hetzner-platform", stack="test", skipped=frozenset({"kubernetes"}))


def named(deployment: Deployment) -> dict[str, Resource]:
    return {resource.name: resource for resource in deployment.resources}


def belonging(deployment: Deployment, namespace: str) -> dict[str, Resource]:
    return {name: each for name, each in named(deployment).items() if each.parent.endswith(f"::tenants-{namespace}")}


@pytest.fixture(scope="module")
def one() -> Deployment:
    store = {
        "apiVersion": "external-secrets.io/v1",
        "kind": "SecretStore",
        "metadata": {"name": "tenant", "namespace": "orders-production"},
        "spec": {},
    }
    constraint = {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1",
        "kind": "TenantRoutes",
        "metadata": {"name": "orders-production"},
        "spec": {},
    }
    given = tenant(objects=[store, constraint], object_store={"S3_SECRET_KEY": "hidden"}, protect=True)
    return deployed([given | {"annotations": {"hetzner-platform/hosts": "orders.example.com"}}])


def test_policies_of_a_tenant_with_every_reach_are_as_reviewed(golden: Golden) -> None:
    text = yaml.safe_dump_all(policies("orders-production", flows(*ALL)), sort_keys=False)
    golden("tenancy/policies.yaml", text)


def test_policies_of_the_platforms_namespace_are_as_reviewed(golden: Golden) -> None:
    golden(
        "tenancy/platform-policies.yaml",
        yaml.safe_dump_all(policies("platform", platform_flows(4180)), sort_keys=False),
    )


def test_of_nothing_that_a_tenant_makes_there_is_any_number() -> None:
    """Pods are counted by the quota itself; all namespaces share one etcd."""
    counted = set(quota("orders-production", tenant()["quota"])["spec"]["hard"])
    roles = {role["metadata"]["name"]: role["rules"] for role in cluster_roles()}
    made = {
        f"count/{resource}.{group}" if group else resource
        for name in ("tenant-admin-production", "tenant-admin-staging", "tenant-developer-staging", "argocd-sync")
        for rule in roles[name]
        if "create" in rule["verbs"]
        for group in rule["apiGroups"]
        # Not installed yet: what is not there is not counted.
        if group not in ("keda.sh", "monitoring.coreos.com")
        for resource in rule["resources"]
        # What is below an object is none.
        if "/" not in resource
    }
    assert {each for each in made if each not in counted and f"count/{each}" not in counted} == set()


def test_quota_and_limits_are_as_reviewed(golden: Golden) -> None:
    wanted = tenant()["quota"]
    objects = [quota("orders-production", wanted), priority_quota("orders-production", "production")]
    golden("tenancy/limits.yaml", yaml.safe_dump_all([*objects, limits("orders-production", wanted)], sort_keys=False))


def test_pods_ask_for_the_object_store_by_the_label_that_it_lets_in_and_that_is_named_as_the_others() -> None:
    assert reach_label("object-store") == CONSUMERS
    assert {name.partition("/")[0] for reach in ALL for name in reach_label(reach)} == {"hetzner-platform"}


@pytest.mark.parametrize("reach", ALL)
def test_what_a_tenant_is_not_permitted_no_policy_of_its_opens(reach: Reach) -> None:
    asked = {flow.name for flow in flows(*ALL) if reach_label(reach).items() <= dict(flow.pods).items()}
    assert asked, "a reach opens something"
    without = {flow.name for flow in flows(*(each for each in ALL if each != reach))}
    assert not asked & without


def test_a_namespace_is_restricted_meshed_and_says_whose_it_is(one: Deployment) -> None:
    metadata = named(one)["tenants-orders-production-namespace"].inputs["metadata"]
    assert metadata["labels"] == {
        "hetzner-platform/layer": "tenants",
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
        "hetzner-platform/tenancy": "tenant",
        "hetzner-platform/tenant": "orders",
        "hetzner-platform/environment": "production",
        "hetzner-platform/owner": "team-orders",
    }
    assert metadata["annotations"] == {
        "linkerd.io/inject": "enabled",
        "config.linkerd.io/default-inbound-policy": "deny",
        "hetzner-platform/hosts": "orders.example.com",
    }


def test_the_account_that_pods_get_by_themselves_has_no_token(one: Deployment) -> None:
    account = named(one)["tenants-orders-production-default-account"].inputs
    assert (account["metadata"]["name"], account["automountServiceAccountToken"]) == ("default", False)


def test_what_other_layers_give_it_is_there_and_the_key_is_secret(one: Deployment) -> None:
    made = belonging(one, "orders-production")
    assert "tenants-orders-production-tenant-secret-store" in made
    assert "tenants-orders-production-tenant-routes" in made
    secret = made["tenants-orders-production-object-store-secret"].inputs
    assert (secret["metadata"]["name"], secret["stringData"]) == ("object-store", "[secret]")


def test_the_key_may_be_known_only_later() -> None:
    """As the object store hands it over."""

    def program() -> None:
        given = tenant(object_store=pulumi.Output.from_input({"S3_SECRET_KEY": "hidden"}))
        Tenants("tenants", {"tenants": [given], "platform_flows": platform_flows(4180)})

    made = run(program, project="hetzner-platform", stack="test", skipped=frozenset({"kubernetes"}))
    assert named(made)["tenants-orders-production-object-store-secret"].inputs["stringData"] == "[secret]"


def test_a_tenant_waits_for_what_tenants_share_and_for_no_other_tenant() -> None:
    made = deployed([tenant(), tenant("shop")]).resources
    for name in (each.name for each in made if each.name.startswith("tenants-orders-production-")):
        waits = before(made, name)
        assert not [other for other in waits if "shop" in other]
        assert "tenants-tenant-staging-priority-class" in waits
        assert name.endswith(("-namespace", "-routes")) or "tenants-orders-production-namespace" in waits


def test_protection_is_of_the_namespace(one: Deployment) -> None:
    kept = {name for name, each in belonging(one, "orders-production").items() if each.protect}
    assert kept == {"tenants-orders-production-namespace"}
    assert not any(each.protect for each in deployed([tenant()]).resources)


def test_adding_a_tenant_touches_no_other() -> None:
    before, after = (deployed([tenant("orders"), *more]) for more in ([], [tenant("billing", "staging")]))
    old, new = named(before), named(after)
    assert {name: each.inputs for name, each in old.items()} == {name: new[name].inputs for name in old}
    assert {name: each.dependencies for name, each in old.items()} == {name: new[name].dependencies for name in old}
    added = new.keys() - old.keys()
    assert added == {"tenants-billing-staging", *belonging(after, "billing-staging")}


def test_the_order_of_tenants_means_nothing() -> None:
    names = [("orders", "production"), ("orders", "staging"), ("billing", "production")]
    there, back = (deployed([tenant(*each) for each in order]) for order in (names, names[::-1]))
    assert named(there).keys() == named(back).keys()


def test_a_tenant_costs_as_many_resources_whatever_the_number_of_tenants() -> None:
    few, many = (len(deployed([tenant(f"t{number}") for number in range(count)]).resources) for count in (1, 6))
    each = len(belonging(deployed([tenant()]), "orders-production")) + 1
    assert many - few == 5 * each


def test_staging_takes_no_room_from_production(one: Deployment) -> None:
    classes = {name: each.inputs for name, each in named(one).items() if name.endswith("priority-class")}
    production = classes["tenants-tenant-production-priority-class"]
    staging = classes["tenants-tenant-staging-priority-class"]
    assert (production["value"] > staging["value"], staging["preemptionPolicy"]) == (True, "Never")


def test_a_namespace_is_named_by_tenant_and_environment() -> None:
    assert namespace_of("orders", "staging") == "orders-staging"
