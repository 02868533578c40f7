"""Every constraint refuses what it is for, in every disguise, and lets the rest through: asked of the real engine."""

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from components.layer import chart_values
from sandbox.toolchain import TOOLS, find_tool
from tests.policy import suites

NAMED = {
    "K8sAllowedReposv2",
    "K8sDisallowedTags",
    "K8sImageDigests",
    "K8sRequiredResources",
    "K8sContainerLimits",
    "K8sRequiredProbes",
    "K8sRequiredLabels",
    "K8sBlockNodePort",
    "K8sBlockLoadBalancer",
    "K8sExternalIPs",
    "K8sBlockWildcardIngress",
    "K8sHttpsOnly",
    "K8sUniqueIngressHost",
    "K8sDisallowAnonymous",
    "K8sBlockEndpointEditDefaultRole",
    "K8sPSPAutomountServiceAccountTokenPod",
    "K8sPSPPrivilegedContainer",
    "K8sPSPHostNamespace",
    "K8sPSPHostNetworkingPorts",
    "K8sPSPHostFilesystem",
    "K8sPSPAllowPrivilegeEscalationContainer",
    "K8sPSPCapabilities",
    "K8sPSPSeccompV2",
    "K8sPSPReadOnlyRootFilesystem",
    "K8sPSPAllowedUsers",
    "K8sStorageClass",
    "K8sPodDisruptionBudget",
    "K8sHorizontalPodAutoscaler",
    "K8sReplicaLimits",
    "VerifyDeprecatedAPI",
    "K8sContainerRatios",
}
"""Kinds of the usual library that the platform was asked for; ours go by the same names."""


@pytest.fixture(scope="session")
def gator() -> Path:
    found = find_tool("gator") if "gator" in TOOLS else None
    if found is None:
        pytest.skip("gator is neither on PATH nor in the cache: `make toolchain` gets it")
    return found.path


def verify(gator: Path, directory: Path) -> tuple[list[str], list[str]]:
    """Names of the cases that passed, and what was said of the others."""
    done = subprocess.run(
        [str(gator), "verify", "-v", str(directory)], capture_output=True, text=True, check=False, timeout=120
    )
    shown = done.stdout + done.stderr
    passed = re.findall(r"^\s+--- PASS: (.+?)\t", shown, re.MULTILINE)
    failed = (
        [] if done.returncode == 0 else [line for line in shown.splitlines() if "PASS" not in line and line.strip()]
    )
    return passed, failed


@pytest.mark.parametrize("kind", sorted(suites.TEMPLATES))
def test_a_constraint_finds_the_bad_and_nothing_else(kind: str, gator: Path, tmp_path: Path) -> None:
    suites.write(kind, tmp_path)
    passed, failed = verify(gator, tmp_path)
    assert failed == []
    assert len(passed) == len(suites.cases(kind))


def test_every_constraint_has_cases_both_ways() -> None:
    assert set(suites.CASES) == set(suites.TEMPLATES) == set(suites.CONSTRAINTS)
    assert [kind for kind in suites.CASES if {case.bad for case in suites.cases(kind)} != {True, False}] == []


def test_every_constraint_that_was_asked_for_is_there() -> None:
    assert set(suites.TEMPLATES) >= NAMED


def test_a_case_that_is_wrong_is_found(gator: Path, tmp_path: Path) -> None:
    """The harness itself: a bad object that is called good, and a good one that is called bad, fail."""
    suites.write("K8sPSPHostFilesystem", tmp_path)
    suite = json.loads((tmp_path / "suite.yaml").read_text())
    for case in suite["tests"][0]["cases"]:
        (assertion,) = case["assertions"]
        assertion["violations"] = "no" if assertion["violations"] == "yes" else "yes"
    (tmp_path / "suite.yaml").write_text(json.dumps(suite))
    passed, failed = verify(gator, tmp_path)
    assert passed == []
    assert failed


def findings(gator: Path, directory: Path, objects: list[dict[str, Any]]) -> list[str]:
    """What all constraints together find in objects."""
    for number, thing in enumerate(objects):
        (directory / f"{number}.yaml").write_text(json.dumps(thing))
    done = subprocess.run(
        [str(gator), "test", "--filename", str(directory), "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    # It warns of two objects of one name, which different kinds may well have.
    assert not [line for line in done.stderr.splitlines() if "already defined" not in line], done.stderr
    return [f"{each['constraint']['kind']}: {each['msg']}" for each in json.loads(done.stdout or "null") or []]


def everything() -> list[dict[str, Any]]:
    return [*suites.TEMPLATES.values(), *suites.CONSTRAINTS.values(), *suites.namespaces()]


TENANTS_OWN = sorted(
    set(suites.BASES["objects"]) - {"ingress", "clusterrole", "clusterrolebinding", "replicationcontroller"}
)


def test_what_tenants_should_write_passes_all_constraints_together(gator: Path, tmp_path: Path) -> None:
    objects = [suites.base(name) for name in TENANTS_OWN]
    assert findings(gator, tmp_path, [*everything(), *objects]) == []


def test_all_constraints_together_find_a_bad_pod(gator: Path, tmp_path: Path) -> None:
    pod = suites.changed({"set": {"spec/hostNetwork": True, "metadata/labels/hetzner-platform~1internet": "allowed"}})
    found = {line.partition(":")[0] for line in findings(gator, tmp_path, [*everything(), pod])}
    assert found == {"K8sPSPHostNamespace", "K8sPSPHostNetworkingPorts", "TenantReach"}


LARGE: dict[str, dict[str, Any]] = {
    "references": {
        "base": "http-route",
        "set": {"spec/rules": [{"backendRefs": [{"name": f"api-{each}", "port": 80} for each in range(8_000)]}]},
    },
    "annotations": {
        "set": {"metadata/annotations": {f"config.linkerd.io/unknown-{each}": "" for each in range(8_000)}},
    },
}
"""Far smaller than an object can be."""


@pytest.mark.parametrize("each", LARGE.values(), ids=LARGE.keys())
def test_what_is_large_is_looked_at_before_the_api_server_stops_waiting(
    each: dict[str, Any], gator: Path, tmp_path: Path
) -> None:
    """The webhook fails open: what takes longer is let in, whatever it is."""
    patience = chart_values("gatekeeper")["validatingWebhookTimeoutSeconds"]
    (tmp_path / "small").mkdir()
    (tmp_path / "large").mkdir()
    begun = time.monotonic()
    assert findings(gator, tmp_path / "small", [*everything(), suites.base(each.get("base", "pod"))]) == []
    between = time.monotonic()
    assert findings(gator, tmp_path / "large", [*everything(), suites.changed(each)]) == []
    assert time.monotonic() - between < between - begun + patience
