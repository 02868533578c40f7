"""Which rules hold where, what an override may do, and what Pulumi makes of it."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from components.layer import chart_values
from components.policy import (
    ENFORCEMENTS,
    EXEMPT_NAMESPACES,
    Policy,
    Rules,
    admission,
    config,
    constraint_templates,
    constraints,
    isolation,
    kind_of,
    tenant_annotations,
)
from components.policy.constraints import PLATFORM_USERS, listing
from sandbox import inprocess
from sandbox.deployment import Deployment, DeploymentFailed
from tests import upstream
from tests.rules import flow_names, rules
from tests.waiting import before

ROOT = Path(__file__).resolve().parents[3]
Golden = Callable[[str, str], None]

REGISTRIES = ["registry.example.com/"]
AUDITED = {
    "K8sContainerRatios",
    "K8sHorizontalPodAutoscaler",
    "K8sPodDisruptionBudget",
    "K8sReplicaLimits",
    "VerifyDeprecatedAPI",
}


def deploy(**changes: Any) -> Deployment:
    def program() -> None:
        pin = {"repository": "https://charts.example.com", "version": "1.0.0"}
        arguments: Any = {"charts": {"gatekeeper": pin}, "enforcement": "warn", "registries": REGISTRIES, **changes}
        Policy("policy", arguments)

    return inprocess.run(program, project="test", stack="test", preview=False, skipped=frozenset({"kubernetes"}))


@pytest.fixture(scope="module")
def deployed() -> Deployment:
    return deploy(personas={"auditor": ["audit"], "platform-operator": ["platform"]})


def actions(rules: Rules) -> dict[str, str]:
    return {each["kind"]: each["spec"]["enforcementAction"] for each in constraints(rules)}


def test_constraints_are_as_reviewed(golden: Golden) -> None:
    made = [*constraints(Rules("dryrun", REGISTRIES)), config(), *admission()]
    golden("policy/constraints.yaml", yaml.safe_dump_all(made, sort_keys=False, width=120))


@pytest.mark.parametrize("enforcement", ENFORCEMENTS)
def test_what_keeps_tenants_apart_is_denied_whatever_is_configured(enforcement: Any) -> None:
    made = actions(Rules(enforcement, REGISTRIES))
    assert {made[kind] for kind in isolation()} == {"deny"}
    assert {made[kind] for kind in AUDITED} == {"dryrun"}
    assert {action for kind, action in made.items() if kind not in isolation() | AUDITED} == {enforcement}


def test_the_isolation_of_tenants_holds_everything_that_could_undo_it() -> None:
    assert isolation() == {
        "K8sExternalIPs",
        "TenantGpu",
        "TenantIngressRoute",
        "TenantMesh",
        "TenantMonitor",
        "TenantNetworkPolicy",
        "TenantPlacement",
        "TenantPriorityClass",
        "TenantReach",
        "TenantScaledObject",
        "TenantSecretStore",
        "TenantService",
        "TenantServiceAccount",
        "TenantTraefik",
    }


def test_an_override_changes_one_kind_and_no_other() -> None:
    before = actions(Rules("dryrun", REGISTRIES))
    after = actions(Rules("dryrun", REGISTRIES, {"K8sReplicaLimits": "deny", "K8sImageDigests": "warn"}))
    assert {kind: action for kind, action in after.items() if action != before[kind]} == {
        "K8sReplicaLimits": "deny",
        "K8sImageDigests": "warn",
    }


def test_everything_that_is_wrong_is_refused_at_once_with_its_key() -> None:
    with pytest.raises(DeploymentFailed) as refused:
        deploy(
            overrides={"K8sImageDigest": "deny", "TenantTraefik": "dryrun", "K8sHttpsOnly": "forbid"},
            registries=["registry.example.com"],
            enforcement="enforce",
            personas={"tenant-admin": ["shop"], "auditor": ["system:masters", "audit"]},
            charts={},
        )
    told = str(refused.value)
    for line in (
        "policy.overrides.K8sImageDigest = 'deny': names no constraint; one of: K8sAllowedReposv2, ",
        "policy.overrides.TenantTraefik = 'dryrun': keeps tenants apart, and is always denied; remove the override",
        "policy.overrides.K8sHttpsOnly = 'forbid': is no enforcement; one of: dryrun, warn, deny",
        "policy.enforcement = 'enforce': is no enforcement",
        "image_registries[0] = 'registry.example.com': does not end with '/'",
        "personas.tenant-admin = ['shop']: is no persona of the whole cluster",
        "personas.auditor[0] = 'system:masters': is one of Kubernetes' own or the platform's",
        "charts.gatekeeper = None: is not pinned",
    ):
        assert line in told


def test_no_registry_at_all_is_refused() -> None:
    with pytest.raises(DeploymentFailed, match="image_registries = \\[\\]: is empty"):
        deploy(registries=[])


def test_an_override_may_say_what_is_so_anyhow() -> None:
    assert deploy(overrides={"TenantTraefik": "deny"}).named("policy-platform-tenant-traefik").inputs["spec"]


def test_a_template_waits_for_gatekeeper_and_a_constraint_for_its_kind(deployed: Deployment) -> None:
    made = deployed.resources
    assert "policy-gatekeeper" in before(made, "policy-k8simagedigests-constraint-template")
    constraints = [each.name for each in deployed.resources if ":constraints.gatekeeper" in each.type]
    templates = {each.name for each in made if each.name.endswith("-constraint-template")}
    assert all(templates <= before(made, name) for name in constraints)
    template = deployed.named("policy-k8simagedigests-constraint-template").inputs
    assert template["metadata"]["annotations"]["pulumi.com/waitFor"] == "jsonpath={.status.created}=true"
    kinds = {
        resource.type.rpartition(":")[2]
        for resource in deployed.resources
        if ":constraints.gatekeeper" in resource.type
    }
    assert kinds == set(listing())


def test_gatekeepers_pods_reach_the_api_alone_and_are_asked_by_it(deployed: Deployment) -> None:
    made = [
        resource.inputs
        for resource in deployed.resources
        if resource.type.endswith(("v1:NetworkPolicy", "v2:CiliumNetworkPolicy"))
    ]
    assert flow_names(made) == {"dns", "to-api-server", "webhooks", "metrics", "probe-in", "probe-out"}
    (webhooks,) = rules(made, "webhooks")
    selector = webhooks.policy["spec"]["endpointSelector"]
    assert selector == {}, "the release's jobs carry other labels than its deployments"


def test_gatekeepers_absence_locks_nobody_out() -> None:
    values = chart_values("gatekeeper")
    assert values["validatingWebhookFailurePolicy"] == "Ignore"
    assert values["validatingWebhookCheckIgnoreFailurePolicy"] == "Ignore"
    assert values["preUninstall"]["deleteWebhookConfigurations"]["enabled"] is True


def test_the_platforms_namespaces_are_not_looked_at_and_tenants_are() -> None:
    (unseen,) = config()["spec"]["match"]
    assert set(unseen["excludedNamespaces"]) == set(EXEMPT_NAMESPACES)
    assert "sync" not in unseen["processes"], "constraints read tenants' facts from what is synchronised"
    assert {each["kind"] for each in config()["spec"]["sync"]["syncOnly"]} >= {"Namespace", "IngressRoute", "Ingress"}


def test_argo_cd_is_not_the_platform() -> None:
    """It writes what tenants tell it."""
    assert [group for group in PLATFORM_USERS if "argocd" in group or group == "system:serviceaccounts"] == []


def test_a_tenants_facts_stand_on_its_namespace() -> None:
    assert tenant_annotations(["b.example.com", "a.example.com"], ["internet"], 2) == {
        "hetzner-platform/hosts": "a.example.com,b.example.com",
        "hetzner-platform/reaches": "internet",
        "hetzner-platform/gpus": "2",
    }


@pytest.mark.parametrize("host", ["a.example.com,b.example.com", "", "a b", "a\n"])
def test_a_fact_that_would_read_as_two_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is no single name"):
        tenant_annotations([host], [], 0)


def strict(schema: Any) -> Any:
    """With what Kubernetes would silently drop as an error."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if (
        "properties" in made
        and "apiVersion" not in made["properties"]
        and "x-kubernetes-preserve-unknown-fields" not in made
    ):
        made.setdefault("additionalProperties", False)
    return made


@functools.cache
def definition(name: str, version: str) -> Any:
    return strict(upstream.versions(f"gatekeeper/{name}")[version])


@pytest.mark.parametrize("template", constraint_templates(), ids=kind_of)
def test_a_template_fits_its_definition(template: dict[str, Any]) -> None:
    schema = definition("constrainttemplates.templates.gatekeeper.sh", "v1")
    jsonschema.validate(template, schema)
    with pytest.raises(jsonschema.ValidationError, match="surplus"):
        jsonschema.validate({**template, "spec": {**template["spec"], "surplus": True}}, schema)


def test_gatekeepers_config_fits_its_definition() -> None:
    schema = definition("configs.config.gatekeeper.sh", "v1alpha1")
    jsonschema.validate(config(), schema)
    with pytest.raises(jsonschema.ValidationError, match="surplus"):
        jsonschema.validate({**config(), "spec": {"surplus": 1}}, schema)


@pytest.mark.parametrize("template", constraint_templates(), ids=kind_of)
def test_a_constraint_gives_its_template_the_parameters_that_it_reads(template: dict[str, Any]) -> None:
    (constraint,) = [each for each in constraints(Rules("deny", REGISTRIES)) if each["kind"] == kind_of(template)]
    schema = template["spec"]["crd"]["spec"]["validation"]["openAPIV3Schema"]
    given = constraint["spec"].get("parameters", {})
    jsonschema.validate(given, schema)
    assert set(given) <= set(schema.get("properties", {}))
    rego = template["spec"]["targets"][0]["code"][0]["source"]["rego"]
    assert {name for name in schema.get("properties", {}) if name not in rego} <= {
        "requests",
        "limits",
        "cpu",
        "memory",
        "except",
    }
    assert template["metadata"]["name"] == kind_of(template).lower()
    assert template["metadata"]["annotations"]["description"].endswith(".")
