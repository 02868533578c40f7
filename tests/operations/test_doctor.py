"""The sentinel and the doctor on the real engine: every finding's own lines repair it, and then nothing is wrong.

The stack `shared` stands for all: it has objects, parts, protections and an edge. Buckets are left out.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from hcloud import Client

from operations.doctor import Doctor, Report
from operations.pulumi import Pulumi
from sandbox.clouds import Access, Options
from sandbox.clouds.threaded import ThreadedClouds
from sandbox.engine import Engine, EngineError
from sandbox.scratch import read
from sandbox.toolchain import Tool, find_tool
from sandbox.world.faults import Fault

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = frozenset({"minio", "kubernetes"})

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


@dataclass
class Shared:
    """The stack `shared`, deployed in a project of its own."""

    engine: Engine
    access: Access
    clouds: ThreadedClouds
    base: Path
    environment: dict[str, str]

    @property
    def doctor(self) -> Doctor:
        configuration = self.engine.config_file("shared").parent
        return Doctor(Pulumi("pulumi", self.engine.project, configuration, self.environment), self.base / "out")

    def examine(self) -> Report:
        return self.doctor.examine()

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """A line that the doctor printed, in the shell of an administrator; `up` asks for a yes there."""
        approved = f"{line} --yes --skip-preview" if line.startswith("pulumi up") else line
        environment = {
            **self.environment,
            "PATH": f"{Path(sys.executable).parent}:{self.environment['PATH']}",
            "PLATFORM_CONFIGURATION": str(self.engine.config_file("shared").parent),
            "PLATFORM_PROJECT": str(self.engine.project),
            "PYTHONPATH": str(ROOT),
        }
        # On an account the checkout is the project; here it is a copy.
        place = self.engine.project if line.startswith("pulumi") else ROOT
        return subprocess.run(
            ["bash", "-c", approved],
            env=environment,
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )

    def repair(self, *lines: str) -> None:
        for line in lines:
            done = self.run(line)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"

    def use(self, token: str) -> None:
        """Give the stack another token."""
        self.engine._call(["config", "set", "--secret", "--stack", "shared", "hcloud:token"], given=token)

    @property
    def client(self) -> Client:
        return Client(self.access.token, api_endpoint=self.access.hetzner)

    @contextmanager
    def fault(self, **rule: object) -> Iterator[Fault]:
        faults = self.clouds.clouds.world.faults
        try:
            yield self.clouds.call(lambda: faults.add(**rule))
        finally:
            self.clouds.call(faults.clear)

    def assert_healthy(self) -> None:
        assert self.examine().findings == []
        self.engine.up("shared", options=["--expect-no-changes"])


@pytest.fixture(scope="module")
def cli() -> Tool:
    found = find_tool("pulumi")
    if found is None:
        pytest.skip("no Pulumi command line on PATH or in the cache: `make toolchain` gets one")
    return found


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedClouds]:
    with ThreadedClouds(tmp_path_factory.mktemp("clouds"), Options(rate_limit=False)) as running:
        yield running


def make(base: Path, clouds: ThreadedClouds, cli: Tool) -> Shared:
    """A copy of the project, with the stack `shared` and no deployment."""
    project = base / "project"
    project.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.shared.yaml", "Pulumi.prod.yaml", "Pulumi.dr.yaml"):
        shutil.copy(ROOT / name, project / name)
    shutil.copy(ROOT / "tests/machines_alone.py", project / "__main__.py")
    shutil.copytree(ROOT / "config", project / "config")
    definition = yaml.safe_load((project / "Pulumi.yaml").read_text())
    definition["runtime"] = "python"
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(definition))
    engine = Engine(
        cli,
        base / "engine",
        passphrase="labelled dummies only",
        project=project,
        skipped=SKIPPED,
        environment={"PYTHONPATH": str(ROOT)},
    )
    access = clouds.access
    scratch = read(project, "shared").against(access)
    engine.stack_init("shared", scratch.write(engine.directory), scratch.secrets)
    return Shared(engine, access, clouds, base, dict(engine._environment))


@pytest.fixture(scope="module")
def shared(clouds: ThreadedClouds, cli: Tool, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    made = make(tmp_path_factory.mktemp("shared"), clouds, cli)
    made.engine.up("shared")
    return made


@pytest.fixture
def fresh(cli: Tool, tmp_path: Path) -> Iterator[Shared]:
    """Nothing is deployed, in clouds of its own."""
    with ThreadedClouds(tmp_path / "clouds", Options(rate_limit=False)) as running:
        yield make(tmp_path, running, cli)


def test_what_was_just_deployed_is_healthy(shared: Shared) -> None:
    shared.assert_healthy()
    assert shared.examine().status == 0


# -- the sentinel


def codes(report: Report) -> list[str]:
    return [each.code for each in report.findings]


def test_a_token_of_another_project_is_refused_before_anything_changes(shared: Shared) -> None:
    before = shared.engine.export_state("shared", show_secrets=True)
    requests = shared.clouds.clouds.world.requests
    shared.use(shared.access.other_token)
    try:
        for operate in (shared.engine.preview, shared.engine.up):
            shared.clouds.call(requests.clear)
            with pytest.raises(EngineError, match=r"belongs to another project: the Network .* does not exist for it"):
                operate("shared")
            assert [entry.method for entry in shared.clouds.call(requests.entries) if entry.method != "GET"] in (
                [],
                ["PUT"],
            )
        assert resources(shared.engine.export_state("shared", show_secrets=True)) == resources(before)
        report = shared.examine()
        assert codes(report) == ["wrong-project"]
        assert "Do not run `pulumi refresh`" in report.findings[0].what
    finally:
        shared.use(shared.access.token)
    shared.assert_healthy()


def resources(state: dict) -> dict:
    """What a state has made, secrets in clear; the engine writes resources down in the order in which they end."""
    return {
        each["urn"]: {key: each.get(key) for key in ("id", "inputs", "outputs")}
        for each in state["deployment"]["resources"]
    }


def test_a_region_is_refused_by_what_shared_recorded(shared: Shared) -> None:
    scratch = read(shared.engine.project, "prod").against(replace(shared.access, token=shared.access.other_token))
    shared.engine.stack_init("prod", scratch.write(shared.engine.directory), scratch.secrets)
    try:
        for operate in (shared.engine.preview, shared.engine.up):
            with pytest.raises(EngineError, match="hcloud:token of the stack 'prod' belongs to another project"):
                operate("prod")
        report = shared.examine()
        assert codes(report) == ["wrong-project"]
        assert report.findings[0].where == "prod"
    finally:
        shared.engine._call(["stack", "rm", "--yes", "--force", "--stack", "prod"])


def test_a_region_without_shared_says_what_goes_first(fresh: Shared) -> None:
    fresh.engine._call(["stack", "rm", "--yes", "--stack", "shared"])
    scratch = read(fresh.engine.project, "prod").against(fresh.access)
    fresh.engine.stack_init("prod", scratch.write(fresh.engine.directory), scratch.secrets)
    with pytest.raises(EngineError, match="Run `pulumi stack init shared`"):
        fresh.engine.preview("prod")


def test_a_token_that_can_only_read_previews_and_deploys_nothing(shared: Shared) -> None:
    shared.use(shared.access.read_only_token)
    try:
        shared.engine.preview("shared")
        with pytest.raises(EngineError, match=r"can only read\. Nothing was changed"):
            shared.engine.up("shared")
        assert codes(shared.examine()) == ["readonly-token"]
    finally:
        shared.use(shared.access.token)


def test_an_unknown_token_is_told_from_a_wrong_one(shared: Shared) -> None:
    shared.use("x" * 64)
    try:
        with pytest.raises(EngineError, match="was revoked, or mistyped"):
            shared.engine.preview("shared")
        report = shared.examine()
        assert codes(report)[0] == "unknown-token"
        assert report.status == 1
    finally:
        shared.use(shared.access.token)


def test_another_backend_makes_no_second_platform(shared: Shared, cli: Tool, tmp_path: Path) -> None:
    other = make(tmp_path, shared.clouds, cli)
    for operate in (other.engine.preview, other.engine.up):
        with pytest.raises(EngineError, match="holds a platform already"):
            operate("shared")
    report = other.examine()
    # Nothing may be proposed but to look for the state: all of it is in use.
    assert set(codes(report)) == {"lost-state"}
    assert not any("import" in line or "remove" in line for each in report.findings for line in each.repair)


# -- what the doctor finds, and its lines repair


@pytest.mark.parametrize(
    ("path", "type"),
    [("/ssh_keys$", "ssh-key"), ("/primary_ips$", "primary-ip"), ("/networks$", "network")],
    ids=lambda value: value.strip("/$"),
)
def test_an_answer_that_was_lost_is_adopted(fresh: Shared, path: str, type: str) -> None:
    shared = fresh
    with shared.fault(kind="drop_after", method="POST", path=path), pytest.raises(EngineError) as refused:
        shared.engine.up("shared")
    report = shared.examine()
    told = [each for each in report.findings if each.code == "lost-answer"]
    assert len(told) == 1, (report, str(refused.value))
    assert type in told[0].what
    shared.repair(*told[0].repair, *report.deployments)
    shared.assert_healthy()


def test_a_killed_up_is_recovered_by_the_lines_that_are_printed(fresh: Shared) -> None:
    # The server takes the request and never gets round to telling: the moment to be killed at.
    with fresh.fault(kind="delay", method="POST", path="/networks$|/ssh_keys$", seconds=60) as delayed:
        up = start(fresh, "up", "--yes", "--skip-preview")
        wait_for(lambda: "hcloud:index/network:Network" in pending(fresh), up)
        wait_for(lambda: delayed.fired == 2, up)
        kill(fresh, up)
    report = fresh.examine()
    assert codes(report)[0] == "stale-lock"
    assert f"pid {up.pid}" in report.findings[0].what
    told = {each.code: each.what for each in report.findings}
    assert "creating Network 'network'" in told["pending-operations"]
    assert "network 'platform'" in told["lost-answer"]
    assert "lost-state" not in told
    fresh.repair(*(line for each in report.findings for line in each.repair), *report.deployments)
    fresh.assert_healthy()


def start(shared: Shared, *arguments: str) -> "subprocess.Popen[str]":
    file = str(shared.engine.config_file("shared"))
    command = ["pulumi", *arguments, "--stack", "shared", "--config-file", file, "--non-interactive"]
    return subprocess.Popen(
        command, env=shared.environment, cwd=shared.engine.project, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def kill(shared: Shared, process: "subprocess.Popen[str]") -> None:
    """As the kernel does it when memory is short; its plugins, in groups of their own, end what they had begun."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # What they wait for comes about now, after the end of the engine.
    shared.clouds.call(lambda: shared.clouds.clouds.world.clock.jump(61))
    end = time.monotonic() + 30
    while children_of(shared):
        assert time.monotonic() < end, "plugins outlive their engine"
        time.sleep(0.1)


def children_of(shared: Shared) -> list[Path]:
    """Processes that an engine has started, by its home in their environment."""
    home, found = f"PULUMI_HOME={shared.environment['PULUMI_HOME']}".encode(), []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if home in file.read_bytes().split(b"\0"):
                found.append(file)
    return found


def pending(shared: Shared) -> set[str]:
    """The types of the clouds' objects with an operation that is under way."""
    try:
        operations = shared.engine.export_state("shared")["deployment"].get("pending_operations", [])
    except EngineError:
        return set()  # it is being written
    return {each["resource"]["type"] for each in operations if each["resource"]["type"].startswith("hcloud:")}


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def test_a_command_that_runs_is_left_alone(fresh: Shared) -> None:
    with fresh.fault(kind="delay", method="POST", path="/networks$", seconds=60):
        up = start(fresh, "up", "--yes", "--skip-preview")
        try:
            wait_for(lambda: bool(pending(fresh)), up)
            report = fresh.examine()
        finally:
            kill(fresh, up)
    assert codes(report)[0] == "busy"
    assert not any(each.repair for each in report.findings)
    assert report.status == 2


def test_what_was_deleted_by_hand_comes_back(shared: Shared) -> None:
    key = shared.client.ssh_keys.get_all()[0]
    key.delete()
    address = shared.client.primary_ips.get_by_name("fsn1-server-1")
    assert address is not None
    address.change_protection(delete=False)
    report = shared.examine()
    assert codes(report) == ["missing", "unprotected"]
    assert f"ssh-key {key.id}" in report.findings[0].what
    assert f"primary-ip 'fsn1-server-1' ({address.id})" in report.findings[1].what
    shared.repair(*report.findings[0].repair, *report.deployments)
    shared.assert_healthy()


def test_what_belongs_to_nobody_is_named_and_removed(shared: Shared) -> None:
    stray = shared.client.firewalls.create("somebody-was-here").firewall
    [finding] = shared.examine().findings
    assert finding.code == "orphan"
    assert "firewall 'somebody-was-here'" in finding.what
    shared.repair(*finding.repair)
    assert shared.client.firewalls.get_by_name("somebody-was-here") is None
    assert stray is not None
    shared.assert_healthy()


def test_nothing_that_a_stack_owns_can_be_removed(shared: Shared) -> None:
    network = shared.client.networks.get_all()[0]
    done = shared.run(f"python -m operations remove network {network.id} --yes")
    assert done.returncode == 2
    assert "belongs to the stack 'shared' (network)" in done.stderr
    assert shared.client.networks.get_by_id(network.id)


def test_a_truncated_state_comes_back_from_its_copy(shared: Shared) -> None:
    file = shared.engine.directory / "backend/.pulumi/stacks/hetzner-platform/shared.json"
    shared.engine.up("shared")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    report = shared.examine()
    assert codes(report)[0] == "corrupt-state"
    # What the stack owns must not be taken for orphans.
    assert not any("remove" in line for each in report.findings for line in each.repair)
    shared.repair(*report.findings[0].repair, *report.deployments)
    shared.assert_healthy()


def test_a_wrong_passphrase_is_called_that(shared: Shared) -> None:
    wrong = Shared(
        shared.engine,
        shared.access,
        shared.clouds,
        shared.base,
        shared.environment | {"PULUMI_CONFIG_PASSPHRASE": "wrong"},
    )
    report = wrong.examine()
    assert codes(report) == ["wrong-passphrase"]
    assert report.status == 1


def test_without_a_cloud_the_rest_is_looked_at(shared: Shared) -> None:
    with shared.fault(kind="status", path="/v1/", cloud="hetzner", status=503, code="unavailable"):
        report = shared.examine()
    assert codes(report) == ["cloud-unreachable"]
    assert report.status == 2


def test_without_a_command_line_nothing_can_be_looked_at(shared: Shared) -> None:
    done = shared.run("python -m operations doctor --pulumi no-such-command")
    assert done.returncode == 2
    assert "there is no 'no-such-command' on PATH" in done.stderr


def test_the_command_prints_what_it_found(shared: Shared) -> None:
    done = shared.run("python -m operations doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().startswith("Healthy")
    assert shared.access.token not in done.stdout + done.stderr
