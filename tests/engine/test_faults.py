"""What goes wrong in the clouds, while the stack `shared` is brought up, changed, refreshed and destroyed.

After every step clouds and state map one to one, unless the step says what is to be repaired first. What a lost answer or
a killed command leaves is repaired by `make doctor`'s lines: tests/operations/test_doctor.py.
"""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from sandbox.clouds import Options, ThreadedClouds
from sandbox.engine import EngineError
from sandbox.object_store import ObjectStore
from sandbox.toolchain import Tool

from .conftest import KEPT, Project, made

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

SENTINEL = {("hetzner", "PUT", "/v1/networks/{id}")}
"""The empty change by which every ``up`` makes sure that the token is of this project and may write."""


@pytest.fixture
def shared(cli: Tool, object_store: ObjectStore, tmp_path: Path) -> Iterator[Project]:
    """A project of its own whose stack `shared` is not deployed yet; its clouds have no machines."""
    store = (object_store.endpoint, object_store.user, object_store.password)
    with ThreadedClouds(tmp_path / "machines", Options(rate_limit=False, object_store=store)) as clouds:
        project = made(cli, tmp_path, clouds)
        project.init("shared")
        yield project
        empty(object_store)


def empty(store: ObjectStore) -> None:
    """Buckets outlive a deployment; the next test starts without."""
    import httpx

    httpx.post(f"http://{store.endpoint}/moto-api/reset").raise_for_status()


def fault(project: Project, **rule: Any) -> None:
    project.clouds.call(lambda: project.clouds.clouds.world.faults.add(**rule))


def heal(project: Project) -> None:
    project.clouds.call(project.clouds.clouds.world.faults.clear)


def writes(project: Project) -> set[tuple[str, str, str]]:
    """What was asked of the clouds, apart from reading."""
    counts = project.clouds.clouds.world.requests.counts
    return {(cloud, method, route) for cloud, method, route, _ in counts if method not in ("GET", "HEAD")}


def test_a_second_up_writes_nothing_and_a_refresh_finds_no_drift(shared: Project) -> None:
    shared.up("shared")
    shared.clouds.call(shared.clouds.clouds.world.requests.clear)
    shared.engine.up("shared", options=["--expect-no-changes"])
    assert writes(shared) == SENTINEL
    shared.engine.refresh("shared", options=["--expect-no-changes"])
    assert writes(shared) == SENTINEL


def test_a_third_of_all_requests_refused_for_their_rate_only_takes_longer(shared: Project) -> None:
    fault(shared, kind="status", cloud="hetzner", status=429, probability=0.3, seed=7, times=60)
    shared.up("shared")
    assert any(status == 429 for *_, status in shared.clouds.clouds.world.requests.counts)
    heal(shared)
    shared.engine.up("shared", options=["--expect-no-changes"])


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_fails_cleanly_and_the_next_up_goes_on(shared: Project, status: int) -> None:
    fault(shared, kind="status", method="POST", path="/primary_ips$", status=status, after=2, times=1)
    with pytest.raises(EngineError, match=r"server_error|unavailable"):
        shared.engine.up("shared")
    assert shared.differences() == []
    shared.up("shared")
    names = [entry["name"] for entry in shared.objects()["primary_ips"]]
    assert len(names) == len(set(names))


def test_conflicts_are_waited_out(shared: Project) -> None:
    fault(shared, kind="status", method="POST", path="/add_subnet$", status=409, code="conflict", times=3)
    shared.up("shared")


def test_an_action_that_ends_in_error_leaves_a_resource_that_refresh_and_up_repair(shared: Project) -> None:
    fault(shared, kind="action_error", path="^change_protection$", message="host is on fire", times=1)
    with pytest.raises(EngineError, match="host is on fire"):
        shared.engine.up("shared")
    # What was made is in the state, although something after its creation failed.
    assert shared.differences() == []
    heal(shared)
    shared.engine.refresh("shared")
    shared.up("shared")
    unprotected = [
        entry["name"]
        for kind in ("networks", "primary_ips")
        for entry in shared.objects()[kind]
        if not entry["protection"]["delete"]
    ]
    assert unprotected == []


def test_one_interruption_ends_in_good_order(shared: Project) -> None:
    fault(shared, kind="delay", cloud="hetzner", method="POST", path="/v1/", seconds=0.4)
    process = start(shared)
    shared.eventually(lambda: bool(shared.objects()["primary_ips"]))
    process.send_signal(signal.SIGINT)
    process.wait(120)
    heal(shared)
    state = shared.engine.export_state("shared")["deployment"]
    assert state.get("pending_operations", []) == []
    assert shared.differences() == []
    # No lock is left: the next command goes on without `pulumi cancel`.
    shared.up("shared")


def test_what_was_changed_by_hand_is_told_and_mended_alone(shared: Project) -> None:
    shared.up("shared")
    network = shared.objects()["networks"][0]
    key = shared.objects()["ssh_keys"][0]
    hetzner = shared.clouds.clouds.hetzner.project(shared.clouds.access.token)
    assert hetzner is not None
    shared.clouds.call(lambda: hetzner.kinds["ssh_keys"].pop(key["id"]))
    shared.clouds.call(lambda: hetzner.kinds["networks"][network["id"]]["labels"].update(by="hand"))
    with pytest.raises(EngineError):
        shared.engine.refresh("shared", options=["--expect-no-changes"])
    shared.engine.refresh("shared")
    deployment = shared.up("shared")
    assert {name: count for name, count in deployment.operations.items() if name != "same"} == {
        "create": 1,
        "update": 1,
    }
    assert shared.objects()["networks"][0]["labels"] == network["labels"]


def test_slow_actions_small_pages_and_lists_that_lag_behind_change_nothing(shared: Project) -> None:
    fault(shared, kind="action_slow", path="", seconds=0.5)
    fault(shared, kind="page_size", size=1)
    fault(shared, kind="stale", seconds=5)
    shared.up("shared")
    shared.clouds.call(lambda: shared.clouds.clouds.world.clock.jump(3 * 3600))
    shared.engine.refresh("shared", options=["--expect-no-changes"])


def test_a_destroy_that_was_cut_off_goes_on(shared: Project) -> None:
    shared.edit_stack("shared", lambda block: block.update(protection=False))
    shared.up("shared")
    shared.kept_buckets = KEPT
    fault(shared, kind="status", method="DELETE", path="/primary_ips/", status=423, code="protected", times=3)
    with pytest.raises(EngineError):
        shared.engine.destroy("shared")
    assert shared.differences() == []
    heal(shared)
    shared.destroy("shared")
    assert {kind: entries for kind, entries in shared.objects().items() if entries} == {}
    assert shared.engine.destroy("shared").operations == {}


def test_a_cloud_that_is_restarted_meanwhile_is_the_same_afterwards(shared: Project) -> None:
    shared.up("shared")
    before = shared.objects()
    content = shared.clouds.call(shared.clouds.clouds.dump)
    shared.clouds.call(lambda: shared.clouds.clouds.load(content))
    assert shared.objects() == before
    shared.engine.refresh("shared", options=["--expect-no-changes"])


def start(project: Project) -> "subprocess.Popen[bytes]":
    """An ``up`` of `shared` that runs on its own."""
    command = [str(project.engine.cli.path), "up", "--yes", "--skip-preview", "--non-interactive", "--stack", "shared"]
    command += ["--config-file", str(project.engine.config_file("shared"))]
    return subprocess.Popen(
        command,
        env=project.engine._environment,
        cwd=project.directory,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed(project: Project, seconds: float) -> None:
    """Kill an ``up`` after some time, and wait until nobody of it is left who could still write."""
    process = start(project)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    log = project.clouds.clouds.world.requests
    quiet, seen = 0, -1
    while quiet < 8:
        quiet, seen = (quiet + 1, seen) if log.total == seen else (0, log.total)
        time.sleep(0.25)


def recovered(project: Project) -> None:
    """The documented steps after a crash: the lock, what is pending, what belongs to nobody, then ``up``."""
    environment = project.engine._environment | {
        "PLATFORM_CONFIGURATION": str(project.engine.config_file("shared").parent),
        "PLATFORM_PROJECT": str(project.directory),
    }
    root = Path(__file__).resolve().parents[2]
    for _ in range(4):
        done = subprocess.run(
            ["bash", "-c", "python -m operations doctor --json"],
            env=environment | {"PATH": f"{root}/.venv/bin:{environment['PATH']}"},
            cwd=project.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        report = json.loads(done.stdout)
        lines = [line for finding in report["findings"] for line in finding["repair"]]
        if not lines:
            return
        for line in lines:
            repaired = subprocess.run(
                ["bash", "-c", line.replace("pulumi ", "pulumi --non-interactive ", 1)],
                env=environment | {"PATH": f"{root}/.venv/bin:{environment['PATH']}"},
                cwd=project.directory,
                capture_output=True,
                text=True,
                check=False,
            )
            assert repaired.returncode == 0, f"{line}\n{repaired.stdout}\n{repaired.stderr}"


class Operations(RuleBasedStateMachine):
    """Random operations on `shared`; after each that succeeds, clouds and state map one to one."""

    project: Project
    store: ObjectStore
    lapses = st.sampled_from(
        [
            {"kind": "status", "method": "POST", "status": 500, "path": "/primary_ips$", "times": 1},
            {"kind": "status", "method": "POST", "status": 409, "code": "conflict", "path": "/v1/", "times": 2},
            {"kind": "action_error", "path": "^change_protection$", "times": 1},
        ]
    )

    @initialize()
    def bring_up(self) -> None:
        self.project.up("shared")

    @rule(name=st.sampled_from(["ada.example.com", "bob.example.com", "*.apps.example.com"]))
    def publish(self, name: str) -> None:
        label = name.removesuffix(".example.com")
        self.project.edit_stack("shared", lambda block: block["cloudflare"].update(hostnames=["@", label]))
        self.project.up("shared")

    @rule(lapse=lapses, regions=st.sampled_from(["1-3", "1-5"]))
    def fail(self, lapse: dict[str, Any], regions: str) -> None:
        self.project.edit("config/regions.yaml", lambda all: all["nbg1"]["servers"].update(nodes=regions))
        fault(self.project, **lapse)
        try:
            self.project.engine.up("shared")
        except EngineError:
            heal(self.project)
            self.project.engine.refresh("shared")
        heal(self.project)
        self.project.up("shared")

    @rule(seconds=st.floats(1.0, 6.0))
    def crash(self, seconds: float) -> None:
        self.project.edit("config/regions.yaml", lambda all: all["nbg1"]["servers"].update(nodes="1-3"))
        fault(self.project, kind="delay", cloud="hetzner", path="/v1/", seconds=0.15)
        killed(self.project, seconds)
        heal(self.project)
        recovered(self.project)
        self.project.up("shared")

    @rule()
    def destroy(self) -> None:
        self.project.kept_buckets = KEPT
        self.project.destroy("shared")
        empty(self.store)
        self.project.kept_buckets = set()
        self.project.up("shared")

    @rule()
    def refresh(self) -> None:
        self.project.engine.refresh("shared")
        assert self.project.differences() == []


def test_any_sequence_of_operations_faults_and_crashes_keeps_clouds_and_state_together(
    shared: Project, object_store: ObjectStore
) -> None:
    shared.edit_stack("shared", lambda block: block.update(protection=False))

    class Here(Operations):
        project = shared
        store = object_store

    steps = int(os.environ.get("PLATFORM_STEPS", "6"))
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=1,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )


@pytest.mark.parametrize("seed", range(int(os.environ.get("PLATFORM_KILLS", "2"))))
def test_an_up_killed_anywhere_is_recovered_by_the_documented_steps(shared: Project, seed: int) -> None:
    fault(shared, kind="delay", cloud="hetzner", method="POST", path="/v1/", seconds=0.15)
    killed(shared, random.Random(seed).uniform(3.0, 8.0))
    heal(shared)
    recovered(shared)
    shared.up("shared")
    shared.engine.up("shared", options=["--expect-no-changes"])
