"""Asks cyclonus (github.com/mattfenwick/cyclonus) what plain NetworkPolicies let through."""

import json
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sandbox.toolchain import find_tool
from tests.network.evaluator import End, Manifest, Pod

Connection = tuple[End, End, int, str]
"""Source, destination, port, protocol."""

_ANSWER = re.compile(r"IS ALLOWED\?[^A-Z]*(TRUE|FALSE)", re.IGNORECASE)


def cyclonus() -> Path:
    """The program; the test is skipped without it."""
    tool = find_tool("cyclonus")
    if tool is None:
        pytest.skip("cyclonus is not in the cache: `make toolchain` gets it")
    return tool.path


def answers(
    program: Path, directory: Path, policies: Iterable[Manifest], connections: Sequence[Connection]
) -> list[bool]:
    """What it says of each connection."""
    listing = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicyList", "items": list(policies)}
    (directory / "policies.yaml").write_text(json.dumps(listing))
    traffic = [
        {"Source": _end(source), "Destination": _end(destination), **_port(destination, port), "Protocol": protocol}
        for source, destination, port, protocol in connections
    ]
    (directory / "traffic.json").write_text(json.dumps(traffic))
    command = [str(program), "analyze", "--mode", "query-traffic", "--policy-path", str(directory / "policies.yaml")]
    done = subprocess.run(
        [*command, "--traffic-path", str(directory / "traffic.json")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"HOME": str(directory)},
    )
    assert done.returncode == 0, done.stderr
    found = [answer.upper() == "TRUE" for answer in _ANSWER.findall(done.stdout)]
    assert len(found) == len(connections), done.stdout[-2000:]
    return found


def _end(end: End) -> dict[str, Any]:
    if isinstance(end, Pod):
        labels = dict(end.all_namespace_labels)
        inside = {"PodLabels": dict(end.labels), "NamespaceLabels": labels, "Namespace": end.namespace}
        return {"Internal": inside, "IP": end.address}
    assert hasattr(end, "address"), "plain policies know no machines"
    return {"Internal": None, "IP": end.address}


def _port(destination: End, port: int) -> dict[str, Any]:
    named = {number: name for name, number in destination.ports.items()} if isinstance(destination, Pod) else {}
    return {"ResolvedPort": port, "ResolvedPortName": named.get(port, "")}
