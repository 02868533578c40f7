"""Which hosts a tenant's route takes, whom its network policies let in, and how many containers a pod has, the API server
itself checks: with or without Gatekeeper.
"""

import itertools
import time
from typing import Any

import pytest
from kubernetes import client, dynamic
from kubernetes.client.exceptions import ApiException

from components.layer import Flow, Pods, policies
from components.policy import BREAK_GLASS_GROUP, admission, tenant_annotations, tenant_role_bindings
from components.tenancy import tenant_flows
from tests.discovery import discovered
from tests.policy import suites
from tests.policy.conftest import requests_of
from tests.sandbox.kubernetes.conftest import ControlPlane

WAIT_SECONDS = 120
TENANT, PLATFORM = "orders-production", "openbao"
CASES = {case.name: case for case in suites.cases("TenantIngressRoute")}
SAID = (
    "another tenant's host",
    "the other environment's host",
    "a name below its own",
    "no host",
    "two hosts in one",
    "or",
    "and",
    "a pattern",
    "not",
    "upper case",
    "lower case",
    "other quotes",
    "a letter that looks like another",
    "a dot at the end",
    "a line break",
    "a quote in the path",
    "a comma in the host",
    "nothing",
    "the second route",
    "no TLS",
    "TLS options",
    "TLS options of another namespace",
    "a TLS store",
    "a resolver",
    "a certificate",
    "domains",
    "a route above it",
    "every entry point",
    "the plain entry point",
    "one more entry point",
)
"""Of the constraint's bad cases, those that the API server refuses too."""


NETWORK = {case.name: case for case in suites.cases("TenantNetworkPolicy")}
AUDITED = ("what is there", "the platform's own")
"""Of the constraint's good cases, those that a tenant could not make."""
FLOWS = tenant_flows(
    ["databases", "internet"],
    postgres="10.1.3.1",
    redis="10.1.3.2",
    object_store=Flow("to-object-store", "egress", [Pods("object-store")], [9000]),
)
SYNC = f"system:serviceaccount:{TENANT}:argocd-sync"


def _definition(group: str, kind: str, version: str) -> Any:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    plural = "ciliumnetworkpolicies" if group == "cilium.io" else f"{kind.lower()}s"
    return {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


@pytest.fixture(scope="module")
def in_force(kinds: dynamic.DynamicClient, api: client.ApiClient, core: client.CoreV1Api) -> None:
    """The admission policies, and a tenant's namespace."""
    definitions = client.ApiextensionsV1Api(api)
    for definition in (
        _definition("traefik.io", "IngressRoute", "v1alpha1"),
        _definition("cilium.io", "CiliumNetworkPolicy", "v2"),
    ):
        definitions.create_custom_resource_definition(definition)
    _namespace(core, TENANT, tenant_annotations(["orders.example.com", "api.example.com"], [], 0))
    for name in ("somewhere", PLATFORM):
        _namespace(core, name, {})
    for manifest in admission():
        kinds.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"]).create(body=manifest)


def refused_soon(kinds: dynamic.DynamicClient, version: str, kind: str, thing: dict[str, Any], policy: str) -> Any:
    """The client of a kind, once a policy refuses what is bad."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            made: Any = kinds.resources.get(api_version=version, kind=kind)
            made.create(body=_named(thing), namespace=TENANT)
        except dynamic.exceptions.ResourceNotFoundError:
            kinds.resources.invalidate_cache()
        except ApiException as error:
            # Definitions and roles are known a moment after they are there; a refusal of the policy is what is waited for.
            if error.status == 422 and policy in str(error.body):
                return made
        assert time.monotonic() < deadline, f"{policy} is not in force"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def routes(kinds: dynamic.DynamicClient, in_force: None) -> Any:
    """IngressRoutes, with the policy in force."""
    bad = CASES["another tenant's host"].object
    return refused_soon(kinds, "traefik.io/v1alpha1", "IngressRoute", bad, "tenant-hosts")


@pytest.fixture(scope="module")
def synced(plane: ControlPlane, kinds: dynamic.DynamicClient, roles: None, in_force: None) -> Any:
    """NetworkPolicies as Argo CD writes them for a tenant, with the policy in force."""
    for manifest in tenant_role_bindings(TENANT, "production", {}):
        kind = kinds.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        kind.create(body=manifest, namespace=TENANT)
    asked = discovered(requests_of(plane, SYNC, ["system:authenticated"]))
    bad = NETWORK["out"].object
    return refused_soon(asked, "networking.k8s.io/v1", "NetworkPolicy", bad, "tenant-network-policies")


def _namespace(core: client.CoreV1Api, name: str, annotations: dict[str, str]) -> None:
    metadata: Any = {"name": name, "annotations": annotations}
    try:
        core.create_namespace({"metadata": metadata})
    except ApiException as error:
        if error.status != 409:
            raise
        core.patch_namespace(name, {"metadata": metadata})


def _named(thing: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in thing["metadata"].items() if key not in ("name", "namespace")}
    return {**thing, "metadata": {**metadata, "generateName": "made-"}}


def refusal(routes: Any, thing: dict[str, Any], namespace: str = TENANT) -> str:
    """What the API server says against it; nothing when it takes it."""
    try:
        routes.create(body=_named(thing), namespace=namespace)
    except ApiException as error:
        return str(error.body)
    return ""


@pytest.mark.parametrize("name", SAID)
def test_a_route_that_takes_more_than_its_own_is_refused(name: str, routes: Any) -> None:
    assert CASES[name].bad
    assert "tenant-hosts" in refusal(routes, CASES[name].object)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.bad and "platform" not in name])
def test_a_route_of_its_own_is_taken(name: str, routes: Any) -> None:
    assert refusal(routes, CASES[name].object) == ""


def test_a_namespace_without_hosts_has_no_routes(routes: Any) -> None:
    assert "tenant-hosts" in refusal(routes, suites.base("route"), "somewhere")


def test_the_platforms_own_routes_are_its_own(routes: Any) -> None:
    assert refusal(routes, CASES["the platform's own routes"].object, PLATFORM) == ""


def test_a_route_that_is_there_is_not_changed_to_anothers_host(routes: Any) -> None:
    made = routes.create(body=_named(suites.base("route")), namespace=TENANT).to_dict()
    made["spec"]["routes"][0]["match"] = "Host(`vision.example.com`)"
    with pytest.raises(ApiException, match="tenant-hosts"):
        routes.replace(body=made, namespace=TENANT)


def test_a_route_that_is_held_while_it_goes_is_not_changed_to_anothers_host(routes: Any) -> None:
    """Traefik serves it until it is gone, and its tenant says with a finalizer when that is."""
    thing = _named(suites.base("route"))
    thing["metadata"]["finalizers"] = ["example.com/held"]
    name = routes.create(body=thing, namespace=TENANT).metadata.name
    routes.delete(name=name, namespace=TENANT)
    going = routes.get(name=name, namespace=TENANT).to_dict()
    assert going["metadata"]["deletionTimestamp"]
    going["spec"]["routes"][0]["match"] = "Host(`vision.example.com`)"
    with pytest.raises(ApiException, match="tenant-hosts"):
        routes.replace(body=going, namespace=TENANT)
    routes.patch(
        body={"metadata": {"name": name, "finalizers": None}},
        namespace=TENANT,
        content_type="application/merge-patch+json",
    )
    with pytest.raises(ApiException, match="not found"):
        routes.get(name=name, namespace=TENANT)


@pytest.mark.parametrize("name", [name for name, case in NETWORK.items() if case.bad and name != "of Cilium"])
def test_a_network_policy_that_lets_others_in_or_anything_out_is_refused(name: str, synced: Any) -> None:
    assert "tenant-network-policies" in refusal(synced, NETWORK[name].object)


@pytest.mark.parametrize("name", [name for name, case in NETWORK.items() if not case.bad and name not in AUDITED])
def test_a_network_policy_that_lets_in_whom_it_may_is_taken(name: str, synced: Any) -> None:
    assert refusal(synced, NETWORK[name].object) == ""


DISGUISED = {
    "the own namespace and others": {"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]},
    "two labels": {"matchLabels": {"kubernetes.io/metadata.name": TENANT, "hetzner-platform/tenancy": "tenant"}},
    "nobody's label": {"matchLabels": {}},
}


@pytest.mark.parametrize("selector", DISGUISED.values(), ids=DISGUISED.keys())
def test_a_peer_is_named_by_its_namespace_and_by_nothing_else(selector: dict[str, Any], synced: Any) -> None:
    thing = suites.changed(
        {"base": "network-policy", "set": {"spec/ingress/0/from": [{"namespaceSelector": selector}]}}
    )
    assert "tenant-network-policies" in refusal(synced, thing)


def test_a_network_policy_of_nobody_is_refused(synced: Any) -> None:
    thing = suites.changed({"base": "network-policy", "unset": ["metadata/labels"]})
    assert "has the label hetzner-platform/tenant" in refusal(synced, thing)


def test_a_tenant_changes_and_removes_what_is_its_own(synced: Any) -> None:
    made = synced.create(body=_named(suites.base("network-policy")), namespace=TENANT).to_dict()
    made["spec"]["ingress"] = []
    made = synced.replace(body=made, namespace=TENANT).to_dict()
    made["spec"]["ingress"] = [{}]
    with pytest.raises(ApiException, match="every rule must name whom it lets in"):
        synced.replace(body=made, namespace=TENANT)
    synced.delete(name=made["metadata"]["name"], namespace=TENANT)


def test_what_the_platform_closed_stays_closed_and_what_it_opened_stays_open(
    synced: Any, kinds: dynamic.DynamicClient
) -> None:
    given: Any = kinds.resources.get(api_version="networking.k8s.io/v1", kind="NetworkPolicy")
    plain = [each for each in policies(TENANT, FLOWS) if each["kind"] == "NetworkPolicy"]
    assert "default-deny" in {each["metadata"]["name"] for each in plain}
    for manifest in plain:
        given.create(body=manifest, namespace=TENANT)
    for name in (each["metadata"]["name"] for each in plain):
        there = given.get(name=name, namespace=TENANT).to_dict()
        own = suites.base("network-policy")
        with pytest.raises(ApiException, match="it is the platform's"):
            synced.delete(name=name, namespace=TENANT)
        with pytest.raises(ApiException, match="it is the platform's"):
            synced.patch(
                body={"metadata": {"name": name, "labels": own["metadata"]["labels"]}, "spec": own["spec"]},
                namespace=TENANT,
                content_type="application/merge-patch+json",
            )
        assert given.get(name=name, namespace=TENANT).to_dict()["spec"] == there["spec"]


def test_who_breaks_the_glass_mends_network_policies(
    plane: ControlPlane, kinds: dynamic.DynamicClient, synced: Any
) -> None:
    kinds.resources.get(api_version="rbac.authorization.k8s.io/v1", kind="RoleBinding").create(
        body={
            "metadata": {"name": "glass"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "platform-break-glass"},
            "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": BREAK_GLASS_GROUP}],
        },
        namespace=TENANT,
    )
    for version, kind, name in (
        ("networking.k8s.io/v1", "NetworkPolicy", "out"),
        ("cilium.io/v2", "CiliumNetworkPolicy", "of Cilium"),
    ):
        asked = discovered(requests_of(plane, "break-glass", [BREAK_GLASS_GROUP]))
        made: Any = asked.resources.get(api_version=version, kind=kind)
        deadline = time.monotonic() + WAIT_SECONDS
        while said := refusal(made, NETWORK[name].object):
            assert "cannot create" in said, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)


@pytest.fixture(scope="module")
def pods(kinds: dynamic.DynamicClient, core: client.CoreV1Api, in_force: None) -> Any:
    """Pods of a tenant, with the policy in force; nothing runs them."""
    core.create_namespaced_service_account(TENANT, {"metadata": {"name": "api"}})
    client.SchedulingV1Api(core.api_client).create_priority_class(
        {"metadata": {"name": "tenant-production"}, "value": 1000}
    )
    return refused_soon(kinds, "v1", "Pod", _pod(31), "tenant-pods")


def _pod(containers: int) -> dict[str, Any]:
    """With as many containers, one of them an init container."""
    made = suites.base("pod")
    made["spec"].pop("ephemeralContainers")
    (container,) = made["spec"]["containers"]
    made["spec"]["containers"] = [{**container, "name": f"app-{number}"} for number in range(1, containers)]
    return made


def test_a_pod_has_no_more_containers_than_gatekeeper_looks_at_in_time(pods: Any) -> None:
    assert "at most 30 containers" in refusal(pods, _pod(31))
    assert refusal(pods, _pod(30)) == ""


def test_a_pod_gets_no_more_containers_than_that_while_it_runs(pods: Any, core: client.CoreV1Api) -> None:
    name = pods.create(body=_named(_pod(29)), namespace=TENANT).metadata.name
    debug = [{"name": f"debug-{each}", "image": "registry.example.com/debug:1"} for each in range(2)]
    with pytest.raises(ApiException, match="at most 30 containers"):
        core.patch_namespaced_pod_ephemeralcontainers(name, TENANT, {"spec": {"ephemeralContainers": debug}})
    core.patch_namespaced_pod_ephemeralcontainers(name, TENANT, {"spec": {"ephemeralContainers": debug[:1]}})


@pytest.fixture(scope="module")
def operated(plane: ControlPlane, kinds: dynamic.DynamicClient, in_force: None) -> Any:
    """Deployments as whoever mends them writes them, with the policy in force; and one of the platform's."""
    given: Any = kinds.resources.get(api_version="apps/v1", kind="Deployment")
    given.create(body=_named_as("engine"), namespace=PLATFORM)
    rules = [{"apiGroups": ["apps"], "resources": ["deployments", "deployments/scale"], "verbs": ["get", "patch"]}]
    asked = _granted(plane, kinds, PLATFORM, "operator", rules)
    made = asked.resources.get(api_version="apps/v1", kind="Deployment")
    deadline = time.monotonic() + WAIT_SECONDS
    # Each is another one: what was taken before the policy was in force would change nothing any more, and be taken for ever.
    tried = ({"template": {"metadata": {"labels": {"tried": str(number)}}}} for number in itertools.count())
    while "platform-workloads" not in (said := _patched(made, next(tried))):
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    return made


def _granted(
    plane: ControlPlane, kinds: dynamic.DynamicClient, namespace: str, user: str, rules: list[dict[str, Any]]
) -> dynamic.DynamicClient:
    """The API as a user sees it who was given a Role in a namespace."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user}
    for kind, rest in (
        ("Role", {"rules": rules}),
        ("RoleBinding", {"roleRef": role, "subjects": [{"kind": "User", "name": user}]}),
    ):
        made = kinds.resources.get(api_version="rbac.authorization.k8s.io/v1", kind=kind)
        made.create(body={"metadata": {"name": user}, **rest}, namespace=namespace)
    return discovered(requests_of(plane, user, ["system:authenticated"]))


def _named_as(name: str) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "app", "image": "registry.example.com/app:1"}
    template = {"metadata": {"labels": labels, "annotations": {"a": "b"}}, "spec": {"containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


def _patched(deployments: Any, spec: dict[str, Any]) -> str:
    """What the API server says against it; nothing when it takes it."""
    try:
        deployments.patch(
            body={"metadata": {"name": "engine"}, "spec": spec},
            namespace=PLATFORM,
            content_type="application/strategic-merge-patch+json",
        )
    except ApiException as error:
        return str(error.body)
    return ""


ESCALATIONS: dict[str, dict[str, Any]] = {
    "another image": {"spec": {"containers": [{"name": "app", "image": "registry.example.com/mine:1"}]}},
    "another command": {"spec": {"containers": [{"name": "app", "command": ["sh"]}]}},
    "another container": {"spec": {"containers": [{"name": "mine", "image": "registry.example.com/mine:1"}]}},
    "one more before it": {"spec": {"initContainers": [{"name": "mine", "image": "registry.example.com/mine:1"}]}},
    "a probe that runs": {"spec": {"containers": [{"name": "app", "livenessProbe": {"exec": {"command": ["sh"]}}}]}},
    "a variable": {"spec": {"containers": [{"name": "app", "env": [{"name": "LD_PRELOAD", "value": "/tmp/a"}]}]}},
    "another account": {"spec": {"serviceAccountName": "mine"}},
    "a Secret": {"spec": {"volumes": [{"name": "mine", "secret": {"secretName": "unseal"}}]}},
    "another proxy": {"metadata": {"annotations": {"config.linkerd.io/proxy-image": "registry.example.com/mine"}}},
    "an annotation fewer": {"metadata": {"annotations": {"a": None}}},
    "another label": {"metadata": {"labels": {"hetzner-platform/internet": "allowed"}}},
}


@pytest.mark.parametrize("template", ESCALATIONS.values(), ids=ESCALATIONS.keys())
def test_who_mends_a_workload_does_not_become_it(template: dict[str, Any], operated: Any) -> None:
    assert "platform-workloads" in _patched(operated, {"template": template})


def test_who_mends_a_workload_restarts_and_scales_it(operated: Any) -> None:
    restart = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}}
    assert _patched(operated, {"template": restart, "replicas": 2}) == ""
    assert (
        _patched(operated, {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": None}}}})
        == ""
    )


def test_the_deployment_itself_changes_what_runs(operated: Any, kinds: dynamic.DynamicClient) -> None:
    given: Any = kinds.resources.get(api_version="apps/v1", kind="Deployment")
    assert _patched(given, {"template": ESCALATIONS["another command"]}) == ""


def test_cilium_has_policies_of_the_platform_alone(
    plane: ControlPlane, kinds: dynamic.DynamicClient, in_force: None
) -> None:
    """Should a role ever hold them by mistake."""
    rules = [{"apiGroups": ["cilium.io"], "resources": ["ciliumnetworkpolicies"], "verbs": ["create"]}]
    asked = _granted(plane, kinds, TENANT, "somebody", rules)
    bad = NETWORK["of Cilium"].object
    refused_soon(asked, "cilium.io/v2", "CiliumNetworkPolicy", bad, "tenant-network-policies")


def test_a_namespace_goes_with_its_network_policies(
    kinds: dynamic.DynamicClient, core: client.CoreV1Api, synced: Any
) -> None:
    """The controller that empties it is the platform."""
    core.create_namespace({"metadata": {"name": "leaving"}})
    given: Any = kinds.resources.get(api_version="networking.k8s.io/v1", kind="NetworkPolicy")
    given.create(body=policies("leaving", [])[0], namespace="leaving")
    core.delete_namespace("leaving")
    deadline = time.monotonic() + WAIT_SECONDS
    while any(each.metadata.name == "leaving" for each in core.list_namespace().items):
        assert time.monotonic() < deadline, "the namespace stays"
        time.sleep(0.1)
