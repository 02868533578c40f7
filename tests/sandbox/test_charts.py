"""Stand-ins of upstream charts: what charts/workloads.yaml says of them becomes objects, and definitions are named as upstream's."""

from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import yaml

from sandbox.charts import ChartError, Definition, definitions, objects, read_definitions, storage_classes
from sandbox.plugins.package import ProviderError, Surroundings, Target
from sandbox.plugins.packages import open_package
from sandbox.plugins.server import surroundings_from_environment
from tests import upstream

CHECKOUT = Path(__file__).resolve().parents[2]
# The definitions are megabytes: without the C parser they take half a minute.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def listed(tmp_path: Path, **entry: Any) -> Path:
    path = tmp_path / "workloads.yaml"
    path.write_text(yaml.safe_dump({"chart": [{"name": "it", "kind": "Deployment", **entry}]}))
    return path


def made(tmp_path: Path, values: dict[str, Any] | None = None, **entry: Any) -> list[dict[str, Any]]:
    return objects("chart", "1.2.3", "release", values or {}, listed(tmp_path, **entry))


def pod(tmp_path: Path, values: dict[str, Any] | None = None, **entry: Any) -> dict[str, Any]:
    found = made(tmp_path, values, **entry)[0]
    return found["spec"]["template"]["spec"]


# -- pods


def test_pods_carry_names_labels_and_requests_as_listed(tmp_path: Path) -> None:
    values = {"replicas": 3, "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    [deployment] = made(
        tmp_path, values, replicas="replicas", requests=["resources", {"cpu": "20m"}], labels={"k8s-app": "it"}
    )
    labels = {"app.kubernetes.io/name": "it", "app.kubernetes.io/instance": "release", "k8s-app": "it"}
    assert deployment["metadata"] == {"name": "it", "labels": labels}
    assert deployment["spec"]["replicas"] == 3
    # Of its own it has one more, so that workloads with the same labels do not take each other's pods.
    own = {**labels, "stand-in.invalid/workload": "it"}
    assert deployment["spec"]["selector"] == {"matchLabels": own}
    assert deployment["spec"]["template"]["metadata"] == {"labels": own}
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "stand-in.invalid/chart/it:1.2.3"
    assert container["resources"] == {"requests": {"cpu": "1020m", "memory": "1024Mi"}}


@pytest.mark.parametrize(
    ("on", "selector", "tolerated"),
    [
        ("agents", {}, []),
        ("servers", {"node-role.kubernetes.io/control-plane": "true"}, ["node-role.kubernetes.io/control-plane"]),
        ("every", {}, [None]),
        ("storage", {"node.longhorn.io/create-default-disk": "true"}, []),
        ("gpu", {"nvidia.com/gpu": "present"}, ["nvidia.com/gpu"]),
    ],
)
def test_pods_go_where_the_listing_says(
    tmp_path: Path, on: str, selector: dict[str, str], tolerated: list[str | None]
) -> None:
    spec = pod(tmp_path, on=on)
    assert spec["nodeSelector"] == selector
    assert [each.get("key") for each in spec["tolerations"]] == tolerated


def test_pods_go_where_the_values_say_if_the_listing_points_there(tmp_path: Path) -> None:
    values: dict[str, Any] = {"place": {"pool": "edge"}, "tolerated": [{"operator": "Exists"}]}
    spec = pod(tmp_path, values, on="servers", nodeSelector="place", tolerations="tolerated")
    assert (spec["nodeSelector"], spec["tolerations"]) == ({"pool": "edge"}, [{"operator": "Exists"}])
    spec = pod(tmp_path, {}, on="servers", nodeSelector="place", tolerations="tolerated")
    assert (spec["nodeSelector"], spec["tolerations"]) == ({}, [])


def test_a_pod_asks_for_no_more_than_its_level_of_security(tmp_path: Path) -> None:
    restricted = pod(tmp_path)
    assert restricted["securityContext"]["runAsNonRoot"] is True
    assert restricted["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod(tmp_path, security="privileged", hostNetwork=True)["containers"][0]["securityContext"] == {
        "privileged": True
    }
    assert pod(tmp_path, security="privileged", hostNetwork=True)["hostNetwork"] is True


def test_pods_that_must_not_share_a_machine_repel_each_other(tmp_path: Path) -> None:
    assert "affinity" not in pod(tmp_path)
    [term] = pod(tmp_path, apart=True)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"] == {"matchLabels": {"stand-in.invalid/workload": "it"}}
    assert term["topologyKey"] == "kubernetes.io/hostname"


def test_a_daemon_set_has_no_number_and_a_job_is_a_hook(tmp_path: Path) -> None:
    [daemons] = made(tmp_path, kind="DaemonSet", on="every")
    assert "replicas" not in daemons["spec"]
    [job] = made(tmp_path, kind="Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"


# -- services and claims


def test_services_have_the_ports_that_the_values_say(tmp_path: Path) -> None:
    values: dict[str, Any] = {"ports": {"web": {"port": 8000, "nodePort": 30080}}}
    ports = [
        {"name": "web", "port": 80, "targetPort": "ports.web.port", "nodePort": "ports.web.nodePort"},
        {"name": "metrics", "port": 9100, "targetPort": "metrics"},
    ]
    service = {"type": "NodePort", "externalTrafficPolicy": "Local", "ports": ports}
    workload, found = made(tmp_path, values, service=service)
    assert found["metadata"]["name"] == "it"
    assert found["spec"]["selector"] == workload["metadata"]["labels"]
    assert (found["spec"]["type"], found["spec"]["externalTrafficPolicy"]) == ("NodePort", "Local")
    assert found["spec"]["ports"] == [
        {"name": "web", "protocol": "TCP", "port": 80, "targetPort": 8000, "nodePort": 30080},
        {"name": "metrics", "protocol": "TCP", "port": 9100, "targetPort": "metrics"},
    ]
    [container] = workload["spec"]["template"]["spec"]["containers"]
    # Only what a Service names needs a name, which may be shorter than a Service's own names.
    assert [(each.get("name"), each["containerPort"]) for each in container["ports"]] == [
        (None, 8000),
        ("metrics", 9100),
    ]


def test_a_stateful_set_is_governed_by_its_first_service_and_claims_volumes(tmp_path: Path) -> None:
    values: dict[str, Any] = {"data": {"size": "10Gi", "class": "replicated"}}
    services = [
        {"name": "it-internal", "headless": True, "ports": [{"name": "api", "port": 80}]},
        {"ports": [{"name": "api", "port": 80}]},
    ]
    claims = [{"name": "data", "size": "data.size", "class": "data.class"}, {"name": "audit", "size": "1Gi"}]
    workload, internal, public = made(tmp_path, values, kind="StatefulSet", service=services, claims=claims)
    assert workload["spec"]["serviceName"] == "it-internal"
    assert internal["spec"]["clusterIP"] == "None"
    assert "clusterIP" not in public["spec"]
    data, audit = (each["spec"] for each in workload["spec"]["volumeClaimTemplates"])
    assert (data["resources"]["requests"]["storage"], data["storageClassName"]) == ("10Gi", "replicated")
    assert (audit["resources"]["requests"]["storage"], "storageClassName" in audit) == ("1Gi", False)


def test_storage_classes_are_as_the_values_say() -> None:
    listed = [{"name": "one", "reclaimPolicy": "Retain"}, {"name": "two", "defaultStorageClass": True}]
    one, two = storage_classes("hcloud-csi", {"storageClasses": listed})
    assert (one["provisioner"], one["reclaimPolicy"], one["volumeBindingMode"]) == (
        "csi.hetzner.cloud",
        "Retain",
        "WaitForFirstConsumer",
    )
    defaults = [each["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] for each in (one, two)]
    assert (defaults, two["reclaimPolicy"]) == (["false", "true"], "Delete")
    given: dict[str, Any] = {
        "defaultClassReplicaCount": 2,
        "volumeBindingMode": "WaitForFirstConsumer",
        "recurringJobSelector": {"enable": True, "jobList": "[1]"},
    }
    [longhorn] = storage_classes("longhorn", {"persistence": given})
    assert (longhorn["provisioner"], longhorn["volumeBindingMode"]) == ("driver.longhorn.io", "WaitForFirstConsumer")
    assert longhorn["parameters"] == {
        "numberOfReplicas": "2",
        "dataLocality": "disabled",
        "recurringJobSelector": "[1]",
    }
    assert storage_classes("longhorn", {"persistence": {"createStorageClass": False}}) == []
    assert storage_classes("cilium", {}) == []


# -- bad listings


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"replicas": "nowhere"}, "no number of replicas at nowhere"),
        ({"requests": ["nowhere"]}, "no requests at nowhere"),
        ({"kind": "CronJob"}, "'CronJob' is no kind of workload"),
        ({"security": "loose"}, "'loose' is no level of security"),
        ({"service": {"ports": [{"name": "web", "port": "ports.web"}]}}, "nothing at ports.web"),
        ({"service": {"ports": [{"name": "web", "port": "text.web"}]}}, "no number at text.web"),
        ({"kind": "StatefulSet", "claims": [{"name": "data", "size": "data.size"}]}, "nothing at data.size"),
    ],
)
def test_a_listing_that_leads_nowhere_is_refused(tmp_path: Path, entry: dict[str, Any], why: str) -> None:
    with pytest.raises(ChartError, match=f"no stand-in for the chart chart: .*{why}"):
        made(tmp_path, {"text": {"web": "x"}}, **entry)


# -- definitions


def kinds_of(chart: str, values: dict[str, Any]) -> set[str]:
    going, kept = definitions(chart, values)
    return {each["spec"]["names"]["kind"] for each in [*going, *kept]}


def test_definitions_come_when_the_values_ask_for_them() -> None:
    assert kinds_of("cert-manager", {}) == set()
    assert "Certificate" in kinds_of("cert-manager", {"crds": {"enabled": True}})
    assert kinds_of("trust-manager", {}) == {"Bundle"}
    assert kinds_of("trust-manager", {"crds": {"enabled": False}}) == set()
    assert "GRPCRoute" not in kinds_of("linkerd-crds", {})
    assert {"GRPCRoute", "HTTPRoute", "Server"} <= kinds_of("linkerd-crds", {"installGatewayAPI": True})
    assert kinds_of("metrics-server", {}) == set()


def test_definitions_that_helm_keeps_are_told_apart() -> None:
    going, kept = definitions("traefik", {})
    assert (going, len(kept)) == ([], 10)
    going, kept = definitions("longhorn", {})
    assert (len(going), kept) == (11, [])


def test_real_definitions_take_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "trust-manager" / "crds").mkdir(parents=True)
    names = ("bundles.trust.cert-manager.io", "others.trust.cert-manager.io")
    for name in names:
        real = {"kind": "CustomResourceDefinition", "metadata": {"name": name}, "real": True}
        (tmp_path / "trust-manager" / "crds" / f"{name}.yaml").write_text(yaml.safe_dump(real))
    going, _ = definitions("trust-manager", {}, tmp_path)
    assert [(each["metadata"]["name"], each["real"]) for each in going] == [(name, True) for name in names]
    assert definitions("trust-manager", {"crds": {"enabled": False}}, tmp_path) == ([], [])


@pytest.mark.parametrize(
    "ours", [each for each in read_definitions() if each.chart != "cilium"], ids=lambda each: each.name
)
def test_definitions_are_named_and_versioned_as_upstreams(ours: Definition) -> None:
    source = "gateway-api" if ours.group == "gateway.networking.k8s.io" else ours.chart
    spec = upstream.definition(f"{source}/{ours.name}")["spec"]
    served = [each["name"] for each in spec["versions"] if each["served"]]
    [stored] = [each for each in spec["versions"] if each["storage"]]
    assert (ours.group, ours.kind, ours.plural) == (spec["group"], spec["names"]["kind"], spec["names"]["plural"])
    assert ours.namespaced == (spec["scope"] == "Namespaced")
    assert sorted(ours.versions) == sorted(served)
    assert ours.storage == stored["name"]
    assert ours.status == ("status" in stored.get("subresources", {}))


def test_ciliums_definitions_hold_every_kind_whose_schema_is_known() -> None:
    schemas = upstream.required("cilium/schemas")
    known = {
        (each.kind.lower(), version)
        for each in read_definitions()
        if each.chart == "cilium"
        for version in each.versions
    }
    for path in schemas.glob("*.json"):
        assert tuple(path.stem.split("_")) in known


def test_every_chart_with_definitions_has_one_on_the_list() -> None:
    index = upstream.index()
    pins: Any = yaml.safe_load((CHECKOUT / "config" / "versions.yaml").read_text())["charts"]
    defining = {chart for chart in pins if index.get(chart, {}).get("crds")}
    assert defining <= {each.chart for each in read_definitions()}


# -- how the plugin learns of it


def test_the_environment_says_whether_charts_are_fetched_and_where_real_definitions_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("SANDBOX_CHARTS", "SANDBOX_DEFINITIONS"):
        monkeypatch.delenv(name, raising=False)
    assert surroundings_from_environment() == Surroundings(now=ANY)
    monkeypatch.setenv("SANDBOX_CHARTS", "real")
    monkeypatch.setenv("SANDBOX_DEFINITIONS", str(tmp_path))
    assert surroundings_from_environment() == Surroundings(now=ANY, real_charts=True, definitions=tmp_path)


KUBECONFIG: dict[str, Any] = {
    "clusters": [{"name": "it", "cluster": {"server": "https://127.76.0.1:1"}}],
    "users": [{"name": "it", "user": {}}],
    "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    "current-context": "it",
}


def test_without_helm_a_release_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    package = open_package("kubernetes")
    package.configure({"kubeconfig": yaml.safe_dump(KUBECONFIG)})
    release = Target("kubernetes:helm.sh/v3:Release", "it")
    with pytest.raises(ProviderError, match="Helm, which is not here: `make toolchain` gets it"):
        package.create(release, {"chart": "metrics-server", "name": "it", "namespace": "default"}, preview=False)
