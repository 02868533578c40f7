"""Releases under the real engine: what a failure leaves in the state, and what the next run makes of it."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from sandbox.engine import Engine, EngineError
from sandbox.plugins.package import Target
from sandbox.toolchain import find_tool

from .conftest import ControlPlane
from .played import PULLS, RUNS, pods

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("node", "helm")]

PROGRAM = """
import pulumi
import pulumi_kubernetes as kubernetes

settings = pulumi.Config()
provider = kubernetes.Provider("cluster", kubeconfig=settings.require_secret("kubeconfig"))
kubernetes.helm.v3.Release(
    "it",
    name="it",
    chart="./charts/small",
    namespace=settings.require("namespace"),
    timeout=settings.require_int("timeout"),
    values={"word": settings.require("word"), "password": settings.require_secret("password")},
    opts=pulumi.ResourceOptions(provider=provider),
)
"""

TEMPLATE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: it, annotations: {word: {{ .Values.word }}}}
spec:
  selector: {matchLabels: {app: it}}
  template:
    metadata: {labels: {app: it}}
    spec: {containers: [{name: it, image: one}]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A program with one release, of a chart beside it."""
    directory = tmp_path / "project"
    chart = directory / "charts" / "small"
    (chart / "templates").mkdir(parents=True)
    (directory / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "releases", "runtime": "python"}))
    (directory / "__main__.py").write_text(textwrap.dedent(PROGRAM))
    (chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "small", "version": "1.0.0"}))
    (chart / "templates" / "deployment.yaml").write_text(TEMPLATE)
    return directory


@pytest.fixture
def engine(project: Path, tmp_path: Path, plane: ControlPlane, namespace: str) -> Engine:
    """The engine with a stack for the program."""
    cli = find_tool("pulumi")
    if cli is None:
        pytest.skip("pulumi is neither on PATH nor in the cache: `make toolchain` gets it")
    made = Engine(cli, tmp_path / "engine", passphrase="x", project=project)
    made.stack_init("test", secrets={"releases:kubeconfig": plane.kubeconfig, "releases:password": "hunter2"})
    made.configure("test", settings(namespace))
    return made


def settings(namespace: str, word: str = "first", timeout: int = 60) -> dict[str, object]:
    return {"releases:namespace": namespace, "releases:word": word, "releases:timeout": str(timeout)}


def released(engine: Engine) -> Any:
    resources = engine.export_state("test")["deployment"]["resources"]
    [found] = [each for each in resources if each["type"] == "kubernetes:helm.sh/v3:Release"]
    return found


def word(api: client.ApiClient, namespace: str) -> str:
    return str(client.AppsV1Api(api).read_namespaced_deployment("it", namespace).metadata.annotations["word"])


def test_a_release_comes_up_changes_is_mended_and_goes(
    engine: Engine, core: client.CoreV1Api, api: client.ApiClient, namespace: str
) -> None:
    # Half-made, and recorded with the reason.
    engine.configure("test", settings(namespace, timeout=2))
    with (
        pods(core, namespace, PULLS),
        pytest.raises(EngineError, match=r"was not ready within 2 s: pod it-.*ImagePullBackOff"),
    ):
        engine.up("test")
    assert released(engine)["id"] == f"{namespace}/it"
    assert "ImagePullBackOff" in released(engine)["initErrors"][0]
    core.delete_collection_namespaced_pod(namespace, grace_period_seconds=0)

    with pods(core, namespace, RUNS):
        # The same again mends it, though nothing differs.
        assert engine.up("test").operations["update"] == 1
        assert released(engine)["outputs"]["status"]["status"] == "deployed"
        assert "initErrors" not in released(engine)
        engine.configure("test", settings(namespace, "second"))
        assert engine.up("test").operations["update"] == 1
        assert "update" not in engine.preview("test").operations
    assert word(api, namespace) == "second"
    assert "hunter2" not in json.dumps(engine.export_state("test"))
    engine.destroy("test")
    assert core.list_namespaced_secret(namespace).items == []
    assert client.AppsV1Api(api).list_namespaced_deployment(namespace).items == []


def test_drift_is_found_by_a_refresh_and_undone_by_the_next_run(
    engine: Engine, opened: Callable[..., Any], core: client.CoreV1Api, api: client.ApiClient, namespace: str
) -> None:
    with pods(core, namespace, RUNS):
        engine.up("test")
        engine.refresh("test")
        assert "update" not in engine.preview("test").operations
        theirs: Any = {**released(engine)["inputs"], "chart": str(engine.project / "charts" / "small")}
        theirs["values"] = {"word": "theirs", "password": "hunter2"}
        target = Target("kubernetes:helm.sh/v3:Release", "it")
        opened().update(target, f"{namespace}/it", theirs, theirs, theirs, preview=False)
        assert word(api, namespace) == "theirs"
        engine.refresh("test")
        assert engine.preview("test").operations["update"] == 1
        engine.up("test")
    assert word(api, namespace) == "first"
