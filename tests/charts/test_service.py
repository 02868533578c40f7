"""The tenants' golden path, rendered by Helm: what a service becomes, and what its values may not say."""

import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from components.mesh import metrics_policy
from components.tenancy import reach_label
from sandbox.toolchain import find_tool
from tests import upstream

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/service"
NAMESPACE = "orders-production"
Golden = Callable[[str, str], None]
Values = dict[str, Any]

MINIMAL: Values = {
    "tenant": "orders",
    "environment": "production",
    "owner": "team-orders",
    "image": {"repository": "registry.example.com/orders/api", "digest": f"sha256:{'0' * 64}"},
}
FULL: Values = MINIMAL | {
    "image": MINIMAL["image"] | {"pullSecrets": ["registry"]},
    "runAs": {"user": 1000, "group": 2000},
    "port": 8000,
    "replicas": 3,
    "command": ["/app"],
    "args": ["--serve"],
    "env": {"LOG_LEVEL": "info"},
    "secrets": ["database", "stripe"],
    "route": {"hosts": ["orders.example.com"], "pathPrefix": "/v1", "authenticated": True},
    "reaches": {"databases": True, "internet": True, "objectStore": True, "kubernetesApi": True},
    "mesh": {"enabled": True, "clients": ["frontend"]},
    "metrics": {"enabled": True, "port": 8000, "path": "/metrics"},
    "scaling": {
        "enabled": True,
        "triggers": [{"type": "redis", "metricType": "AverageValue", "metadata": {"listName": "jobs"}}],
    },
}
GPU: Values = MINIMAL | {"gpus": 1, "replicas": 1, "metrics": {"enabled": True, "port": 9090, "path": "/metrics"}}
WORKER: Values = MINIMAL | {"kind": "worker", "probes": {"command": ["/app", "healthy"]}, "preStopSeconds": 0}
EXAMPLES = {"minimal": MINIMAL, "full": FULL, "gpu": GPU, "worker": WORKER}


def helm(command: str, *arguments: str, values: Values) -> subprocess.CompletedProcess[str]:
    tool = find_tool("helm")
    if tool is None:
        pytest.skip("helm is neither on PATH nor in the cache: make toolchain")
    return subprocess.run(
        [str(tool.path), command, *arguments, "--kube-version", "1.36.3", "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@cache
def _rendered(text: str, namespace: str, release: str) -> subprocess.CompletedProcess[str]:
    return helm("template", release, str(CHART), "--namespace", namespace, values=json.loads(text))


def render(values: Values) -> list[dict[str, Any]]:
    done = _rendered(json.dumps(values), NAMESPACE, "api")
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def refused(values: Values, *, namespace: str = NAMESPACE, release: str = "api") -> str:
    done = _rendered(json.dumps(values), namespace, release)
    assert done.returncode != 0, "Helm accepted it"
    return done.stderr


def all_of(kind: str, values: Values) -> list[dict[str, Any]]:
    return [each for each in render(values) if each["kind"] == kind]


def one(kind: str, values: Values) -> dict[str, Any]:
    (found,) = all_of(kind, values)
    return found


def pod(values: Values) -> dict[str, Any]:
    return one("Deployment", values)["spec"]["template"]


# --- what it becomes


@pytest.mark.parametrize("name", EXAMPLES)
def test_objects_are_as_reviewed(golden: Golden, name: str) -> None:
    golden(f"service/{name}.yaml", yaml.safe_dump_all(render(EXAMPLES[name]), sort_keys=False))


@pytest.mark.parametrize("name", EXAMPLES)
def test_helm_finds_nothing_to_mend(name: str) -> None:
    done = helm("lint", str(CHART), "--strict", "--namespace", NAMESPACE, values=EXAMPLES[name])
    assert (done.returncode, "0 chart(s) failed" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_pods_keep_the_restricted_level(name: str) -> None:
    spec = pod(EXAMPLES[name])["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {"hostNetwork", "hostPID", "hostIPC"} & set(spec) == set()
    assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} == {"emptyDir"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    assert {"readinessProbe", "livenessProbe"} <= container.keys()


def test_every_object_says_whose_it_is() -> None:
    for each in render(FULL):
        labels = each["metadata"]["labels"]
        said = [labels[f"hetzner-platform/{key}"] for key in ("tenant", "environment", "owner")]
        assert said == ["orders", "production", "team-orders"], each["kind"]


def test_a_pod_asks_by_label_for_what_it_reaches_and_for_nothing_else() -> None:
    asked = {**reach_label("databases"), **reach_label("internet")}
    asked |= {**reach_label("object-store"), **reach_label("kubernetes-api")}
    assert asked.items() <= pod(FULL)["metadata"]["labels"].items()
    assert not asked.keys() & pod(MINIMAL)["metadata"]["labels"].keys()


def test_only_who_reaches_the_api_server_has_a_token() -> None:
    assert [pod(each)["spec"]["automountServiceAccountToken"] for each in (FULL, MINIMAL)] == [True, False]


def test_an_authenticated_route_asks_who_somebody_is_by_its_own_namespaces_middleware() -> None:
    (route,) = one("IngressRoute", FULL)["spec"]["routes"]
    assert route["middlewares"] == [{"name": "authenticated"}]
    assert route["match"] == "Host(`orders.example.com`) && PathPrefix(`/v1`)"
    open_to_all = FULL | {"route": {"hosts": ["orders.example.com"], "pathPrefix": "/", "authenticated": False}}
    (route,) = one("IngressRoute", open_to_all)["spec"]["routes"]
    assert (route["match"], "middlewares" in route) == ("Host(`orders.example.com`)", False)


def test_secrets_are_read_from_below_the_namespace_and_mounted_with_the_object_stores_key() -> None:
    keys = [each["spec"]["dataFrom"][0]["extract"]["key"] for each in all_of("ExternalSecret", FULL)]
    assert keys == ["orders-production/database", "orders-production/stripe"]
    (container,) = pod(FULL)["spec"]["containers"]
    names = [each["secretRef"]["name"] for each in container["envFrom"]]
    assert names == ["api-database", "api-stripe", "object-store"]


def test_on_gpus_the_old_pod_ends_before_a_new_one_starts() -> None:
    assert one("Deployment", GPU)["spec"]["strategy"] == {"type": "Recreate"}
    spec = pod(GPU)["spec"]
    assert spec["runtimeClassName"] == "nvidia"
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert one("Deployment", MINIMAL)["spec"]["strategy"]["type"] == "RollingUpdate"


def test_requests_still_come_while_a_pod_ends() -> None:
    (container,) = pod(MINIMAL)["spec"]["containers"]
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}


def test_a_worker_is_asked_nothing() -> None:
    kinds = {each["kind"] for each in render(WORKER)}
    assert kinds == {"Deployment", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"}
    assert one("NetworkPolicy", WORKER)["spec"]["ingress"] == []
    (container,) = pod(WORKER)["spec"]["containers"]
    assert "ports" not in container


def test_what_nobody_calls_lets_nobody_in() -> None:
    assert one("NetworkPolicy", MINIMAL)["spec"]["ingress"] == []


def test_a_route_opens_the_services_port_and_the_meshs_to_the_ingress() -> None:
    (rule,) = one("NetworkPolicy", MINIMAL | {"route": FULL["route"]})["spec"]["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "traefik"}}}]
    assert [each["port"] for each in rule["ports"]] == [8080, 4143]


def test_prometheus_reads_one_path_on_the_services_own_port_and_probes_go_on() -> None:
    open_route = next(each for each in all_of("HTTPRoute", FULL) if each["metadata"]["name"] == "api-metrics")
    matches = open_route["spec"]["rules"][0]["matches"]
    assert [(each["path"]["type"], each["path"]["value"], each["method"]) for each in matches] == [
        ("Exact", "/metrics", "GET"),
        ("Exact", "/healthz", "GET"),
    ]
    authorizations = {each["metadata"]["name"]: each["spec"] for each in all_of("AuthorizationPolicy", FULL)}
    assert authorizations["api-metrics"]["targetRef"]["kind"] == "HTTPRoute"
    platforms = {
        each["metadata"]["name"] for each in metrics_policy(NAMESPACE) if each["kind"] == "NetworkAuthentication"
    }
    assert {each["name"] for each in authorizations["api-metrics"]["requiredAuthenticationRefs"]} == platforms
    assert authorizations["api"]["requiredAuthenticationRefs"][0]["kind"] == "MeshTLSAuthentication"


def test_a_port_of_the_metrics_own_is_opened_as_a_whole() -> None:
    authorizations = {each["metadata"]["name"]: each["spec"] for each in all_of("AuthorizationPolicy", GPU)}
    assert authorizations["api-metrics"]["targetRef"]["kind"] == "Server"
    assert all_of("HTTPRoute", GPU) == []


def test_replicas_are_the_scalers_while_it_scales() -> None:
    assert "replicas" not in one("Deployment", FULL)["spec"]
    assert one("ScaledObject", FULL)["spec"]["maxReplicaCount"] == 10


# --- what it refuses: (values, what Helm says)

REFUSED: dict[str, tuple[Values, str]] = {
    "an unknown key": (MINIMAL | {"replica": 2}, "additional properties 'replica' not allowed"),
    "an unknown key below": (MINIMAL | {"route": {"host": []}}, "additional properties 'host' not allowed"),
    "no tenant": ({key: value for key, value in MINIMAL.items() if key != "tenant"}, "at '/tenant'"),
    "a tenant's name that leaves no room": (MINIMAL | {"tenant": "o" * 53}, "at '/tenant'"),
    "a tenant that is no DNS label": (MINIMAL | {"tenant": "Orders"}, "at '/tenant'"),
    "another environment": (MINIMAL | {"environment": "test"}, "at '/environment'"),
    "an image by tag": (
        MINIMAL | {"image": {"repository": "registry.example.com/orders/api:v1", "digest": f"sha256:{'0' * 64}"}},
        "at '/image/repository'",
    ),
    "an image without digest": (
        MINIMAL | {"image": {"repository": "registry.example.com/a/b", "digest": "v1"}},
        "at '/image/digest'",
    ),
    "root": (MINIMAL | {"runAs": {"user": 0, "group": 1}}, "at '/runAs/user'"),
    "the root group": (MINIMAL | {"runAs": {"user": 1, "group": 0}}, "at '/runAs/group'"),
    "a privileged port": (MINIMAL | {"port": 80}, "at '/port'"),
    "a port that is text": (MINIMAL | {"port": "8080"}, "at '/port'"),
    "no memory limit": (MINIMAL | {"resources": {"limits": {"memory": None}}}, "at '/resources/limits'"),
    "memory that is no quantity": (
        MINIMAL | {"resources": {"limits": {"memory": "much"}}},
        "at '/resources/limits/memory'",
    ),
    "a CPU in bytes": (MINIMAL | {"resources": {"requests": {"cpu": "1Gi"}}}, "at '/resources/requests/cpu'"),
    "a setting that is no text": (MINIMAL | {"env": {"PORT": 8080}}, "at '/env/PORT'"),
    "a secret of another namespace": (MINIMAL | {"secrets": ["../billing-production/database"]}, "at '/secrets/0'"),
    "a host with a wildcard": (MINIMAL | {"route": {"hosts": ["*.example.com"]}}, "at '/route/hosts/0'"),
    "a host that closes the rule": (
        MINIMAL | {"route": {"hosts": ["a.example.com`) || Host(`b.example.com"]}},
        "at '/route/hosts/0'",
    ),
    "a path that closes the rule": (
        MINIMAL | {"route": {"hosts": ["a.example.com"], "pathPrefix": "/`) || PathPrefix(`/"}},
        "at '/route/pathPrefix'",
    ),
    "a scratch directory over everything": (
        MINIMAL | {"scratch": [{"path": "/", "size": "1Mi"}]},
        "at '/scratch/0/path'",
    ),
    "a trigger without words": (MINIMAL | {"scaling": {"enabled": True, "triggers": [{}]}}, "at '/scaling/triggers/0'"),
    "an unknown kind": (MINIMAL | {"kind": "job"}, "at '/kind'"),
    "more GPUs than a machine has": (MINIMAL | {"gpus": 9}, "at '/gpus'"),
    "least above most": (
        MINIMAL | {"scaling": {"enabled": True, "min": 5, "max": 3}},
        "scaling.min 5 is above scaling.max 3",
    ),
    "no time to end": (
        MINIMAL | {"preStopSeconds": 30},
        "preStopSeconds 30 leaves nothing of terminationGracePeriodSeconds 30",
    ),
    "a worker with a route": (WORKER | {"route": {"hosts": ["a.example.com"]}}, "a worker has no route"),
    "a worker with callers": (WORKER | {"mesh": {"clients": ["a"]}}, "nobody calls a worker"),
    "a worker that cannot be looked at": (MINIMAL | {"kind": "worker"}, "write in probes.command"),
    "a worker's metrics on no port": (
        WORKER | {"metrics": {"enabled": True, "port": 8080}},
        "a worker has no port of its own",
    ),
    "authentication of nothing": (MINIMAL | {"route": {"authenticated": True}}, "nothing would be authenticated"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_values_are_refused_with_the_place(case: str) -> None:
    values, said = REFUSED[case]
    assert said in refused(values)


def test_a_service_goes_to_its_own_namespace_only() -> None:
    assert "deploy with --namespace orders-production" in refused(MINIMAL, namespace="billing-production")


def test_a_release_whose_names_would_not_fit_is_refused() -> None:
    assert "longer than 40 characters" in refused(MINIMAL, release="a" * 41)


def test_every_value_has_its_rule_and_every_rule_its_value() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert schema["additionalProperties"] is False
    assert values.keys() == schema["properties"].keys() - {"global"}
    for name, value in values.items():
        rule = schema["properties"][name]
        if isinstance(value, dict) and "properties" in rule:
            assert rule["additionalProperties"] is False, name
            assert value.keys() == rule["properties"].keys(), name


# --- custom resources against their definitions

DEFINITIONS = {
    "AuthorizationPolicy": "linkerd-crds/authorizationpolicies.policy.linkerd.io",
    "ExternalSecret": "external-secrets/externalsecrets.external-secrets.io",
    "HTTPRoute": "linkerd-crds/httproutes.policy.linkerd.io",
    "IngressRoute": "traefik/ingressroutes.traefik.io",
    "MeshTLSAuthentication": "linkerd-crds/meshtlsauthentications.policy.linkerd.io",
    "ScaledObject": "keda/scaledobjects.keda.sh",
    "Server": "linkerd-crds/servers.policy.linkerd.io",
    "ServiceMonitor": "prometheus-operator-crds/servicemonitors.monitoring.coreos.com",
}


def test_the_examples_hold_every_custom_resource_of_the_chart() -> None:
    kinds = {each["kind"] for values in EXAMPLES.values() for each in render(values) if "." in each["apiVersion"]}
    assert {kind for kind in kinds if kind in DEFINITIONS} == DEFINITIONS.keys()
    assert kinds - DEFINITIONS.keys() == {"NetworkPolicy"}


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_custom_resources_fit_their_definitions(kind: str) -> None:
    versions = upstream.versions(DEFINITIONS[kind])
    for values in EXAMPLES.values():
        for each in all_of(kind, values):
            schema = strict(versions[each["apiVersion"].partition("/")[2]]["properties"]["spec"])
            jsonschema.validate(each["spec"], schema)
            with pytest.raises(jsonschema.ValidationError, match="surplus"):
                jsonschema.validate({**each["spec"], "surplus": True}, schema)


def strict(schema: Any) -> Any:
    """With what Kubernetes would silently drop as an error."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if "properties" in made:
        made.setdefault("additionalProperties", False)
    return made
