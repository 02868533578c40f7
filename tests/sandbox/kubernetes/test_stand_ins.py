"""The stand-ins of every chart that the platform pins are installed by Helm, and taken by a real API server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, dynamic

from components.layer import chart_values, merged
from sandbox.plugins.package import Package, Surroundings, Target
from sandbox.plugins.packages import open_package
from sandbox.toolchain import CHECKOUT
from tests import upstream

from .conftest import ControlPlane

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("helm")]

PINS: dict[str, dict[str, str]] = yaml.safe_load((CHECKOUT / "config" / "versions.yaml").read_text())["charts"]
LISTED: dict[str, list[dict[str, Any]]] = yaml.safe_load((CHECKOUT / "charts" / "workloads.yaml").read_text())
SERVER = {
    "ha": {"replicas": 3},
    "dataStorage": {"size": "10Gi", "storageClass": "hcloud-volumes"},
    "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
}
COMPUTED: dict[str, dict[str, Any]] = {
    "linkerd-crds": {"installGatewayAPI": True},
    "openbao": {"server": SERVER},
    "traefik": {"ports": {"web": {"port": 8000, "nodePort": 30080}, "websecure": {"port": 8443, "nodePort": 30443}}},
    "vault": {"server": SERVER},
}
"""What components lay over the values of charts/values, as far as the stand-ins show it."""


RELEASE = Target("kubernetes:helm.sh/v3:Release", "it")


def given(chart: str, namespace: str) -> dict[str, Any]:
    return {
        "chart": chart,
        "repositoryOpts": {"repo": "https://charts.example.com"},
        "version": PINS[chart]["version"],
        "name": chart,
        "namespace": namespace,
        "values": merged(chart_values(chart), COMPUTED.get(chart, {})),
        "skipAwait": True,
        "disableWebhooks": True,
    }


def make(package: Package, chart: str, namespace: str) -> Any:
    checked = package.check(RELEASE, given(chart, namespace))
    assert checked.failures == []
    return package.create(RELEASE, checked.inputs, preview=False)


def remove(package: Package, made: Any) -> None:
    package.delete(RELEASE, made.id, {**made.outputs, "skipAwait": False})


@pytest.fixture(scope="module")
def restricted(core: client.CoreV1Api) -> str:
    """A namespace whose pods must keep the strictest level."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made: Any = core.create_namespace({"metadata": {"generateName": "restricted-", "labels": labels}})
    return str(made.metadata.name)


@pytest.mark.parametrize("chart", sorted(PINS))
def test_the_stand_in_of_every_pinned_chart_is_accepted_and_keeps_its_level_of_security(
    provider: Package, kinds: dynamic.DynamicClient, core: client.CoreV1Api, restricted: str, namespace: str, chart: str
) -> None:
    made = make(provider, chart, namespace)
    assert made.outputs["status"]["status"] == "deployed"
    assert (made.outputs["status"]["chart"], made.outputs["status"]["version"]) == (chart, PINS[chart]["version"])
    for entry in LISTED[chart]:
        assert entry["name"] in made.outputs["resourceNames"][f"{entry['kind']}.apps/apps/v1"]
        resource = kinds.resources.get(api_version="apps/v1", kind=entry["kind"])
        template = resource.get(entry["name"], namespace=namespace).to_dict()["spec"]["template"]
        assert is_accepted(core, restricted, template) == (entry.get("security", "restricted") == "restricted")
    remove(provider, made)


def is_accepted(core: client.CoreV1Api, namespace: str, template: dict[str, Any]) -> bool:
    metadata = {"generateName": "it-", "labels": template["metadata"]["labels"]}
    mounts = [each for container in template["spec"]["containers"] for each in container.get("volumeMounts") or []]
    # A claim's volume would be put there by the StatefulSet.
    volumes = [{"name": each["name"], "emptyDir": {}} for each in mounts]
    pod = {"metadata": metadata, "spec": {**template["spec"], "volumes": volumes}}
    try:
        core.create_namespaced_pod(namespace, pod, dry_run="All")
    except client.ApiException as error:
        if "violates PodSecurity" not in str(error.body):
            raise
        return False
    return True


def test_traefik_is_reached_by_the_ports_that_load_balancers_send_to(
    provider: Package, core: client.CoreV1Api, namespace: str
) -> None:
    made = make(provider, "traefik", namespace)
    service: Any = core.read_namespaced_service("traefik", namespace)
    assert service.spec.external_traffic_policy == "Local"
    assert {each.name: each.node_port for each in service.spec.ports} == {"web": 30080, "websecure": 30443}
    remove(provider, made)


def test_definitions_are_served_once_the_release_is_there(
    provider: Package, api: client.ApiClient, namespace: str
) -> None:
    made = make(provider, "trust-manager", namespace)
    custom = client.CustomObjectsApi(api)
    place = {"group": "trust.cert-manager.io", "version": "v1alpha1", "plural": "bundles"}
    body = {
        "apiVersion": "trust.cert-manager.io/v1alpha1",
        "kind": "Bundle",
        "metadata": {"name": "it"},
        "spec": {"anything": True},
    }
    custom.create_cluster_custom_object(**place, body=body)
    custom.patch_cluster_custom_object_status(**place, name="it", body={"status": {"ready": True}})
    found: Any = custom.get_cluster_custom_object(**place, name="it")
    assert (found["spec"], found["status"]) == ({"anything": True}, {"ready": True})
    remove(provider, made)
    with pytest.raises(client.ApiException, match="404"):
        custom.get_cluster_custom_object(**place, name="it")


def test_another_version_of_a_stand_in_is_another_image(
    provider: Package, kinds: dynamic.DynamicClient, namespace: str
) -> None:
    made = make(provider, "metrics-server", namespace)
    old = given("metrics-server", namespace)
    new = {**old, "version": "3.14.0"}
    told: Any = provider.update(RELEASE, made.id, old, new, made.outputs, preview=False)
    assert (told["version"], told["status"]["revision"]) == ("3.14.0", 2)
    deployments = kinds.resources.get(api_version="apps/v1", kind="Deployment")
    live = deployments.get("metrics-server", namespace=namespace).to_dict()
    [container] = live["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "stand-in.invalid/metrics-server/metrics-server:3.14.0"
    remove(provider, made)


@pytest.fixture
def with_real_definitions(plane: ControlPlane) -> Callable[[Path], Package]:
    """Opens the provider with definitions of a directory."""

    def opened(directory: Path) -> Package:
        package = open_package("kubernetes", Surroundings(definitions=directory))
        package.configure({"kubeconfig": plane.kubeconfig})
        return package

    return opened


def test_real_definitions_refuse_what_permissive_ones_take(
    with_real_definitions: Callable[[Path], Package], api: client.ApiClient, namespace: str
) -> None:
    provider = with_real_definitions(upstream.required())
    made = make(provider, "trust-manager", namespace)
    body = {
        "apiVersion": "trust.cert-manager.io/v1alpha1",
        "kind": "Bundle",
        "metadata": {"name": "it"},
        "spec": {"sources": "none"},
    }
    with pytest.raises(client.ApiException, match=r"422"):
        client.CustomObjectsApi(api).create_cluster_custom_object("trust.cert-manager.io", "v1alpha1", "bundles", body)
    remove(provider, made)
