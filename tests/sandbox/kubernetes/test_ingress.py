"""The ingress's objects in a real API server: it takes them by their real definitions, and the checker reads them back."""

import base64
import gzip
import json
from collections.abc import Iterator

import pytest
import yaml
from kubernetes import client, dynamic
from kubernetes.client.exceptions import ApiException

from tests import upstream
from tests.discovery import discovered
from tests.ingress.checker import Expected, load, violations
from tests.ingress.dump import RELEASE, TRAEFIK, Dump, Object
from tests.ingress.objects import BALANCER, authority_of, deployment, dump_of, route, tenants

from .conftest import eventually

pytestmark = pytest.mark.engine

GROUP = "traefik.io"
CUSTOM = [each for each in tenants() if each["apiVersion"].startswith(GROUP)]


@pytest.fixture(scope="module")
def made() -> tuple[Dump, Expected]:
    deployed = deployment()
    return dump_of(deployed), Expected(BALANCER, authority_of(deployed))


@pytest.fixture(scope="module")
def kinds(api: client.ApiClient) -> Iterator[dynamic.DynamicClient]:
    """With Traefik's definitions for as long as these tests take."""
    extensions, names = client.ApiextensionsV1Api(api), []
    for path in sorted(upstream.required("traefik/crds").glob(f"*.{GROUP}.yaml")):
        definition = yaml.safe_load(path.read_text(encoding="utf-8"))
        if definition["spec"]["group"] == GROUP:
            extensions.create_custom_resource_definition(definition)
            names.append(definition["metadata"]["name"])
    served = discovered(api)
    # A kind is served a moment after its definition says so.
    eventually(lambda: all(is_served(served, each["kind"]) for each in CUSTOM))
    yield served
    for name in names:
        extensions.delete_custom_resource_definition(name)


def is_served(kinds: dynamic.DynamicClient, kind: str) -> bool:
    kinds.resources.invalidate_cache()
    try:
        kinds.get(kinds.resources.get(api_version=TRAEFIK, kind=kind))
    except (dynamic.exceptions.NotFoundError, dynamic.exceptions.ResourceNotFoundError):
        return False
    return True


@pytest.fixture(scope="module")
def filled(kinds: dynamic.DynamicClient, core: client.CoreV1Api, made: tuple[Dump, Expected]) -> Iterator[None]:
    """All of the dump, and the release as Helm keeps it."""
    objects = [each for kind, several in made[0].items() if kind != RELEASE for each in several]
    namespaces = sorted({each["metadata"]["namespace"] for each in objects})
    for namespace in namespaces:
        core.create_namespace({"metadata": {"name": namespace}})
    for each in [*objects, *(kept(release) for release in made[0][RELEASE])]:
        create(kinds, each)
    yield
    for namespace in namespaces:
        core.delete_namespace(namespace)


def kept(release: Object) -> Object:
    told = {**release["metadata"], "info": {"status": "deployed"}, "config": release["values"]}
    text = base64.b64encode(gzip.compress(json.dumps(told).encode())).decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "sh.helm.release.v1.traefik.v1", "namespace": release["metadata"]["namespace"]},
        "type": "helm.sh/release.v1",
        "stringData": {"release": text},
    }


def create(kinds: dynamic.DynamicClient, each: Object) -> None:
    resource = kinds.resources.get(api_version=each["apiVersion"], kind=each["kind"])
    kinds.create(resource, body=each, namespace=each["metadata"]["namespace"])


@pytest.mark.usefixtures("filled")
def test_what_the_api_server_holds_has_no_violation(api: client.ApiClient, made: tuple[Dump, Expected]) -> None:
    dump = load(api)
    for kind in ("IngressRoute", "Middleware", "NetworkPolicy", "Secret", RELEASE):
        assert len(dump[kind]) == len(made[0][kind]) > 0
    assert violations(dump, made[1]) == []


@pytest.mark.usefixtures("filled")
def test_what_somebody_adds_is_found(
    api: client.ApiClient, kinds: dynamic.DynamicClient, made: tuple[Dump, Expected]
) -> None:
    create(kinds, route("bank-production", "shop.example.com", name="steal"))
    assert violations(load(api), made[1]) == ["shop.example.com: claimed by bank-production and shop-production"]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("each", CUSTOM, ids=lambda each: f"{each['kind']}-{each['metadata']['namespace']}")
def test_the_real_definitions_know_every_field(api: client.ApiClient, each: Object) -> None:
    strictly(api, each)
    with pytest.raises(ApiException, match="entryPoint"):
        strictly(api, {**each, "spec": {**each["spec"], "entryPoint": "websecure"}})


def strictly(api: client.ApiClient, each: Object) -> None:
    """Have it looked at, with unknown fields as errors."""
    group, version = each["apiVersion"].split("/")
    place = (each["metadata"]["namespace"], f"{each['kind'].lower()}s")
    body = {**each, "metadata": {**each["metadata"], "name": "tried"}}
    client.CustomObjectsApi(api).create_namespaced_custom_object(
        group, version, *place, body, dry_run="All", field_validation="Strict"
    )
