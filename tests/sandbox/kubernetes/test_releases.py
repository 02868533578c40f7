"""Releases of charts through real Helm on a real API server: made, changed, found drifted, mended and removed."""

import base64
import gzip
import itertools
import json
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, dynamic

from sandbox.plugins.check import Failure
from sandbox.plugins.package import Change, Package, PartiallyCreated, ProviderError, Surroundings, Target
from sandbox.plugins.packages import open_package
from sandbox.plugins.packages.kubernetes.cluster import UnreachableError
from sandbox.plugins.packages.kubernetes.releases import diff

from .conftest import SECONDS, ControlPlane, eventually
from .played import PULLS, RUNS, pods

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("node", "helm")]

RELEASE = Target("kubernetes:helm.sh/v3:Release", "it")

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: it}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: it}}
  template:
    metadata: {labels: {app: it}}
    spec: {containers: [{name: it, image: one}]}
"""
CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: it}
data: {word: {{ .Values.word | quote }}}
"""


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A chart of our own, with a word of the values in a ConfigMap."""
    return write(tmp_path / "small", {"config-map.yaml": CONFIG_MAP}, {"word": "none"})


def write(directory: Path, templates: dict[str, str], values: dict[str, Any], version: str = "1.0.0") -> Path:
    (directory / "templates").mkdir(parents=True, exist_ok=True)
    metadata = {"apiVersion": "v2", "name": directory.name, "version": version, "appVersion": "7"}
    (directory / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    (directory / "values.yaml").write_text(yaml.safe_dump(values))
    for name, content in templates.items():
        (directory / "templates" / name).write_text(content)
    return directory


def checked(package: Package, inputs: dict[str, Any], old: dict[str, Any] | None = None) -> Any:
    found = package.check(RELEASE, inputs, old)
    assert found.failures == []
    return found.inputs


def make(package: Package, inputs: dict[str, Any]) -> Any:
    return package.create(RELEASE, checked(package, inputs), preview=False)


def change(package: Package, made: Any, old: dict[str, Any], new: dict[str, Any]) -> Any:
    return package.update(RELEASE, made.id, checked(package, old), checked(package, new), made.outputs, preview=False)


def given(chart: Path | str, namespace: str, **more: Any) -> dict[str, Any]:
    return {"chart": str(chart), "name": "it", "namespace": namespace, "timeout": SECONDS, **more}


def word(core: client.CoreV1Api, namespace: str) -> str:
    return str(core.read_namespaced_config_map("it", namespace).data["word"])


def revisions(core: client.CoreV1Api, namespace: str) -> list[str]:
    found = core.list_namespaced_secret(namespace, label_selector="owner=helm,name=it").items
    return [str(each.metadata.labels["status"]) for each in sorted(found, key=lambda each: each.metadata.name)]


# -- the life of a release


def test_a_release_tells_what_it_is_and_what_it_made(
    provider: Package, core: client.CoreV1Api, chart: Path, namespace: str
) -> None:
    made = make(provider, given(chart, namespace, values={"word": "first"}))
    assert made.id == f"{namespace}/it"
    assert made.outputs["status"] == {
        "appVersion": "7",
        "chart": "small",
        "name": "it",
        "namespace": namespace,
        "revision": 1,
        "status": "deployed",
        "version": "1.0.0",
    }
    assert made.outputs["resourceNames"] == {"ConfigMap/v1": ["it"]}
    assert made.outputs["version"] == "1.0.0"
    assert word(core, namespace) == "first"


def test_a_change_of_values_alone_is_one_more_revision(
    provider: Package, core: client.CoreV1Api, chart: Path, namespace: str
) -> None:
    old, new = (given(chart, namespace, values={"word": each}) for each in ("first", "second"))
    made = make(provider, old)
    before, after = checked(provider, old), checked(provider, new)
    assert provider.diff(RELEASE, before, before, made.outputs).changed == ()
    assert provider.diff(RELEASE, before, after, made.outputs).changed == ("values",)
    told = change(provider, made, old, new)
    assert (told["status"]["revision"], told["values"]) == (2, {"word": "second"})
    assert word(core, namespace) == "second"
    assert revisions(core, namespace) == ["superseded", "deployed"]


def test_another_version_of_the_chart_is_an_upgrade(
    provider: Package, core: client.CoreV1Api, chart: Path, namespace: str
) -> None:
    inputs = given(chart, namespace)
    before = checked(provider, inputs)
    made = make(provider, inputs)
    write(chart, {}, {"word": "none"}, "1.1.0")
    after = checked(provider, inputs)
    found = provider.diff(RELEASE, before, after, made.outputs)
    assert (found.changed, found.replaces) == (("version",), ())
    told = change(provider, made, inputs, inputs)
    assert (told["version"], told["status"]["version"], told["status"]["revision"]) == ("1.1.0", "1.1.0", 2)


def test_history_is_kept_as_far_as_told(provider: Package, core: client.CoreV1Api, chart: Path, namespace: str) -> None:
    inputs = [given(chart, namespace, maxHistory=2, values={"word": str(number)}) for number in range(4)]
    made = make(provider, inputs[0])
    for old, new in itertools.pairwise(inputs):
        change(provider, made, old, new)
    assert revisions(core, namespace) == ["superseded", "deployed"]


def test_another_name_or_namespace_is_another_release(provider: Package, chart: Path) -> None:
    old = checked(provider, given(chart, "one"))
    for name in ("name", "namespace"):
        assert provider.diff(RELEASE, old, {**old, name: "other"}, {}).replaces == (name,)


def test_what_others_changed_is_drift_and_the_next_run_undoes_it(
    provider: Package, opened: Callable[..., Package], core: client.CoreV1Api, chart: Path, namespace: str
) -> None:
    ours, theirs = (given(chart, namespace, values={"word": each}) for each in ("ours", "theirs"))
    made = make(provider, ours)
    change(opened(), made, ours, theirs)
    inputs = checked(provider, ours)
    read = provider.read(RELEASE, made.id, inputs, made.outputs)
    assert read is not None
    assert read.inputs == inputs
    assert read.outputs["values"] == {"word": "theirs"}
    assert provider.diff(RELEASE, inputs, inputs, read.outputs).changed == ("values",)
    told: Any = provider.update(RELEASE, made.id, inputs, inputs, read.outputs, preview=False)
    assert (told["values"], word(core, namespace)) == ({"word": "ours"}, "ours")


@pytest.mark.parametrize(
    ("there", "wanted", "changed"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, ()),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ("values",)),
        ({"a": {}}, {"a": {"b": 2}}, ("values",)),
        ({"a": [1]}, {"a": [1, 2]}, ("values",)),
        ({}, {}, ()),
    ],
)
def test_values_drift_where_what_is_given_does_not_hold(
    there: dict[str, Any], wanted: dict[str, Any], changed: tuple[str, ...]
) -> None:
    assert diff(Change(), {"values": wanted}, {"values": there}).changed == changed


def test_a_release_that_is_gone_is_told_and_its_removal_is_no_error(
    provider: Package, chart: Path, namespace: str
) -> None:
    inputs = given(chart, namespace)
    made = make(provider, inputs)
    provider.delete(RELEASE, made.id, made.outputs)
    assert provider.read(RELEASE, made.id, checked(provider, inputs), made.outputs) is None
    provider.delete(RELEASE, made.id, made.outputs)
    with pytest.raises(ProviderError, match=f"release {namespace}/it is gone, so it cannot be changed: refresh first"):
        change(provider, made, inputs, inputs)


def test_a_removal_takes_everything_along(
    provider: Package, core: client.CoreV1Api, chart: Path, namespace: str
) -> None:
    made = make(provider, given(chart, namespace))
    provider.delete(RELEASE, made.id, made.outputs)
    assert [each.metadata.name for each in core.list_namespaced_config_map(namespace).items] == ["kube-root-ca.crt"]
    assert revisions(core, namespace) == []


def test_a_removal_that_something_holds_up_says_what(
    provider: Package, core: client.CoreV1Api, chart: Path, namespace: str
) -> None:
    held = CONFIG_MAP.replace("{name: it}", "{name: it, finalizers: [example.com/held]}")
    write(chart, {"config-map.yaml": held}, {"word": "none"})
    made = make(provider, given(chart, namespace))
    with pytest.raises(
        ProviderError, match=r"cannot be uninstalled: .*; still there: ConfigMap it \(example\.com/held\)"
    ):
        provider.delete(RELEASE, made.id, {**made.outputs, "timeout": 2})
    core.patch_namespaced_config_map("it", namespace, {"metadata": {"finalizers": None}})


def test_an_import_knows_the_release_by_its_id(provider: Package, chart: Path, namespace: str) -> None:
    make(provider, given(chart, namespace, values={"word": "first"}))
    read = provider.read(RELEASE, f"{namespace}/it", {}, {})
    assert read is not None
    assert read.inputs == {
        "chart": "small",
        "name": "it",
        "namespace": namespace,
        "timeout": 300,
        "values": {"word": "first"},
        "version": "1.0.0",
    }
    assert provider.read(RELEASE, f"{namespace}/other", {}, {}) is None


def test_somebody_elses_release_is_left_alone(
    provider: Package, core: client.CoreV1Api, chart: Path, namespace: str
) -> None:
    make(provider, given(chart, namespace, values={"word": "theirs"}))
    with pytest.raises(
        ProviderError, match=f"is there already, deployed at revision 1.* import it by its id {namespace}/it"
    ):
        make(provider, given(chart, namespace, values={"word": "ours"}))
    assert word(core, namespace) == "theirs"


def test_a_namespace_can_be_made_along(provider: Package, core: client.CoreV1Api, chart: Path, namespace: str) -> None:
    with pytest.raises(
        ProviderError, match=f'was not installed: Helm failed: .*namespaces "{namespace}-new" not found'
    ):
        make(provider, given(chart, f"{namespace}-new"))
    make(provider, given(chart, f"{namespace}-new", createNamespace=True))
    assert word(core, f"{namespace}-new") == "none"


def test_a_preview_makes_nothing_and_needs_no_cluster(
    chart: Path, opened: Callable[..., Package], plane: ControlPlane, closed: str
) -> None:
    nowhere = opened(kubeconfig=plane.kubeconfig_for(f"https://{closed}"))
    inputs = checked(nowhere, given(chart, "default"))
    assert nowhere.create(RELEASE, inputs, preview=True).outputs == inputs
    assert nowhere.update(RELEASE, "default/it", inputs, {**inputs, "timeout": 5}, inputs, preview=True)["timeout"] == 5
    with pytest.raises(UnreachableError, match="does not answer"):
        nowhere.create(RELEASE, inputs, preview=False)
    with pytest.raises(UnreachableError, match=r"cannot be deleted.*PULUMI_K8S_DELETE_UNREACHABLE"):
        nowhere.delete(RELEASE, "default/it", inputs)


# -- what is waited for, and what fails


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A chart with pods."""
    return write(tmp_path / "service", {"deployment.yaml": DEPLOYMENT}, {"replicas": 1})


def test_a_release_waits_for_its_pods(provider: Package, core: client.CoreV1Api, service: Path, namespace: str) -> None:
    with pods(core, namespace, RUNS):
        made = make(provider, given(service, namespace))
    assert made.outputs["status"]["status"] == "deployed"
    assert made.outputs["resourceNames"] == {"Deployment.apps/apps/v1": ["it"]}


def test_who_skips_waiting_does_not_wait(provider: Package, service: Path, namespace: str) -> None:
    made = make(provider, {**given(service, namespace), "skipAwait": True})
    assert made.outputs["status"]["status"] == "deployed"


def test_a_failed_install_is_recorded_tells_why_and_is_mended_by_the_next_run(
    provider: Package, core: client.CoreV1Api, service: Path, namespace: str, heard: Callable[..., None]
) -> None:
    inputs = given(service, namespace, timeout=3)
    heard("[ImagePullBackOff] no such image")
    with pods(core, namespace, PULLS), pytest.raises(PartiallyCreated) as failed:
        make(provider, inputs)
    assert failed.value.id == f"{namespace}/it"
    assert failed.value.outputs["status"]["status"] == "failed"
    message = str(failed.value)
    assert message.startswith(f"release {namespace}/it was installed, but was not ready within 3 s: pod it-")
    assert "[ImagePullBackOff] no such image" in message
    assert "run again, or give it a longer timeout" in message
    for pod in core.list_namespaced_pod(namespace).items:
        core.delete_namespaced_pod(pod.metadata.name, namespace, grace_period_seconds=0)
    with pods(core, namespace, RUNS):
        told: Any = provider.update(
            RELEASE,
            failed.value.id,
            checked(provider, inputs),
            checked(provider, {**inputs, "timeout": SECONDS}),
            failed.value.outputs,
            preview=False,
        )
    assert (told["status"]["status"], told["status"]["revision"]) == ("deployed", 2)


def test_a_failed_upgrade_is_recorded_with_what_was_wanted(
    provider: Package, service: Path, namespace: str, heard: Callable[..., None]
) -> None:
    old = given(service, namespace, skipAwait=True)
    made = make(provider, old)
    new = given(service, namespace, timeout=2, values={"replicas": 2})
    heard("it is Pending, on no machine", times=2)
    with pytest.raises(PartiallyCreated) as failed:
        change(provider, made, old, new)
    assert failed.value.outputs["values"] == {"replicas": 2}
    assert str(failed.value).count("it is Pending, on no machine") == 2


def test_pods_that_are_refused_say_so(
    provider: Package, core: client.CoreV1Api, service: Path, namespace: str, heard: Callable[..., None]
) -> None:
    heard("[FailedCreate]")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    core.patch_namespace(namespace, {"metadata": {"labels": labels}})
    with pytest.raises(PartiallyCreated, match=r"it: \[FailedCreate\] .*violates PodSecurity \"restricted"):
        make(provider, given(service, namespace, timeout=3))


def test_an_atomic_release_that_fails_leaves_nothing(
    provider: Package, core: client.CoreV1Api, service: Path, namespace: str
) -> None:
    with pods(core, namespace, PULLS), pytest.raises(ProviderError, match="was not installed") as failed:
        make(provider, given(service, namespace, timeout=2, atomic=True))
    assert not isinstance(failed.value, PartiallyCreated)
    assert revisions(core, namespace) == []


def test_objects_that_the_cluster_refuses_leave_a_release_to_mend(
    provider: Package, chart: Path, namespace: str
) -> None:
    write(chart, {"config-map.yaml": CONFIG_MAP.replace("{name: it}", "{name: No_Name}")}, {"word": "none"})
    with pytest.raises(PartiallyCreated, match=r"was installed, but Helm failed: .*No_Name") as failed:
        make(provider, given(chart, namespace))
    write(chart, {"config-map.yaml": CONFIG_MAP}, {"word": "none"})
    inputs = checked(provider, given(chart, namespace))
    told: Any = provider.update(RELEASE, failed.value.id, inputs, inputs, failed.value.outputs, preview=False)
    assert told["status"]["status"] == "deployed"


def test_a_chart_that_cannot_be_rendered_changes_nothing(
    provider: Package, core: client.CoreV1Api, chart: Path, namespace: str
) -> None:
    inputs = given(chart, namespace)
    made = make(provider, inputs)
    write(chart, {"config-map.yaml": '{{ fail "give a word" }}'}, {})
    with pytest.raises(ProviderError, match=r"was not changed: Helm failed: .*give a word") as failed:
        change(provider, made, inputs, inputs)
    assert not isinstance(failed.value, PartiallyCreated)
    assert revisions(core, namespace) == ["deployed"]


def test_a_webhook_that_refuses_or_does_not_answer_is_told(
    provider: Package, kinds: dynamic.DynamicClient, chart: Path, namespace: str, closed: str
) -> None:
    webhooks = kinds.resources.get(api_version="admissionregistration.k8s.io/v1", kind="ValidatingWebhookConfiguration")
    webhooks.create(
        {
            "metadata": {"name": namespace},
            "webhooks": [
                {
                    "name": "refuses.example.com",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "failurePolicy": "Fail",
                    "timeoutSeconds": 1,
                    "clientConfig": {"url": f"https://{closed}/"},
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "rules": [
                        {
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["configmaps"],
                        }
                    ],
                }
            ],
        }
    )
    configs = kinds.resources.get(api_version="v1", kind="ConfigMap")
    try:
        # It is asked from the moment when the API server has seen it.
        eventually(lambda: is_refused(configs, namespace))
        with pytest.raises(PartiallyCreated, match=r"a webhook does not answer: .*refuses\.example\.com.* run again"):
            make(provider, given(chart, namespace))
    finally:
        webhooks.delete(namespace)


def is_refused(configs: Any, namespace: str) -> bool:
    try:
        configs.create({"metadata": {"name": "it"}}, namespace=namespace, dry_run="All")
    except client.ApiException as error:
        return int(error.status) in (403, 422, 500)
    return False


def test_a_refusal_of_a_policy_is_passed_on(
    provider: Package, kinds: dynamic.DynamicClient, chart: Path, namespace: str
) -> None:
    group = "admissionregistration.k8s.io/v1"
    policies = kinds.resources.get(api_version=group, kind="ValidatingAdmissionPolicy")
    bindings = kinds.resources.get(api_version=group, kind="ValidatingAdmissionPolicyBinding")
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]
    policies.create(
        {
            "metadata": {"name": namespace},
            "spec": {
                "matchConstraints": {"resourceRules": rules},
                "validations": [{"expression": "object.metadata.name != 'it'", "message": "no such ConfigMaps here"}],
            },
        }
    )
    selected = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    binding = {"policyName": namespace, "validationActions": ["Deny"], "matchResources": selected}
    bindings.create({"metadata": {"name": namespace}, "spec": binding})
    configs = kinds.resources.get(api_version="v1", kind="ConfigMap")
    try:
        # The policy holds from the moment when the API server has seen it.
        eventually(lambda: is_refused(configs, namespace))
        with pytest.raises(PartiallyCreated, match="no such ConfigMaps here"):
            make(provider, given(chart, namespace))
    finally:
        bindings.delete(namespace)
        policies.delete(namespace)


def test_a_cancelled_install_ends_at_once_and_is_mended_by_the_next_run(
    provider: Package, opened: Callable[..., Package], core: client.CoreV1Api, service: Path, namespace: str
) -> None:
    inputs = given(service, namespace)
    failures: list[Exception] = []

    def install() -> None:
        try:
            make(provider, inputs)
        except ProviderError as error:
            failures.append(error)

    installing = threading.Thread(target=install)
    installing.start()
    eventually(lambda: bool(core.list_namespaced_pod(namespace).items))
    provider.cancel()
    # Helm's own time would not be over then.
    installing.join(timeout=SECONDS / 2)
    assert not installing.is_alive()
    [failed] = failures
    assert isinstance(failed, PartiallyCreated)
    assert "it was cancelled" in str(failed)
    assert revisions(core, namespace) == ["failed"]
    with pytest.raises(ProviderError, match="it was cancelled"):
        make(provider, {**inputs, "name": "another"})
    again = opened()
    with pods(core, namespace, RUNS):
        told: Any = again.update(
            RELEASE, failed.id, checked(again, inputs), checked(again, inputs), failed.outputs, preview=False
        )
    assert told["status"]["status"] == "deployed"


def killed(core: client.CoreV1Api, namespace: str, status: str) -> None:
    """The newest revision of the only release, as a Helm that is killed leaves it."""
    [secret] = core.list_namespaced_secret(namespace, label_selector="owner=helm").items
    told = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret.data["release"]))))
    told["info"]["status"] = status
    data = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(told).encode()))).decode()
    patch = {"data": {"release": data}, "metadata": {"labels": {"status": status}}}
    core.patch_namespaced_secret(secret.metadata.name, namespace, patch)


def test_a_release_whose_helm_was_killed_says_how_to_go_on(
    provider: Package, core: client.CoreV1Api, chart: Path, namespace: str
) -> None:
    inputs = given(chart, namespace)
    made = make(provider, inputs)
    killed(core, namespace, "pending-upgrade")
    with pytest.raises(ProviderError, match=rf"helm rollback it --namespace {namespace}.*refresh and run again"):
        change(provider, made, inputs, inputs)


def test_what_a_killed_install_left_says_how_to_go_on(
    provider: Package, core: client.CoreV1Api, chart: Path, namespace: str
) -> None:
    made = make(provider, given(chart, namespace))
    killed(core, namespace, "pending-install")
    with pytest.raises(
        ProviderError, match=rf"pending-install at revision 1.*helm uninstall it --namespace {namespace}"
    ):
        make(provider, given(chart, namespace))
    provider.delete(RELEASE, made.id, made.outputs)
    assert make(provider, given(chart, namespace)).outputs["status"]["status"] == "deployed"


# -- bad input


def refusals(package: Package, inputs: dict[str, Any]) -> list[Failure]:
    return package.check(RELEASE, inputs).failures


def test_a_chart_that_is_not_there_is_refused_before_anything_is_made(provider: Package, tmp_path: Path) -> None:
    [failure] = refusals(provider, {"chart": "./nowhere"})
    assert str(failure) == "chart: there is no chart at ./nowhere: a directory with Chart.yaml, or an archive"
    (tmp_path / "Chart.yaml").write_text("name: [")
    [failure] = refusals(provider, {"chart": str(tmp_path)})
    assert "names no name and version" in str(failure)


def test_an_upstream_chart_without_a_pinned_version_is_refused(provider: Package) -> None:
    [failure] = refusals(provider, {"chart": "cert-manager", "repositoryOpts": {"repo": "https://charts.example.com"}})
    assert str(failure).startswith("version: is required here")


def test_an_upstream_chart_of_which_nothing_is_known_is_refused(provider: Package) -> None:
    [failure] = refusals(provider, {"chart": "oci://charts.example.com/unknown", "version": "1.0.0"})
    assert "workloads.yaml does not say what the chart 'unknown' runs: add it" in str(failure)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"valueYamlFiles": [{"path": "x"}]}, "valueYamlFiles: .*give them as values"),
        ({"postrender": "sed"}, "postrender: .*post-renderers"),
        (
            {"repositoryOpts": {"repo": "https://charts.example.com", "password": "x"}},
            "repositoryOpts.password: .*credentials",
        ),
        ({"timeout": -1}, "timeout: must not be negative"),
        ({"wait": True}, "wait: unknown property"),
    ],
)
def test_what_helm_is_not_asked_to_do_is_refused(provider: Package, chart: Path, bad: dict[str, Any], why: str) -> None:
    failures = [str(each) for each in refusals(provider, {"chart": str(chart), **bad})]
    assert any(re.match(why, each) for each in failures), failures


def test_a_repository_that_does_not_answer_is_named_with_the_next_step(
    plane: ControlPlane, core: client.CoreV1Api, namespace: str, closed: str
) -> None:
    fetching = open_package("kubernetes", Surroundings(real_charts=True))
    fetching.configure({"kubeconfig": plane.kubeconfig})
    for chart, options in (
        ("cert-manager", {"repositoryOpts": {"repo": f"http://{closed}/charts"}}),
        (f"oci://{closed}/charts/cert-manager", {}),
    ):
        inputs = {**given(chart, namespace, version="v1.21.1"), **options}
        with pytest.raises(
            ProviderError, match=r"chart .*cert-manager v1\.21\.1 cannot be fetched from .*refused.* Run again"
        ):
            make(fetching, inputs)
    assert revisions(core, namespace) == []


# -- secrets


def test_values_and_credentials_are_on_no_command_line_and_in_no_file(
    provider: Package, monkeypatch: pytest.MonkeyPatch, service: Path, namespace: str, tmp_path: Path
) -> None:
    commands: list[str] = []
    files: dict[Path, str] = {}
    started = subprocess.Popen
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def watched(command: list[str], **options: Any) -> Any:
        commands.append(" ".join(command) + json.dumps(options["env"]))
        process = started(command, **options)
        ended = process.communicate

        def looked(*given: Any) -> Any:
            answer = ended(*given)
            # Helm has ended, and what is put away afterwards is still there.
            files.update((path, path.read_text(errors="replace")) for path in tmp_path.rglob("*") if path.is_file())
            return answer

        process.communicate = looked
        return process

    monkeypatch.setattr(subprocess, "Popen", watched)
    make(provider, given(service, namespace, skipAwait=True, values={"password": "hunter2", "replicas": 1}))
    key = yaml.safe_load(provider._configured["kubeconfig"])["users"][0]["user"]["client-key-data"]  # type: ignore[attr-defined]
    assert [command.split()[1] for command in commands] == ["install"]
    # Helm's home is among them: it keeps there what it discovers.
    assert any(path.is_relative_to(json.loads("{" + commands[0].partition("{")[2])["HOME"]) for path in files)
    assert not any("hunter2" in each or key in each for each in (*commands, *files.values()))
