"""Stand-ins on the sandbox's own machines: real scheduler, pods in name, claims bound; Helm waits for all of it."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.layer import merged
from sandbox.plugins.package import Package, PartiallyCreated
from sandbox.plugins.packages import open_package

from ..controllers.conftest import NAMESPACES, Cluster, running
from .conftest import SECONDS
from .test_stand_ins import RELEASE, given

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("helm")]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the cluster."""
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def cluster(directory: Path) -> Iterator[Cluster]:
    with running(directory) as started:
        yield started


@pytest.fixture(scope="module")
def provider(cluster: Cluster, directory: Path) -> Package:
    """The provider, as the cluster's administrator."""

    def data(name: str) -> str:
        return b64encode((directory / "administrator" / name).read_bytes()).decode()

    user = {"client-certificate-data": data("admin.crt"), "client-key-data": data("admin.key")}
    reached = {"server": cluster.api.url, "certificate-authority-data": data("root.crt")}
    kubeconfig = {
        "clusters": [{"name": "it", "cluster": reached}],
        "users": [{"name": "admin", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "admin"}}],
        "current-context": "it",
    }
    package = open_package("kubernetes")
    package.configure({"kubeconfig": yaml.safe_dump(kubeconfig)})
    return package


def install(package: Package, chart: str, namespace: str, timeout: int = SECONDS, **values: Any) -> Any:
    inputs = {**given(chart, namespace), "skipAwait": False, "disableWebhooks": False, "timeout": timeout}
    inputs["values"] = merged(inputs["values"], values)
    checked = package.check(RELEASE, inputs)
    assert checked.failures == []
    return package.create(RELEASE, checked.inputs, preview=False)


@pytest.mark.parametrize("chart", ["hcloud-csi", "longhorn", "metrics-server", "traefik", "gatekeeper"])
def test_an_awaited_stand_in_becomes_available(provider: Package, cluster: Cluster, chart: str) -> None:
    cluster.namespace(f"of-{chart}")
    made = install(provider, chart, f"of-{chart}")
    assert made.outputs["status"]["status"] == "deployed"


def test_claims_of_a_stand_in_are_bound_to_volumes_of_the_cloud(provider: Package, cluster: Cluster) -> None:
    cluster.namespace("of-bao")
    install(provider, "openbao", "of-bao", server={"ha": {"replicas": 1}})
    [claim] = cluster.items(f"{NAMESPACES}/of-bao/persistentvolumeclaims")
    assert (claim["status"]["phase"], claim["spec"]["storageClassName"]) == ("Bound", "hcloud-volumes")
    assert claim["spec"]["volumeName"] in {each.name for each in cluster.client.volumes.get_all()}


def test_pods_without_room_are_named_with_what_the_scheduler_says(
    provider: Package, cluster: Cluster, heard: Callable[..., None]
) -> None:
    heard("pod vault-1: [Unschedulable]")
    cluster.namespace("of-vault")
    # Three that must not share a machine, and one server.
    with pytest.raises(PartiallyCreated, match=r"pod vault-1: \[Unschedulable\] 0/4 nodes are available"):
        install(
            provider,
            "vault",
            "of-vault",
            5,
            server={"ha": {"replicas": 3}, "dataStorage": {"storageClass": "longhorn"}},
        )
