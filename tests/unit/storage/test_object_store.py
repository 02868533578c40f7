"""The store of tenants' buckets as the engine would receive it, in each of its kinds."""

import json
from typing import Any

import pytest

from components.layer import Pods, policies, requests
from components.problem import ProblemsError
from components.storage import ObjectStore, TenantBucket, TenantBuckets
from components.storage.object_store import OBJECT_STORE, store_flows
from tests.rules import all_rules, rule_of
from tests.unit.edge.recording import Recording, record
from tests.waiting import before

SHOP = TenantBuckets("shop", "production", [TenantBucket("media")])
STAGING = TenantBuckets("shop", "staging", [TenantBucket("media", versioning=False)])
BLOG = TenantBuckets("blog", "production", [TenantBucket("pictures")])
PIN = {"repository": "https://charts.example.com", "version": "4.44.0"}
HETZNER = {
    "endpoint": "https://hel1.example.com",
    "location": "hel1",
    "prefix": "acme",
    "keys": {each.name: {"access_key": f"AK-{each.name}", "secret_key": "given"} for each in (SHOP, STAGING)},
}


def store(kind: str = "silo", tenants: tuple[TenantBuckets, ...] = (SHOP, STAGING), **changes: Any) -> Recording:
    def program() -> dict[str, Any]:
        arguments: Any = {"kind": kind, "tenants": tenants, "charts": {"seaweedfs": PIN}, **changes}
        made = ObjectStore("store", arguments)
        return {"endpoint": made.endpoint, "flow": made.consumer_flow.ports, **made.credentials}

    return record(program)


@pytest.fixture(scope="module")
def silo() -> Recording:
    return store()


def values(recording: Recording, chart: str = OBJECT_STORE) -> dict[str, Any]:
    return recording.of("Release")[f"store-{chart}"].inputs["values"]


def test_the_chart_is_ours_and_is_told_the_names_of_secrets_alone(silo: Recording) -> None:
    release = silo.of("Release")["store-object-store"].inputs
    assert (release["chart"], release["name"], release["namespace"]) == (
        "./charts/object-store",
        OBJECT_STORE,
        OBJECT_STORE,
    )
    assert values(silo)["rootSecret"] == "object-store-root"
    assert values(silo)["provision"]["secret"] == "object-store-provision"
    # Secrets are shown as [secret], whatever is in them.
    assert "[secret]" not in json.dumps(release)
    assert "password of" not in json.dumps(release)


def test_the_chart_is_told_sizes(silo: Recording) -> None:
    assert values(silo)["storage"] == {"class": "hcloud-volumes", "size": "50Gi"}
    assert (values(silo)["servers"], values(silo)["drives"]) == (3, 2)
    told = values(store(volume_gb=100, servers=4, drives=1, storage_class="other"))
    assert (told["storage"], told["servers"], told["drives"]) == ({"class": "other", "size": "100Gi"}, 4, 1)


def test_pods_are_restricted(silo: Recording) -> None:
    labels = silo.of("Namespace")["store-object-store-namespace"].inputs["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_what_is_secret_is_in_secrets(silo: Recording) -> None:
    secrets = silo.of("Secret")
    assert {name.removeprefix("store-object-store-") for name in secrets} == {
        "object-store-root-secret",
        "object-store-provision-secret",
    }
    assert all(each.inputs["stringData"] == "[secret]" for each in secrets.values())
    assert silo.secret_exports == {"shop-production", "shop-staging"}


def test_each_tenant_and_environment_has_a_credential_of_its_own(silo: Recording) -> None:
    first, second = silo.exports["shop-production"], silo.exports["shop-staging"]
    assert first["AWS_SECRET_ACCESS_KEY"] != second["AWS_SECRET_ACCESS_KEY"]
    assert first["AWS_ACCESS_KEY_ID"] == "shop-production"
    assert first["AWS_ENDPOINT_URL"] == silo.exports["endpoint"]
    assert first["BUCKET_MEDIA"] == "shop-production-media"
    assert silo.exports["endpoint"] == "http://object-store.object-store.svc.cluster.local:9000"


def test_another_tenant_changes_nobody_but_what_the_store_is_told(silo: Recording) -> None:
    more = store(tenants=(BLOG, SHOP, STAGING))
    changed = {key for key, each in silo.resources.items() if more.resources.get(key) != each}
    assert changed == {"Release/store-object-store", "Secret/store-object-store-object-store-provision-secret"}
    assert set(more.resources) - set(silo.resources) == {"RandomPassword/store-blog-production"}
    assert all(more.exports[name] == silo.exports[name] for name in ("shop-production", "shop-staging"))


@pytest.mark.parametrize("changes", [{}, {"kind": "hetzner", "hetzner": HETZNER}])
def test_a_tenant_without_buckets_has_no_credential(changes: dict[str, Any]) -> None:
    empty = TenantBuckets("empty", "production", [])
    assert store(tenants=(empty, SHOP), **changes).resources == store(tenants=(SHOP,), **changes).resources
    assert "empty-production" not in store(tenants=(empty, SHOP), **changes).exports


def test_the_job_runs_anew_when_its_files_change_and_only_then(silo: Recording) -> None:
    revision = values(silo)["provision"]["revision"]
    assert values(store())["provision"]["revision"] == revision
    assert values(store(tenants=(STAGING, SHOP)))["provision"]["revision"] == revision
    assert values(store(tenants=(SHOP,)))["provision"]["revision"] != revision
    assert len(revision) == 16


def test_secrets_and_policies_come_before_the_release(silo: Recording) -> None:
    needed = before(silo.resources.values(), "store-object-store")
    assert {"store-object-store-object-store-root-secret", "store-object-store-object-store-provision-secret"} <= needed
    assert "store-object-store-default-deny-network-policy" in needed


def test_seaweedfs_reads_its_identities_from_a_secret_and_starts_anew_with_them() -> None:
    recording = store("seaweedfs")
    told = values(recording, "seaweedfs")
    assert told["s3"]["existingConfigSecret"] == "object-store-identities"
    assert told["s3"]["enableAuth"] is True
    assert told["s3"]["podAnnotations"] != values(store("seaweedfs", (SHOP,)), "seaweedfs")["s3"]["podAnnotations"]
    assert told["s3"]["createBuckets"] == [
        {"name": "shop-production-media", "versioning": "Enabled"},
        {"name": "shop-staging-media"},
    ]
    assert told["volume"]["dataDirs"][0]["size"] == "50Gi"
    assert "[secret]" not in json.dumps(told)
    assert "password of" not in json.dumps(told)
    assert recording.exports["endpoint"] == "http://seaweedfs-s3.object-store.svc.cluster.local:8333"


def test_of_each_part_of_seaweedfs_one_pod_may_be_evicted_at_a_time() -> None:
    made = {
        each.inputs["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]: each.inputs["spec"]
        for each in store("seaweedfs").resources.values()
        if each.type.endswith(":PodDisruptionBudget")
    }
    listed = {entry["labels"]["app.kubernetes.io/component"] for entry in requests.listed()["seaweedfs"]}
    assert set(made) == listed
    assert {spec["maxUnavailable"] for spec in made.values()} == {1}


def test_no_part_of_seaweedfs_keeps_anything_on_its_machine() -> None:
    told = values(store("seaweedfs"), "seaweedfs")
    kinds = [told[part][what]["type"] for part in ("master", "filer") for what in ("data", "logs")]
    assert [*kinds, told["s3"]["logs"]["type"]] == ["persistentVolumeClaim", "emptyDir"] * 2 + ["emptyDir"]
    for part in ("master", "volume", "filer", "s3"):
        pod, container = told[part]["podSecurityContext"], told[part]["containerSecurityContext"]
        assert pod["enabled"]
        assert pod["runAsNonRoot"]
        assert container["enabled"]
        assert container["capabilities"] == {"drop": ["ALL"]}


def test_hetzners_store_runs_nothing_and_hands_on_the_keys_that_were_given() -> None:
    recording = store("hetzner", hetzner=HETZNER)
    assert {key.split("/")[0] for key in recording.resources} == {"ObjectStore"}
    assert recording.exports["shop-staging"] == {
        "AWS_ACCESS_KEY_ID": "AK-shop-staging",
        "AWS_SECRET_ACCESS_KEY": "given",
        "AWS_ENDPOINT_URL": "https://hel1.example.com",
        "AWS_REGION": "hel1",
        "BUCKET_MEDIA": "acme-shop-staging-media",
    }
    assert recording.secret_exports == {"shop-production", "shop-staging"}


@pytest.mark.parametrize(
    ("kind", "changes", "key"),
    [
        ("minio", {}, "kind"),
        ("silo", {"tenants": (TenantBuckets("a", "staging", [TenantBucket("b", public=True)]),)}, "tenants.a.environments.staging.buckets.b.public"),
        ("silo", {"servers": 2}, "servers"),
        ("silo", {"servers": 3, "drives": 1}, "drives"),
        ("silo", {"volume_gb": 5}, "volume_gb"),
        ("seaweedfs", {"charts": {}}, "charts.seaweedfs"),
        ("hetzner", {}, "hetzner"),
        ("hetzner", {"hetzner": {**HETZNER, "endpoint": "http://x"}}, "hetzner.endpoint"),
        ("hetzner", {"hetzner": HETZNER, "tenants": (BLOG,)}, "hetzner.keys.blog-production"),
    ],
)  # fmt: skip
def test_what_is_wrong_registers_nothing(kind: str, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ProblemsError) as problems:
        store(kind, **changes)
    assert [problem.key for problem in problems.value.problems] == [key]


def test_only_labelled_pods_reach_the_store() -> None:
    made = policies(OBJECT_STORE, store_flows(9000, silo=True))
    label = {"hetzner-platform/object-store": "allowed"}
    consumers = rule_of(made, "consumers")
    assert consumers["from"] == [{"namespaceSelector": {}, "podSelector": {"matchLabels": label}}]
    assert consumers["ports"] == [{"protocol": "TCP", "port": 9000}]
    assert rule_of(made, "within-in")["from"] == [{"podSelector": {}}]


def test_the_store_goes_nowhere_but_to_itself() -> None:
    made = all_rules(policies(OBJECT_STORE, store_flows(9000, silo=True)))
    assert {rule.flow for rule in made if rule.direction == "egress"} == {"dns", "within-out"}


def test_a_tenants_namespace_lets_out_to_the_stores_pods_alone() -> None:
    def program() -> dict[str, Any]:
        arguments: Any = {"kind": "silo", "tenants": (SHOP,)}
        flow = ObjectStore("store", arguments).consumer_flow
        (peer,) = flow.peers
        assert isinstance(peer, Pods)
        return {"peer": [peer.namespace, peer.labels], "ports": flow.ports, "pods": flow.pods, "way": flow.direction}

    assert record(program).exports == {
        "peer": [
            "object-store",
            {"app.kubernetes.io/name": "object-store", "app.kubernetes.io/component": "server"},
        ],
        "ports": [9000],
        "pods": {"hetzner-platform/object-store": "allowed"},
        "way": "egress",
    }
