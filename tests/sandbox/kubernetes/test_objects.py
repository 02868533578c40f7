"""Objects are made, seen, changed and deleted in a real cluster as the real provider does it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client, dynamic
from kubernetes.client.exceptions import ApiException

from sandbox.plugins.package import Created, Package, PartiallyCreated, ProviderError, Target
from sandbox.plugins.packages import kubernetes as plugin
from sandbox.plugins.values import UNKNOWN

pytestmark = pytest.mark.engine

MAP = Target("kubernetes:core/v1:ConfigMap", "settings")
SECRET = Target("kubernetes:core/v1:Secret", "keys")
NAMESPACE = Target("kubernetes:core/v1:Namespace", "tenant")
DEFINITION = Target("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "backups")
BACKUP = Target("kubernetes:example.com/v1:Backup", "nightly")

MUTABLE = {"enableConfigMapMutable": True}


def config_map(namespace: str, name: str = "settings", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "data": data}


def make(package: Package, target: Target, given: dict[str, Any]) -> tuple[dict[str, Any], Created]:
    checked = package.check(target, given)
    assert checked.failures == []
    return checked.inputs, package.create(target, checked.inputs, preview=False)


def refreshed(package: Package, target: Target, inputs: dict[str, Any], made: Created) -> dict[str, Any]:
    read = package.read(target, made.id, inputs, made.outputs)
    assert read is not None
    return read.inputs


# -- creation


def test_an_object_is_made_and_its_outputs_are_what_the_cluster_tells(
    provider: Package, core: client.CoreV1Api, namespace: str
) -> None:
    _, made = make(provider, MAP, config_map(namespace, a="1"))
    assert made.id == f"{namespace}/settings"
    found = core.read_namespaced_config_map("settings", namespace)
    assert found.data == {"a": "1"}
    assert made.outputs["metadata"]["uid"] == found.metadata.uid  # type: ignore[index,call-overload]
    assert [entry.manager for entry in found.metadata.managed_fields] == ["pulumi-kubernetes"]


def test_what_has_no_namespace_has_its_name_as_id(provider: Package) -> None:
    target = Target("kubernetes:scheduling.k8s.io/v1:PriorityClass", "batch")
    _, made = make(provider, target, {"metadata": {"name": "batch"}, "value": 7})
    assert made.id == "batch"
    provider.delete(target, made.id, made.outputs)


def test_an_object_that_is_there_is_refused_and_not_touched(
    provider: Package, core: client.CoreV1Api, namespace: str
) -> None:
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "settings"}, "data": {"theirs": "1"}})
    with pytest.raises(ProviderError, match=r"already exists.*Import it.*upsertExistingObjects"):
        make(provider, MAP, config_map(namespace, ours="1"))
    assert core.read_namespaced_config_map("settings", namespace).data == {"theirs": "1"}


def test_an_object_that_is_there_is_taken_when_the_provider_may(
    opened: Callable[..., Package], core: client.CoreV1Api, namespace: str
) -> None:
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "settings"}, "data": {"theirs": "1"}})
    make(opened(upsertExistingObjects=True), MAP, config_map(namespace, ours="1"))
    assert core.read_namespaced_config_map("settings", namespace).data == {"theirs": "1", "ours": "1"}


def test_a_creation_waits_for_its_namespace(
    provider: Package, core: client.CoreV1Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[float] = []

    def pause(seconds: float) -> bool:
        tries.append(seconds)
        if len(tries) == 2:
            core.create_namespace({"metadata": {"name": "comes-later"}})
        return False

    monkeypatch.setattr(provider._cancelled, "wait", pause)  # type: ignore[attr-defined]
    make(provider, MAP, config_map("comes-later", a="1"))
    assert tries == [1.0, 2.0]


def test_a_namespace_that_never_comes_is_named(provider: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "_PAUSES", (0.0, 0.0))
    with pytest.raises(ProviderError, match=r'ConfigMap nowhere/settings: namespaces "nowhere" not found'):
        make(provider, MAP, config_map("nowhere"))


def test_what_the_cluster_refuses_is_told_in_its_words(provider: Package, namespace: str) -> None:
    with pytest.raises(ProviderError, match=r"ConfigMap .*/Big: .*lowercase"):
        make(provider, MAP, config_map(namespace, "Big"))


def test_the_configured_namespace_is_for_what_has_namespaces_alone(
    opened: Callable[..., Package], namespace: str
) -> None:
    package = opened(namespace=namespace)
    inputs, made = make(package, MAP, {"metadata": {"name": "settings"}})
    assert (made.id, inputs["metadata"]["namespace"]) == (f"{namespace}/settings", namespace)
    assert package.check(NAMESPACE, {"metadata": {"name": "tenant"}}).inputs["metadata"] == {"name": "tenant"}


# -- reading


def test_nothing_changed_is_told_as_it_was_given(provider: Package, namespace: str) -> None:
    target = Target("kubernetes:core/v1:LimitRange", "limits")
    limit = {"type": "Container", "default": {"memory": "1024Mi", "cpu": "1000m"}}
    given = {"metadata": {"name": "limits", "namespace": namespace}, "spec": {"limits": [limit]}}
    inputs, made = make(provider, target, given)
    # The cluster calls it 1Gi and "1": that is no drift.
    assert made.outputs["spec"]["limits"][0]["default"] == {"memory": "1Gi", "cpu": "1"}  # type: ignore[index,call-overload]
    assert refreshed(provider, target, inputs, made) == inputs


def test_a_change_behind_our_back_is_seen_and_made_undone(
    opened: Callable[..., Package], core: client.CoreV1Api, namespace: str
) -> None:
    package = opened(**MUTABLE)
    inputs, made = make(package, MAP, config_map(namespace, a="1", b="2"))
    core.patch_namespaced_config_map("settings", namespace, {"data": {"a": "changed", "b": None, "c": "added"}})
    seen = refreshed(package, MAP, inputs, made)
    # What others add is theirs.
    assert seen["data"] == {"a": "changed"}
    assert package.diff(MAP, seen, inputs, made.outputs).changed == ("data",)
    package.update(
        MAP,
        made.id,
        seen,
        inputs | {"metadata": inputs["metadata"] | {"annotations": {"pulumi.com/patchForce": "true"}}},
        made.outputs,
        preview=False,
    )
    assert core.read_namespaced_config_map("settings", namespace).data == {"a": "1", "b": "2", "c": "added"}


def test_a_secret_in_clear_is_read_in_clear(provider: Package, core: client.CoreV1Api, namespace: str) -> None:
    given = {"metadata": {"name": "keys", "namespace": namespace}, "stringData": {"a": "1"}}
    inputs, made = make(provider, SECRET, given)
    assert refreshed(provider, SECRET, inputs, made) == inputs
    core.patch_namespaced_secret("keys", namespace, {"stringData": {"a": "2"}})
    assert refreshed(provider, SECRET, inputs, made)["stringData"] == {"a": "2"}


def test_what_was_deleted_behind_our_back_is_gone(provider: Package, core: client.CoreV1Api, namespace: str) -> None:
    inputs, made = make(provider, MAP, config_map(namespace, a="1"))
    core.delete_namespaced_config_map("settings", namespace)
    assert provider.read(MAP, made.id, inputs, made.outputs) is None
    provider.delete(MAP, made.id, made.outputs)


def test_what_is_imported_has_inputs_that_make_it_so(provider: Package, core: client.CoreV1Api, namespace: str) -> None:
    metadata = {"name": "settings", "labels": {"app": "web"}}
    core.create_namespaced_config_map(namespace, {"metadata": metadata, "data": {"a": "1"}})
    read = provider.read(MAP, f"{namespace}/settings", {}, {})
    assert read is not None
    assert read.inputs["data"] == {"a": "1"}
    assert read.inputs["metadata"] == metadata | {"namespace": namespace}
    assert provider.read(MAP, f"{namespace}/other", {}, {}) is None
    provider.delete(MAP, f"{namespace}/settings", read.outputs)
    assert provider.read(MAP, f"{namespace}/settings", {}, {}) is None


# -- changes


def test_an_update_changes_in_place_and_takes_away_what_is_no_longer_given(
    opened: Callable[..., Package], core: client.CoreV1Api, namespace: str
) -> None:
    package = opened(**MUTABLE)
    old, made = make(package, MAP, config_map(namespace, a="1", b="2"))
    first = package.update(MAP, made.id, old, config_map(namespace, a="2", c="3"), made.outputs, preview=False)
    found = core.read_namespaced_config_map("settings", namespace)
    assert found.data == {"a": "2", "c": "3"}
    assert found.metadata.uid == made.outputs["metadata"]["uid"]  # type: ignore[index,call-overload]
    second = package.update(MAP, made.id, old, config_map(namespace, a="2"), first, preview=False)
    assert second["data"] == core.read_namespaced_config_map("settings", namespace).data == {"a": "2"}
    assert second["__fieldManager"] == made.outputs["__fieldManager"]


def test_a_field_of_somebody_else_is_refused_unless_it_is_forced(
    opened: Callable[..., Package], core: client.CoreV1Api, kinds: dynamic.DynamicClient, namespace: str
) -> None:
    package = opened(**MUTABLE)
    old, made = make(package, MAP, config_map(namespace, a="1"))
    maps = kinds.resources.get(api_version="v1", kind="ConfigMap")
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", **config_map(namespace, a="theirs")}
    kinds.server_side_apply(
        maps, theirs, name="settings", namespace=namespace, field_manager="them", force_conflicts=True
    )
    new = config_map(namespace, a="2")
    with pytest.raises(PartiallyCreated, match=r'another field manager .*conflict with "them"') as failed:
        package.update(MAP, made.id, old, new, made.outputs, preview=False)
    assert failed.value.outputs["data"] == {"a": "theirs"}
    new["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
    package.update(MAP, made.id, old, new, made.outputs, preview=False)
    assert core.read_namespaced_config_map("settings", namespace).data == {"a": "2"}


def test_an_update_of_what_is_gone_says_so(
    opened: Callable[..., Package], core: client.CoreV1Api, namespace: str
) -> None:
    package = opened(**MUTABLE)
    old, made = make(package, MAP, config_map(namespace, a="1"))
    core.delete_namespaced_config_map("settings", namespace)
    with pytest.raises(ProviderError, match="is gone, so it cannot be changed: refresh first"):
        package.update(MAP, made.id, old, config_map(namespace, a="2"), made.outputs, preview=False)


# -- deletion


def test_a_deletion_waits_for_what_the_object_owns(provider: Package, core: client.CoreV1Api, namespace: str) -> None:
    _, made = make(provider, MAP, config_map(namespace, a="1"))
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "settings",
        "uid": made.outputs["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }  # type: ignore[index,call-overload]
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "owned", "ownerReferences": [owner]}})
    provider.delete(MAP, made.id, made.outputs)
    with pytest.raises(ApiException, match="404"):
        core.read_namespaced_config_map("owned", namespace)


def test_a_namespace_goes_with_what_is_in_it(provider: Package, core: client.CoreV1Api) -> None:
    inputs, made = make(provider, NAMESPACE, {"metadata": {"name": "tenant"}})
    core.create_namespaced_config_map("tenant", {"metadata": {"name": "inside"}})
    provider.delete(NAMESPACE, made.id, made.outputs)
    assert provider.read(NAMESPACE, made.id, inputs, made.outputs) is None


def held(namespace: str) -> dict[str, Any]:
    given = config_map(namespace, "held")
    given["metadata"] |= {"finalizers": ["example.com/hold"], "annotations": {"pulumi.com/timeoutSeconds": "1"}}
    return given


def test_what_does_not_go_in_time_is_told_with_its_finalizers(
    provider: Package, core: client.CoreV1Api, namespace: str
) -> None:
    _, made = make(provider, MAP, held(namespace))
    with pytest.raises(ProviderError, match=r"still there; its finalizers: .*example\.com/hold"):
        provider.delete(MAP, made.id, made.outputs)
    core.patch_namespaced_config_map("held", namespace, {"metadata": {"finalizers": None}})
    provider.delete(MAP, made.id, made.outputs)


def test_a_wait_ends_when_the_engine_cancels(provider: Package, core: client.CoreV1Api, namespace: str) -> None:
    given = held(namespace)
    del given["metadata"]["annotations"]
    _, made = make(provider, MAP, given)
    failures: list[ProviderError] = []

    def delete() -> None:
        try:
            provider.delete(MAP, made.id, made.outputs)
        except ProviderError as error:
            failures.append(error)

    waiting = threading.Thread(target=delete)
    waiting.start()
    provider.cancel()
    waiting.join(timeout=10)
    assert not waiting.is_alive()
    assert len(failures) == 1
    core.patch_namespaced_config_map("held", namespace, {"metadata": {"finalizers": None}})


def test_an_orphan_is_left_where_that_is_asked_for(provider: Package, core: client.CoreV1Api, namespace: str) -> None:
    given = config_map(namespace)
    given["metadata"]["annotations"] = {"pulumi.com/deletionPropagationPolicy": "orphan"}
    _, made = make(provider, MAP, given)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "uid": made.outputs["metadata"]["uid"]}  # type: ignore[index,call-overload]
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "owned", "ownerReferences": [owner]}})
    provider.delete(MAP, made.id, made.outputs)
    assert core.read_namespaced_config_map("owned", namespace).metadata.owner_references is None


# -- custom resources


def test_custom_resources_live_and_die_like_all_others(
    provider: Package, kinds: dynamic.DynamicClient, namespace: str
) -> None:
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "x_kubernetes_preserve_unknown_fields": True}},
    }
    definition = {
        "metadata": {"name": "backups.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "backups", "kind": "Backup"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    given = {
        "apiVersion": "example.com/v1",
        "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": namespace},
        "spec": {"at": "03:00", "keep": {"days": 7}},
    }
    # Its definition is not there yet.
    assert provider.create(BACKUP, given, preview=True) == Created("", given)
    old_definition, defined = make(provider, DEFINITION, definition)
    inputs, made = make(provider, BACKUP, given)
    assert made.id == f"{namespace}/nightly"
    assert made.outputs["spec"] == given["spec"]
    assert refreshed(provider, BACKUP, inputs, made) == inputs
    told = provider.update(BACKUP, made.id, inputs, inputs | {"spec": {"at": "04:00"}}, made.outputs, preview=False)
    assert told["spec"] == {"at": "04:00"}
    # A definition is put, not applied, and keeps its resources.
    new_definition = {
        **old_definition,
        "spec": {**old_definition["spec"], "names": {**old_definition["spec"]["names"], "shortNames": ["bk"]}},
    }
    changed = provider.update(DEFINITION, defined.id, old_definition, new_definition, defined.outputs, preview=False)
    assert changed["spec"]["names"]["shortNames"] == ["bk"]  # type: ignore[index,call-overload]
    assert provider.read(BACKUP, made.id, inputs, made.outputs) is not None
    provider.delete(DEFINITION, defined.id, defined.outputs)
    # With the definition, its resources and their kind are gone.
    assert provider.read(BACKUP, made.id, inputs, made.outputs) is None
    provider.delete(BACKUP, made.id, made.outputs)


def test_a_kind_that_never_comes_is_named(provider: Package, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "_PAUSES", (0.0,))
    target = Target("kubernetes:example.org/v1:Nothing", "it")
    given = {"apiVersion": "example.org/v1", "kind": "Nothing", "metadata": {"name": "it", "namespace": namespace}}
    with pytest.raises(ProviderError, match=r"has no Nothing in example\.org/v1: are its definitions installed"):
        make(provider, target, given)


# -- patches


def test_a_patch_owns_its_fields_and_gives_them_back(provider: Package, core: client.CoreV1Api, namespace: str) -> None:
    target = Target("kubernetes:core/v1:NamespacePatch", "labels")
    given = {"metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    inputs, made = make(provider, target, given | {"apiVersion": "v1", "kind": "Namespace"})
    assert core.read_namespace(namespace).metadata.labels["pod-security.kubernetes.io/enforce"] == "baseline"
    strict = {**inputs, "metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    assert provider.diff(target, inputs, strict, made.outputs).replaces == ()
    told = provider.update(target, made.id, inputs, strict, made.outputs, preview=False)
    assert core.read_namespace(namespace).metadata.labels["pod-security.kubernetes.io/enforce"] == "restricted"
    provider.delete(target, made.id, told)
    left = core.read_namespace(namespace)
    assert "pod-security.kubernetes.io/enforce" not in left.metadata.labels
    assert left.metadata.deletion_timestamp is None


# -- previews


def test_a_preview_asks_the_cluster_and_changes_nothing(
    provider: Package, core: client.CoreV1Api, namespace: str
) -> None:
    shown = provider.create(MAP, config_map(namespace, a="1"), preview=True)
    assert shown.id == ""
    assert shown.outputs["metadata"]["uid"]  # type: ignore[index,call-overload]
    with pytest.raises(ApiException, match="404"):
        core.read_namespaced_config_map("settings", namespace)
    with pytest.raises(ProviderError, match="lowercase"):
        provider.create(MAP, config_map(namespace, "Big"), preview=True)


def test_a_preview_of_an_update_changes_nothing(
    opened: Callable[..., Package], core: client.CoreV1Api, namespace: str
) -> None:
    package = opened(**MUTABLE)
    old, made = make(package, MAP, config_map(namespace, a="1"))
    shown = package.update(MAP, made.id, old, config_map(namespace, a="2"), made.outputs, preview=True)
    assert shown["data"] == {"a": "2"}
    assert core.read_namespaced_config_map("settings", namespace).data == {"a": "1"}


@pytest.mark.parametrize("known", [False, True])
def test_a_preview_of_what_cannot_be_asked_is_an_echo(
    provider: Package, core: client.CoreV1Api, namespace: str, *, known: bool
) -> None:
    if known:
        core.create_namespaced_config_map(namespace, {"metadata": {"name": "settings"}})
    given = config_map(namespace) if known else config_map(namespace, a=UNKNOWN)  # type: ignore[arg-type]
    assert provider.create(MAP, given, preview=True) == Created("", given)


def test_a_preview_in_a_namespace_that_is_still_to_be_made_is_an_echo(provider: Package) -> None:
    given = config_map("still-to-be-made", a="1")
    assert provider.create(MAP, given, preview=True) == Created("", given)
