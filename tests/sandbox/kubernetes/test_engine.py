"""Releases and custom resources under the real engine: what a failure leaves in the state, and what the next run makes of it."""

import base64
import http.server
import io
import json
import ssl
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from sandbox.engine import Engine, EngineError
from sandbox.plugins.package import Target
from sandbox.toolchain import find_tool

from .conftest import HOST, SECONDS, ControlPlane, eventually
from .played import PULLS, RUNS, pods

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("node", "helm")]

BEGINNING = """
import pulumi
import pulumi_kubernetes as kubernetes

settings = pulumi.Config()
provider = kubernetes.Provider("cluster", kubeconfig=settings.require_secret("kubeconfig"))
"""

PROGRAM = """
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


def program(directory: Path, text: str) -> Path:
    """A project with a program that makes this in the cluster."""
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "releases", "runtime": "python"}))
    (directory / "__main__.py").write_text(BEGINNING + text)
    return directory


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A program with one release, of a chart beside it."""
    directory = program(tmp_path / "project", PROGRAM)
    chart = directory / "charts" / "small"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "small", "version": "1.0.0"}))
    (chart / "templates" / "deployment.yaml").write_text(TEMPLATE)
    return directory


@pytest.fixture
def engine(project: Path, tmp_path: Path, plane: ControlPlane, namespace: str) -> Engine:
    """The engine with a stack for the program."""
    return engine_of(project, tmp_path, plane, settings(namespace))


def engine_of(
    project: Path, directory: Path, plane: ControlPlane, config: dict[str, object], **environment: str
) -> Engine:
    """The engine with a stack for a program."""
    cli = find_tool("pulumi")
    if cli is None:
        pytest.skip("pulumi is neither on PATH nor in the cache: `make toolchain` gets it")
    made = Engine(cli, directory / "engine", passphrase="x", project=project, environment=environment)
    made.stack_init("test", secrets={"releases:kubeconfig": plane.kubeconfig, "releases:password": "hunter2"})
    made.configure("test", config)
    return made


def settings(namespace: str, word: str = "first", timeout: int = SECONDS) -> dict[str, object]:
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
    # Half-made, and recorded with the reason: its pod has that from the cluster's controllers, which may be slow.
    engine.configure("test", settings(namespace, timeout=20))
    with (
        pods(core, namespace, PULLS),
        pytest.raises(EngineError, match=r"was not ready within 20 s: pod it-.*ImagePullBackOff"),
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


# -- what is not ready yet


@dataclass
class Late:
    """A server of which nothing but the address is there, until it answers.

    Args:
        answer: What it says to a path and a body; None for what it does not know.
    """

    answer: Callable[[str, bytes], bytes | None]
    asked: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        late = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _do(self) -> None:
                late.asked.append(self.path)
                content = late.answer(self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            do_GET = do_POST = _do  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer((HOST, 0), Handler, bind_and_activate=False)
        self._server.server_bind()
        self._thread: threading.Thread | None = None
        self.address = f"{HOST}:{self._server.server_address[1]}"

    def begin(self, context: ssl.SSLContext | None = None) -> None:
        """Answer from now on."""
        self._server.server_activate()
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def end(self) -> None:
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


@pytest.fixture
def late() -> Iterator[Callable[..., Late]]:
    made: list[Late] = []

    def one(answer: Callable[[str, bytes], bytes | None]) -> Late:
        made.append(Late(answer))
        return made[-1]

    yield one
    for each in made:
        each.end()


def kinds_made(engine: Engine) -> list[str]:
    """Types of what the state has, but for the stack and the provider."""
    resources = engine.export_state("test")["deployment"].get("resources", [])
    return [each["type"] for each in resources if not each["type"].startswith("pulumi:")]


FETCHED = """
kubernetes.helm.v3.Release(
    "it",
    name="it",
    chart="small",
    version="1.0.0",
    repository_opts={"repo": settings.require("repository")},
    namespace=settings.require("namespace"),
    opts=pulumi.ResourceOptions(provider=provider),
)
"""

CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: it}
"""


def packaged() -> bytes:
    """The archive of a chart with a ConfigMap."""
    metadata = {"apiVersion": "v2", "name": "small", "version": "1.0.0"}
    files = {"small/Chart.yaml": yaml.safe_dump(metadata), "small/templates/config-map.yaml": CONFIG_MAP}
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return written.getvalue()


def test_a_repository_that_does_not_answer_is_told_with_the_next_step_and_running_again_converges(
    late: Callable[..., Late], plane: ControlPlane, core: client.CoreV1Api, namespace: str, tmp_path: Path
) -> None:
    entry = {"apiVersion": "v2", "name": "small", "version": "1.0.0", "urls": ["small-1.0.0.tgz"]}
    index = yaml.safe_dump({"apiVersion": "v1", "entries": {"small": [entry]}}).encode()
    served = {"/charts/index.yaml": index, "/charts/small-1.0.0.tgz": packaged()}
    repository = late(lambda path, _: served.get(path))
    url = f"http://{repository.address}/charts"
    config: dict[str, object] = {"releases:namespace": namespace, "releases:repository": url}
    project = program(tmp_path / "project", FETCHED)
    engine = engine_of(project, tmp_path, plane, config, SANDBOX_CHARTS="real", NO_PROXY=HOST, no_proxy=HOST)
    with pytest.raises(EngineError) as failed:
        engine.up("test")
    message = str(failed.value)
    assert f"release {namespace}/it was not installed: its chart small 1.0.0 cannot be fetched from {url}: " in message
    assert "Run again when the repository answers, or pin another repository or version" in message
    assert "Traceback" not in message
    assert kinds_made(engine) == []
    assert core.list_namespaced_secret(namespace).items == []

    repository.begin()
    assert engine.up("test").operations["create"] == 1
    assert set(repository.asked) == set(served)
    assert released(engine)["outputs"]["status"]["status"] == "deployed"
    assert core.read_namespaced_config_map("it", namespace).metadata.name == "it"
    assert set(engine.preview("test").operations) == {"same"}


CUSTOM = """
kubernetes.apiextensions.CustomResource(
    "it",
    api_version=f"{settings.require('group')}/v1",
    kind="Widget",
    metadata={"name": "it", "namespace": settings.require("namespace")},
    opts=pulumi.ResourceOptions(provider=provider),
)
"""


def allowed(_: str, body: bytes) -> bytes:
    """A webhook's answer to whatever is asked."""
    review = json.loads(body)
    return json.dumps({**review, "response": {"uid": review["request"]["uid"], "allowed": True}}).encode()


@dataclass(frozen=True)
class Widgets:
    """A kind of its own in the cluster, and the webhook that looks at its objects."""

    api: client.ApiClient
    group: str
    namespace: str

    def define(self) -> None:
        schema = {"openAPIV3Schema": {"type": "object"}}
        body: Any = {
            "metadata": {"name": f"widgets.{self.group}"},
            "spec": {
                "group": self.group,
                "scope": "Namespaced",
                "names": {"kind": "Widget", "plural": "widgets"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        }
        client.ApiextensionsV1Api(self.api).create_custom_resource_definition(body)
        eventually(lambda: self.refusal() is None)

    def look_at(self, webhook: Late, authority: bytes) -> None:
        """By the webhook, without which none is taken."""
        rule = {"apiGroups": [self.group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["widgets"]}
        asked = {"url": f"https://{webhook.address}/", "caBundle": base64.b64encode(authority).decode()}
        body: Any = {
            "metadata": {"name": self.group},
            "webhooks": [
                {
                    "name": f"looks.{self.group}",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "failurePolicy": "Fail",
                    "timeoutSeconds": 10,
                    "clientConfig": asked,
                    "rules": [rule],
                }
            ],
        }
        client.AdmissionregistrationV1Api(self.api).create_validating_webhook_configuration(body)
        # It is asked from the moment when the API server has seen it.
        eventually(lambda: "failed calling webhook" in (self.refusal() or ""))

    def refusal(self) -> str | None:
        """Why the API server would take none; None when it would."""
        body = {"apiVersion": f"{self.group}/v1", "kind": "Widget", "metadata": {"name": "tried"}}
        try:
            self._custom.create_namespaced_custom_object(*self._place, body, dry_run="All")
        except client.ApiException as error:
            return str(error.body)
        return None

    def names(self) -> list[str]:
        found: Any = self._custom.list_namespaced_custom_object(*self._place)
        return [each["metadata"]["name"] for each in found["items"]]

    def remove(self) -> None:
        client.AdmissionregistrationV1Api(self.api).delete_validating_webhook_configuration(self.group)
        client.ApiextensionsV1Api(self.api).delete_custom_resource_definition(f"widgets.{self.group}")

    @property
    def _custom(self) -> client.CustomObjectsApi:
        return client.CustomObjectsApi(self.api)

    @property
    def _place(self) -> tuple[str, str, str, str]:
        return self.group, "v1", self.namespace, "widgets"


def test_a_webhook_that_is_not_ready_is_told_with_the_next_step_and_running_again_converges(
    late: Callable[..., Late], plane: ControlPlane, api: client.ApiClient, namespace: str, tmp_path: Path
) -> None:
    webhook, widgets = late(allowed), Widgets(api, f"{namespace}.example.com", namespace)
    widgets.define()
    widgets.look_at(webhook, (plane.directory / "ca.crt").read_bytes())
    config: dict[str, object] = {"releases:namespace": namespace, "releases:group": widgets.group}
    engine = engine_of(program(tmp_path / "project", CUSTOM), tmp_path, plane, config)
    with pytest.raises(EngineError) as failed:
        engine.up("test")
    message = str(failed.value)
    assert f"Widget {namespace}/it: a webhook does not answer: " in message
    assert f'failed calling webhook "looks.{widgets.group}"' in message
    assert "Its operator is not ready yet: look at its pods, then run again" in message
    assert "Traceback" not in message
    assert (kinds_made(engine), widgets.names()) == ([], [])

    webhook.begin(plane.serving())
    assert engine.up("test").operations["create"] == 1
    assert webhook.asked
    assert widgets.names() == ["it"]
    assert set(engine.preview("test").operations) == {"same"}
    engine.destroy("test")
    assert widgets.names() == []
    widgets.remove()
