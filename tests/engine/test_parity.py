"""Both engines preview the same resources: what is tested in-process holds on the real engine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sandbox.deployment import Deployment
from sandbox.preview import preview
from sandbox.toolchain import Tool

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]


def comparable(deployment: Deployment) -> dict[str, Any]:
    """Resources by URN; ids that the file cloud handed out differ from run to run, and addresses with them."""

    def normal(value: object) -> Any:
        text = re.sub(r"\b1000\d{3}\b", "ID", json.dumps(value, sort_keys=True))
        return json.loads(re.sub(r"(?<![\w-])ID(?![\w-])", '"ID"', text.replace('"ID', '"id')))

    return {
        resource.urn: {
            "parent": resource.parent,
            "provider": resource.provider,
            "protect": resource.protect,
            "dependencies": list(resource.dependencies),
            "inputs": normal(resource.inputs),
        }
        for resource in deployment.resources
    }


def test_both_engines_preview_the_same(cli: Tool, tmp_path: Path) -> None:
    del cli
    quiet = lambda *_: None  # noqa: E731
    found = {engine: preview(ROOT, engine, tmp_path / engine, quiet) for engine in ("inprocess", "pulumi")}
    for stack, ours in found["inprocess"].stacks.items():
        assert comparable(ours.deployment) == comparable(found["pulumi"].stacks[stack].deployment)
    assert found["inprocess"].monthly == found["pulumi"].monthly
