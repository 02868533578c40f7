"""Both engines preview the same resources: what is tested in-process holds on the real engine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sandbox.deployment import PROVIDER_PREFIX, Deployment, Resource
from sandbox.preview import preview
from sandbox.scratch import SANDBOX_INPUTS
from sandbox.toolchain import Tool

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]


def comparable(deployment: Deployment) -> dict[str, Any]:
    """Resources by URN, without the addresses of the sandbox that each engine had of its own."""
    return {
        resource.urn: {
            "parent": resource.parent,
            "provider": resource.provider,
            "protect": resource.protect,
            "dependencies": list(resource.dependencies),
            "inputs": json.loads(json.dumps(_own(resource))),
        }
        for resource in deployment.resources
    }


def _own(resource: Resource) -> dict[str, Any]:
    is_provider = resource.type.startswith(PROVIDER_PREFIX)
    return {key: value for key, value in resource.inputs.items() if not is_provider or key not in SANDBOX_INPUTS}


class Pairs:
    """Which id, address or certificate of one run stands for which of the other: one to one, or the runs differ.

    Real engines create in parallel, so the clouds hand out ids in another order every time.
    """

    def __init__(self) -> None:
        self._there: dict[str, str] = {}
        self._back: dict[str, str] = {}

    def same(self, one: Any, other: Any) -> bool:
        """Whether two values are the same but for what the clouds hand out."""
        if isinstance(one, dict) and isinstance(other, dict):
            return one.keys() == other.keys() and all(self.same(one[key], other[key]) for key in one)
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and all(map(self.same, one, other))
        if one == other:
            return True
        here, there = _GIVEN_OUT.findall(str(one)), _GIVEN_OUT.findall(str(other))
        if not here or _GIVEN_OUT.sub("*", str(one)) != _GIVEN_OUT.sub("*", str(other)):
            return False
        return all(
            self._there.setdefault(a, b) == b and self._back.setdefault(b, a) == a
            for a, b in zip(here, there, strict=True)
        )


_GIVEN_OUT = re.compile(r"\b\d{7,8}\b|\b127(?:\.\d{1,3}){3}\b|2001:db8:[0-9a-f:]+|\b[0-9a-f]{64}\b")
"""Ids, addresses, and digests of certificates, which the clouds sign anew in every run."""


def test_a_wrong_reference_would_be_seen() -> None:
    """Two resources that refer to one object in one run must refer to one object in the other."""
    pairs = Pairs()
    assert pairs.same({"network": 2000001, "again": 2000001}, {"network": 2000007, "again": 2000007})
    assert not pairs.same({"network": 2000001}, {"network": 2000002})
    assert not Pairs().same([1000001, 1000002], [1000005, 1000005])
    assert not Pairs().same({"a": 1000001}, {"a": "text"})


def test_both_engines_preview_the_same(cli: Tool) -> None:
    del cli
    quiet = lambda *_: None  # noqa: E731
    found = {engine: preview(ROOT, engine, quiet) for engine in ("inprocess", "pulumi")}
    pairs = Pairs()
    for stack, ours in found["inprocess"].stacks.items():
        here, there = comparable(ours.deployment), comparable(found["pulumi"].stacks[stack].deployment)
        assert here.keys() == there.keys()
        different = [urn for urn in here if not pairs.same(here[urn], there[urn])]
        assert different == []
    assert found["inprocess"].monthly == found["pulumi"].monthly
