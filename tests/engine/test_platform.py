"""A region with everything that runs in it, on the real engine: up, no change, one release, one tenant at a time, destroy to nothing.

The layers are installed by real Helm and placed by a real scheduler; charts of upstream are stand-ins. One story, in order.
That a chart's repository or a webhook does not answer is told by tests/sandbox/kubernetes/test_engine.py.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from kubernetes import client

from sandbox.clouds import Options, ThreadedClouds
from sandbox.engine import EngineError
from sandbox.machines import Tools
from sandbox.object_store import ObjectStore
from sandbox.scratch import dummy
from sandbox.toolchain import Tool
from stacks.stack_secrets import possible_secrets

from .conftest import KEPT, Project, made
from .steps import Step, moments, read_steps, touched
from .test_scenarios import run
from .whole_platform import KEPT_WAITING, SECONDS

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

RELEASE = "kubernetes:helm.sh/v3:Release"
NAMESPACE = "kubernetes:core/v1:Namespace"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"

METRICS = "fsn1-metrics-metrics-server"
TRAEFIK = "fsn1-ingress-controller-traefik"
STORE = "fsn1-object-store-object-store"
STORE_USERS = "fsn1-object-store-object-store-object-store-provision-secret"
"""The provider makes a Secret anew when what is in it changes."""
WRITERS = "fsn1-secrets-openbao-port-forward-role-binding"

ORDERS: dict[str, Any] = {
    "owner": "team-orders",
    "groups": {"admin": ["orders-leads"], "developer": ["orders"]},
    "repositories": ["https://git.example.com/orders/api.git"],
    "reaches": ["databases", "object-store"],
    "environments": {"production": {"quota": {"cpu": 1, "memory": "512Mi"}, "buckets": {"invoices": {}}}},
}

OPERATORS = {
    "cilium.io": "cilium",
    "longhorn.io": "longhorn",
    "cert-manager.io": "cert-manager",
    "trust.cert-manager.io": "trust-manager",
    "external-secrets.io": "external-secrets",
    "policy.linkerd.io": "linkerd-crds",
    "traefik.io": "traefik",
    "gatekeeper.sh": "gatekeeper",
}
"""Whose definitions an API group's resources need, by the end of the group's name; the longest that fits."""


@pytest.fixture(scope="module")
def platform(
    cli: Tool, tools: Tools, object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """A project whose program makes everything."""
    base = tmp_path_factory.mktemp("platform")
    options = Options(
        machines="full",
        tools=tools,
        rate_limit=False,
        regions={"fsn1": 1, "nbg1": 2},
        object_store=(object_store.endpoint, object_store.user, object_store.password),
    )
    with ThreadedClouds(base / "machines", options) as clouds:
        yield made(cli, base, clouds, "tests/engine/whole_platform.py")


def steps(platform: Project, stack: str = "prod") -> list[Step]:
    """What the last run did."""
    return read_steps(platform.engine.directory / f"{stack}.events")


def up(platform: Project) -> dict[str, set[str]]:
    """Deploy prod; names of what was touched, by operation."""
    platform.engine.up("prod")
    return touched(steps(platform))


def resources(platform: Project, stack: str = "prod") -> list[dict[str, Any]]:
    """The state."""
    return platform.engine.export_state(stack)["deployment"].get("resources", [])


def of_type(platform: Project, type: str) -> dict[str, dict[str, Any]]:
    """The state's resources of a type by logical name."""
    return {each["urn"].split("::", 3)[3]: each for each in resources(platform) if each["type"] == type}


def of_tenant(platform: Project, namespace: str) -> set[str]:
    """Logical names of a tenant's environment in the state, its component among them."""
    own = f"tenants-{namespace}"
    names = {each["urn"].split("::", 3)[3] for each in resources(platform)}
    return {name for name in names if name == own or name.startswith(f"{own}-")}


def test_a_region_comes_up_with_everything_in_it(platform: Project) -> None:
    for stack in ("shared", "prod"):
        platform.init(stack)
    platform.engine.up("shared")
    deployment = platform.engine.up("prod")
    assert set(deployment.operations) <= {"create", "read"}
    kinds = Counter(resource.type for resource in deployment.resources)
    assert (kinds[RELEASE], kinds[NAMESPACE]) == (19, 17)
    assert not of_type(platform, "kubernetes:core/v1:Pod")


def test_every_release_is_deployed(platform: Project) -> None:
    found = {name: each["outputs"]["status"]["status"] for name, each in of_type(platform, RELEASE).items()}
    assert found == dict.fromkeys(found, "deployed")
    assert not any("initErrors" in each for each in resources(platform))


def test_every_pod_was_placed_by_the_scheduler_and_runs(platform: Project) -> None:
    machines = set(platform.nodes("prod"))
    # What no release waits for may still be on its way.
    platform.eventually(lambda: unsettled(pods_of(platform)) == {}, seconds=180)
    pods = pods_of(platform)
    assert {pod.spec.scheduler_name for pod in pods} == {"default-scheduler"}
    assert {pod.spec.node_name for pod in pods} == machines
    namespaces = {each["inputs"]["namespace"] for each in of_type(platform, RELEASE).values()}
    assert namespaces <= {pod.metadata.namespace for pod in pods}


def pods_of(platform: Project) -> list[Any]:
    """All of prod's cluster."""
    return platform.cluster("prod").list_pod_for_all_namespaces(_request_timeout=30).items


def unsettled(pods: list[Any]) -> dict[str, str]:
    """Phases of those that do not run yet, or whose Job has not succeeded."""
    return {
        f"{pod.metadata.namespace}/{pod.metadata.name}": pod.status.phase
        for pod in pods
        if pod.status.phase != ("Succeeded" if owner(pod) == "Job" else "Running")
    }


def owner(pod: Any) -> str:
    """The kind of what made a pod."""
    return pod.metadata.owner_references[0].kind


def test_a_second_up_changes_nothing(platform: Project) -> None:
    deployment = platform.engine.up("prod", options=["--expect-no-changes"])
    assert set(deployment.operations) == {"same"}
    assert touched(steps(platform)) == {}


# -- one release


def cordon(platform: Project, *, on: bool) -> None:
    """Let no machine take pods, or let all take them again."""
    api = platform.cluster("prod")
    for name in platform.nodes("prod"):
        api.patch_node(name, {"spec": {"unschedulable": on}})


def test_a_release_whose_pods_find_no_room_is_told_with_the_next_step(platform: Project) -> None:
    platform.edit("config/versions.yaml", lambda versions: versions["charts"][KEPT_WAITING].update(version="3.13.0"))
    cordon(platform, on=True)
    with pytest.raises(EngineError) as told:
        platform.engine.up("prod")
    message = str(told.value)
    assert f"was not ready within {SECONDS} s: pod metrics-server-" in message
    assert "[Unschedulable]" in message
    assert "Mend that and run again" in message
    assert "Traceback" not in message
    assert touched(steps(platform)) == {"update": {METRICS}}


def test_running_again_converges_and_touches_that_release_alone(platform: Project) -> None:
    cordon(platform, on=False)
    assert up(platform) == {"update": {METRICS}}
    metrics = of_type(platform, RELEASE)[METRICS]
    assert (metrics["outputs"]["version"], metrics["outputs"]["status"]["status"]) == ("3.13.0", "deployed")
    assert "initErrors" not in metrics


def test_a_version_bump_touches_that_release_alone(platform: Project) -> None:
    platform.edit("config/versions.yaml", lambda versions: versions["charts"]["reloader"].update(version="2.2.14"))
    assert up(platform) == {"update": {"fsn1-secrets-reloader"}}
    assert of_type(platform, RELEASE)["fsn1-secrets-reloader"]["outputs"]["version"] == "2.2.14"


def test_a_change_of_values_touches_that_release_alone(platform: Project) -> None:
    platform.edit("config/platform.yaml", lambda settings: settings["ingress"].update(burst=300))
    assert up(platform) == {"update": {TRAEFIK}}


# -- one tenant


def test_a_new_tenant_touches_no_other(platform: Project) -> None:
    platform.edit("config/tenants.yaml", lambda tenants: tenants.update(orders=ORDERS))
    done = up(platform)
    assert done == {
        "create": of_tenant(platform, "orders-production") | {"fsn1-object-store-orders-production"},
        # What the store is told, and who may reach OpenBao to write secrets.
        "update": {STORE, WRITERS},
        "replace": {STORE_USERS},
    }
    assert len(done["create"]) == 27


def test_a_staging_that_is_taken_out_takes_nothing_along(platform: Project) -> None:
    own = of_tenant(platform, "accounts-staging")
    assert len(own) == 26
    platform.edit("config/tenants.yaml", lambda tenants: tenants["accounts"]["environments"].pop("staging"))
    assert up(platform) == {"delete": own}
    namespaces = {each.metadata.name for each in platform.cluster("prod").list_namespace(_request_timeout=30).items}
    assert {"accounts-production", "accounts-staging"} & namespaces == {"accounts-production"}


def test_a_production_does_not_go_in_one_step(platform: Project) -> None:
    platform.edit("config/tenants.yaml", lambda tenants: tenants.pop("orders"))
    with pytest.raises(EngineError) as refused:
        platform.engine.preview("prod")
    assert "tenants-orders-production-namespace" in str(refused.value)
    assert "because it is protected" in str(refused.value)
    assert "orders-production" in {
        each.metadata.name for each in platform.cluster("prod").list_namespace(_request_timeout=30).items
    }


def test_a_production_goes_in_two_steps(platform: Project) -> None:
    unprotected = json.loads(json.dumps(ORDERS))
    unprotected["environments"]["production"]["unprotected"] = True
    platform.edit("config/tenants.yaml", lambda tenants: tenants.update(orders=unprotected))
    assert up(platform) == {}  # Protection is the state's alone; nothing in the cluster changes.
    own = of_tenant(platform, "orders-production")
    platform.edit("config/tenants.yaml", lambda tenants: tenants.pop("orders"))
    assert up(platform) == {
        "delete": own | {"fsn1-object-store-orders-production"},
        "update": {STORE, WRITERS},
        "replace": {STORE_USERS},
    }


# -- secrets


def secrets(platform: Project) -> dict[str, str]:
    """Every secret that is known, by what it is."""
    known = {key: dummy(key) for key in possible_secrets("prod")}
    known["hcloud:token"] = platform.clouds.access.token
    shared = platform.engine.stack_output("shared", show_secrets=True)
    known["seal key"] = shared["secrets"]["vault_seal_key"]
    known["anchor's key"] = shared["secrets"]["mesh_trust_anchor"]["private_key"]
    known |= {f"origin's key of {name}": each["private_key"] for name, each in shared["origin_certificates"].items()}
    for each in platform.engine.export_state("prod", show_secrets=True)["deployment"]["resources"]:
        name, outputs = each["urn"].split("::", 3)[3], each.get("outputs", {})
        if each["type"] == "random:index/randomPassword:RandomPassword":
            known[name] = _shown(outputs["result"])
        elif each["type"] == "tls:index/privateKey:PrivateKey":
            known[name] = _shown(outputs["privateKeyPem"])
    return known


def _shown(value: Any) -> str:
    """A secret of a state that was exported with its secrets."""
    return str(json.loads(value["plaintext"])) if isinstance(value, dict) else str(value)


def standing(known: Mapping[str, str], text: str) -> set[str]:
    """Which secrets stand in a text: as they are, as JSON writes them, in base64."""
    return {
        what
        for what, secret in known.items()
        if any(
            form in text
            for form in (secret, json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode().rstrip("="))
        )
    }


def test_a_secret_that_is_told_would_be_found() -> None:
    known = {"key": "-----BEGIN KEY-----\nsecret\n", "word": "hunter2"}
    for text in ("hunter2", json.dumps({"pem": known["key"]}), base64.b64encode(b"hunter2").decode()):
        assert len(standing(known, text)) == 1
    assert standing(known, "nothing of it") == set()


def test_states_and_logs_hold_no_secret(platform: Project) -> None:
    known = secrets(platform)
    # The seal key, the anchor's, two of origins, the token and the dummies, and what prod made by itself.
    assert len(known) >= 30
    texts = {f"state of {stack}": json.dumps(platform.engine.export_state(stack)) for stack in ("shared", "prod")}
    directory = platform.engine.directory
    files = [*(directory / "home").rglob("*.log"), *(directory / "backend").rglob("*.json")]
    texts |= {str(file.relative_to(directory)): file.read_text(errors="replace") for file in files}
    texts |= {f"events of {stack}": told((directory / f"{stack}.events").read_text()) for stack in ("shared", "prod")}
    assert {where: found for where, text in texts.items() if (found := standing(known, text))} == {}


def told(log: str) -> str:
    """An event log without the messages that ``--debug`` would show: Pulumi's SDK tells outputs in clear there."""
    return "\n".join(line for line in log.splitlines() if _severity(line) != "debug")


def _severity(line: str) -> str:
    return json.loads(line).get("diagnosticEvent", {}).get("severity", "")


def test_no_object_but_a_secret_holds_one(platform: Project) -> None:
    known, api = secrets(platform), platform.cluster("prod")
    maps = api.list_config_map_for_all_namespaces(_request_timeout=30).items
    pods = api.list_pod_for_all_namespaces(_request_timeout=30).items
    events = api.list_event_for_all_namespaces(_request_timeout=30).items
    for objects in (maps, pods, events):
        text = json.dumps(client.ApiClient().sanitize_for_serialization(objects))
        assert standing(known, text) == set()


# -- taking it down


def operator_of(type: str) -> str | None:
    """The release that a custom resource needs; None for what is built in."""
    group = type.removeprefix("kubernetes:").partition("/")[0]
    fitting = [each for each in OPERATORS if group == each or group.endswith(f".{each}")]
    return OPERATORS[max(fitting, key=len)] if fitting else None


def test_protection_is_lifted_by_a_deployment(platform: Project) -> None:
    platform.edit_stack("prod", lambda block: block.update(protection=False))
    done = up(platform)
    # Longhorn's own setting follows; everything else is the clouds' and the engine's protection.
    releases = {name for name in done["update"] if name in of_type(platform, RELEASE)}
    assert releases == {"fsn1-block-storage-longhorn"}
    assert "create" not in done
    assert "delete" not in done


def test_a_region_is_destroyed_from_the_top_down(platform: Project) -> None:
    state = {(each["type"], each["urn"].split("::", 3)[3]): each for each in resources(platform)}
    run(platform, "python -m operations sweep --stack prod --yes")
    platform.engine.destroy("prod")
    assert resources(platform) == []
    begun, ended = (moments(steps(platform), "delete", ends=ends) for ends in (False, True))
    releases = {key: each for key, each in state.items() if key[0] == RELEASE}
    assert order_problems(state, begun, ended) == []
    assert len(releases) == 19


def order_problems(
    state: Mapping[tuple[str, str], Mapping[str, Any]],
    begun: Mapping[tuple[str, str], int],
    ended: Mapping[tuple[str, str], int],
) -> list[str]:
    """What went although something that needs it was still there.

    Args:
        state: What there was, by type and name.
        begun, ended: When the deletion of each began and ended.
    """
    found: list[str] = []
    releases = {each["inputs"]["name"]: key for key, each in state.items() if key[0] == RELEASE}
    for key in state:
        operator = operator_of(key[0])
        if operator is not None and ended[key] > begun[releases[operator]]:
            found.append(f"{key[1]} was still there when {operator} went")
    for key in releases.values():
        namespace = state[key]["inputs"]["namespace"]
        for other, each in state.items():
            metadata = each.get("inputs", {}).get("metadata") or {}
            around = (other[0] == NAMESPACE and metadata["name"] == namespace) or (
                other[0] == POLICY and metadata.get("namespace") == namespace
            )
            if around and namespace != "kube-system" and begun[other] < ended[key]:
                found.append(f"{other[1]} went before {key[1]}")
    return found


def test_a_wrong_order_would_be_seen() -> None:
    operator, namespace, policy, resource = (
        (RELEASE, "longhorn"),
        (NAMESPACE, "place"),
        (POLICY, "deny"),
        ("kubernetes:longhorn.io/v1beta2:RecurringJob", "job"),
    )
    state: dict[tuple[str, str], dict[str, Any]] = {
        operator: {"inputs": {"name": "longhorn", "namespace": "longhorn-system"}},
        namespace: {"inputs": {"metadata": {"name": "longhorn-system"}}},
        policy: {"inputs": {"metadata": {"name": "deny", "namespace": "longhorn-system"}}},
        resource: {"inputs": {"metadata": {"name": "job", "namespace": "longhorn-system"}}},
    }
    right = [resource, operator, policy, namespace]
    times = {key: place * 2 for place, key in enumerate(right)}
    assert order_problems(state, times, {key: time + 1 for key, time in times.items()}) == []
    wrong = {key: place * 2 for place, key in enumerate(reversed(right))}
    assert order_problems(state, wrong, {key: time + 1 for key, time in wrong.items()}) == [
        "job was still there when longhorn went",
        "place went before longhorn",
        "deny went before longhorn",
    ]


def test_nothing_is_left(platform: Project) -> None:
    run(platform, "python -m operations sweep --region fsn1 --yes")
    platform.edit_stack("shared", lambda block: block.update(protection=False))
    platform.engine.up("shared")
    platform.kept_buckets = KEPT
    platform.destroy("shared")
    assert {kind: entries for kind, entries in platform.objects().items() if entries} == {}
    assert not any(platform.clouds.call(platform.clouds.clouds.cloudflare.ids).values())
    assert resources(platform, "shared") == []
