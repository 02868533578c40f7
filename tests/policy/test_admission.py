"""Which hosts a tenant's route takes is checked by the API server itself, whether Gatekeeper is there or not."""

import time
from typing import Any

import pytest
from kubernetes import client, dynamic
from kubernetes.client.exceptions import ApiException

from components.policy import admission, tenant_annotations
from tests.policy import suites

WAIT_SECONDS = 30
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
)
"""Of the constraint's bad cases, those that the API server refuses too."""


@pytest.fixture(scope="session")
def routes(kinds: dynamic.DynamicClient, api: client.ApiClient, core: client.CoreV1Api) -> Any:
    """IngressRoutes, with the policy in force."""
    definition: Any = {
        "metadata": {"name": "ingressroutes.traefik.io"},
        "spec": {
            "group": "traefik.io",
            "scope": "Namespaced",
            "names": {"kind": "IngressRoute", "plural": "ingressroutes"},
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    client.ApiextensionsV1Api(api).create_custom_resource_definition(definition)
    _namespace(core, TENANT, tenant_annotations(["orders.example.com", "api.example.com"], [], 0))
    for name in ("somewhere", PLATFORM):
        _namespace(core, name, {})
    for manifest in admission():
        kinds.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"]).create(body=manifest)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            made = kinds.resources.get(api_version="traefik.io/v1alpha1", kind="IngressRoute")
            made.create(body=_named(CASES["another tenant's host"].object), namespace=TENANT)
        except dynamic.exceptions.ResourceNotFoundError:
            kinds.resources.invalidate_cache()
        except ApiException as error:
            # The definition is served a moment after it is there; a refusal of the policy is what is waited for.
            if error.status == 422:
                return made
        assert time.monotonic() < deadline, "the policy is not in force"
        time.sleep(0.1)


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
    return {**thing, "metadata": {**metadata, "generateName": "route-"}}


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
