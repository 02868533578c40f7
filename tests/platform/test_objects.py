"""Real API servers take everything that both regions compose, and would take nothing that is misspelt."""

import copy
from collections import Counter
from collections.abc import Callable

import pytest

from .cluster import RegionCluster
from .composition import Object
from .conftest import Filled
from .definitions import custom_kinds, permissive


def test_everything_is_taken(filled: Filled) -> None:
    composed = Counter(each["kind"] for each in filled.cluster.composition.objects())
    patched = Counter(f"{each['kind']}Patch" for each in filled.cluster.composition.patches())
    assert filled.taken.get("refused", []) == []
    assert {kind: len(names) for kind, names in filled.taken.items()} == {**composed, **patched}


def test_how_many_there_are_of_each_kind_is_known(filled: Filled, golden: Callable[[str, str], None]) -> None:
    told = [f"{kind}: {len(names)}" for kind, names in sorted(filled.taken.items())]
    golden(f"platform/{filled.cluster.region}.txt", "\n".join(told) + "\n")


def test_nothing_is_warned_of(filled: Filled) -> None:
    """A warning is an old version, a field that does nothing, or a pod template that its namespace would refuse."""
    assert filled.warnings == ()


def test_the_api_server_holds_them(cluster: RegionCluster) -> None:
    """As they were given: what it adds are its defaults."""
    different: list[str] = []
    for each in cluster.composition.objects():
        metadata = each["metadata"]
        held = cluster.get(each["apiVersion"], each["kind"], metadata["name"], metadata.get("namespace", ""))
        said = {key: value for key, value in each.items() if key not in ("stringData", "metadata")}
        different += [f"{each['kind']} {metadata['name']}: {path}" for path in lost(said, held)]
    assert different == []


def lost(said: object, held: object, path: str = "") -> list[str]:
    """Where something that was said is held otherwise, or not at all."""
    if isinstance(said, dict):
        if not isinstance(held, dict):
            return [path] if said else []
        return [each for key, value in said.items() for each in lost(value, held.get(key), f"{path}.{key}")]
    if isinstance(said, list) and isinstance(held, list) and len(said) == len(held):
        return [
            each
            for number, pair in enumerate(zip(said, held, strict=True))
            for each in lost(*pair, f"{path}[{number}]")
        ]
    # What is empty need not be held.
    return [] if said == held or (said in ([], None, "", False) and held is None) else [f"{path} {said!r} {held!r}"]


def test_what_is_lost_is_noticed() -> None:
    assert lost({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 2, "d": 3}]}, "e": 4}) == []
    assert lost({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {}]}}) == [".a.b[1].c 2 None"]
    assert lost({"a": [1, 2]}, {"a": [1]}) == [".a [1, 2] [1]"]


def samples(cluster: RegionCluster) -> dict[tuple[str, str], Object]:
    """One object of each kind that somebody defines, constraints included."""
    objects = cluster.composition.objects()
    wanted = custom_kinds(objects)
    found: dict[tuple[str, str], Object] = {}
    for each in objects:
        group = each["apiVersion"].partition("/")[0]
        if (group, each["kind"]) in wanted or group == "constraints.gatekeeper.sh":
            found.setdefault((group, each["kind"]), each)
    return found


def test_a_misspelt_field_of_every_custom_kind_is_refused(cluster: RegionCluster) -> None:
    open_kinds = {made.kind for made in cluster.definitions if not made.real}
    tried = {key: each for key, each in samples(cluster).items() if key[1] not in open_kinds}
    if not tried:
        pytest.skip("; ".join(permissive(cluster.definitions)))
    said: dict[str, str] = {}
    for (_, kind), each in tried.items():
        spoilt = copy.deepcopy(each)
        spoilt["metadata"]["name"] = "misspelt"
        spoilt["spec"]["misspelt"] = "field"
        said[kind] = cluster.refusal(spoilt)
    assert {kind: why for kind, why in said.items() if 'unknown field "spec.misspelt"' not in why} == {}
    assert len(said) > 40


def test_a_misspelt_field_of_every_other_kind_is_refused(cluster: RegionCluster) -> None:
    custom = samples(cluster)
    plain = {each["kind"]: each for each in cluster.composition.objects()}
    tried = {kind: each for kind, each in plain.items() if kind not in {name for _, name in custom}}
    said: dict[str, str] = {}
    for kind, each in tried.items():
        spoilt = {**copy.deepcopy(each), "misspelt": "field"}
        spoilt["metadata"]["name"] = "misspelt"
        said[kind] = cluster.refusal(spoilt)
    assert {kind: why for kind, why in said.items() if 'unknown field "misspelt"' not in why} == {}
    assert len(said) > 10
