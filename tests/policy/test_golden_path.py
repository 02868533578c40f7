"""What charts/service makes of a service passes every constraint as it is."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.ingress import authenticated
from components.layer import Flow, Pods, policies
from components.mesh import metrics_policy
from components.policy import tenant_role_bindings
from components.tenancy import tenant_flows
from sandbox.toolchain import TOOLS, find_tool
from tests.policy import suites
from tests.policy.test_constraints import everything, findings

CHART = Path(__file__).resolve().parents[2] / "charts" / "service"
VALUES: dict[str, Any] = {
    "tenant": "vision",
    "environment": "production",
    "owner": "research",
    "image": {"repository": "registry.example.com/vision/api", "digest": "sha256:" + "0123456789abcdef" * 4},
    "secrets": ["database"],
    "route": {"hosts": ["vision.example.com"]},
    "reaches": {"databases": True, "internet": True, "objectStore": True, "kubernetesApi": True},
    "mesh": {"clients": ["web"]},
    "scaling": {"enabled": True},
    "metrics": {"enabled": True},
    "gpus": 1,
}


@pytest.fixture(scope="session")
def tools() -> dict[str, Path]:
    found = {name: find_tool(name) for name in ("gator", "helm") if name in TOOLS}
    missing = [name for name in ("gator", "helm") if found.get(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)}: neither on PATH nor in the cache: `make toolchain` gets it")
    return {name: tool.path for name, tool in found.items() if tool is not None}


def rendered(helm: Path, directory: Path, **changes: Any) -> list[dict[str, Any]]:
    values = directory / "values.json"
    values.write_text(json.dumps({**VALUES, **changes}))
    namespace = f"{VALUES['tenant']}-{VALUES['environment']}"
    done = subprocess.run(
        [str(helm), "template", "api", str(CHART), "--namespace", namespace, "--values", str(values)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    values.unlink()
    assert done.returncode == 0, done.stderr
    made = [each for each in yaml.safe_load_all(done.stdout) if each]
    # The API server knows where they go; the files do not say.
    for each in made:
        each["metadata"]["namespace"] = namespace
    return made


def pod_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The pod that the controller makes of a deployment."""
    template = deployment["spec"]["template"]
    metadata = {**template["metadata"], "name": "api-0", "namespace": deployment["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.mark.parametrize("port", [9090, 8080], ids=["metrics on a port of their own", "metrics on the service's port"])
def test_the_service_chart_passes_every_constraint(port: int, tools: dict[str, Path], tmp_path: Path) -> None:
    made = rendered(tools["helm"], tmp_path, metrics={"enabled": True, "port": port})
    (deployment,) = [each for each in made if each["kind"] == "Deployment"]
    kinds = {each["kind"] for each in made}
    assert {"IngressRoute", "ExternalSecret", "Server", "ScaledObject", "ServiceMonitor", "NetworkPolicy"} <= kinds
    assert "NetworkAuthentication" not in kinds, "who is not in the mesh is let in by the platform alone"
    assert findings(tools["gator"], tmp_path, [*everything(), *made, pod_of(deployment)]) == []


def test_a_service_that_asks_for_more_than_its_tenant_may_is_refused(tools: dict[str, Path], tmp_path: Path) -> None:
    """The namespace of another tenant's facts: no GPU, no internet, no API, another host, another owner."""
    made = rendered(tools["helm"], tmp_path)
    for each in made:
        each["metadata"]["namespace"] = "orders-production"
    (deployment,) = [each for each in made if each["kind"] == "Deployment"]
    found = findings(tools["gator"], tmp_path, [*everything(), *made, pod_of(deployment)])
    assert {line.partition(":")[0] for line in found} == {
        "K8sPSPAutomountServiceAccountTokenPod",
        "K8sRequiredLabels",
        "TenantGpu",
        "TenantIngressRoute",
        "TenantReach",
    }


def test_what_the_platform_gives_a_tenant_passes_every_constraint(tools: dict[str, Path], tmp_path: Path) -> None:
    namespace = "orders-production"
    object_store = Flow("to-object-store", "egress", [Pods("object-store")], [9000])
    flows = tenant_flows(
        ["databases", "internet", "object-store", "kubernetes-api"],
        postgres="10.1.3.1",
        redis="10.1.3.2",
        object_store=object_store,
    )
    given = [
        *metrics_policy(namespace),
        authenticated(namespace, "http://oauth2-proxy.platform.svc.cluster.local:4180/oauth2/auth"),
        *tenant_role_bindings(namespace, "production", {"admin": ["orders-admins"]}),
        *policies(namespace, flows),
        suites.base("secret-store"),
    ]
    assert findings(tools["gator"], tmp_path, [*everything(), *given]) == []


def test_the_bases_name_no_namespace_that_is_not_there() -> None:
    names = {
        each["metadata"]["namespace"]
        for each in map(suites.base, suites.BASES["objects"])
        if "namespace" in each["metadata"]
    }
    assert names - {"platform"} <= set(suites.BASES["namespaces"])
