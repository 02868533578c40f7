"""What befalls a platform in its life: edits that mean nothing, machines that cannot be had, outages, repairs, leftovers.

One deployment of `shared`, prod and dr; after each step clouds and states map one to one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hcloud import Client
from hcloud.load_balancer_types.domain import LoadBalancerType
from hcloud.locations.domain import Location

from sandbox.engine import EngineError
from sandbox.hetzner.hypervisor import facts

from .conftest import KEPT, Project
from .test_faults import fault, heal
from .test_lifecycle import changes, conditions, state_ids

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

REGIONS = "config/regions.yaml"


@pytest.fixture(autouse=True)
def healed(project: Project) -> Iterator[None]:
    """No fault outlives its test."""
    yield
    heal(project)


def general(project: Project, **settings: Any) -> None:
    """Change the general pool of fsn1."""
    project.edit(REGIONS, lambda regions: regions["fsn1"]["pools"]["general"].update(settings))


def run(project: Project, line: str) -> str:
    """A line that an administrator types; what it printed."""
    environment = project.engine._environment | {
        "PATH": f"{Path(sys.executable).parent}:{project.engine._environment['PATH']}",
        "PLATFORM_CONFIGURATION": str(project.engine.config_file("shared").parent),
        "PLATFORM_PROJECT": str(project.directory),
    }
    done = subprocess.run(
        ["bash", "-c", line], env=environment, cwd=project.directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def start(project: Project, operation: str, stack: str) -> "subprocess.Popen[bytes]":
    """A command of the engine that runs on its own."""
    command = [str(project.engine.cli.path), operation, "--yes", "--skip-preview", "--non-interactive"]
    command += ["--stack", stack, "--config-file", str(project.engine.config_file(stack))]
    return subprocess.Popen(
        command,
        env=project.engine._environment,
        cwd=project.directory,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def client(project: Project) -> Client:
    """The official client, as somebody uses it behind the program's back."""
    return Client(project.clouds.access.token, api_endpoint=project.clouds.access.hetzner, poll_interval=0.02)


def power(project: Project, numbers: tuple[int, ...], *, on: bool) -> None:
    """Switch servers of fsn1 off or on."""
    room, hetzner = project.clouds.clouds.room, project.clouds.clouds.hetzner.project(project.clouds.access.token)
    for number in numbers:
        id = project.servers("fsn1")[f"fsn1-server-{number}"]["id"]
        if on:
            project.clouds.call(lambda id=id: room.power_on(facts(hetzner, hetzner.get("servers", id))))
        else:
            project.clouds.call(lambda id=id: room.power_off(id))


def identity(project: Project) -> str:
    """What a cluster is known by: the uid of its first namespace, which is in etcd alone."""
    return project.cluster("prod").read_namespace("kube-system", _request_timeout=10).metadata.uid


def test_a_platform_comes_up(project: Project) -> None:
    for stack in ("shared", "prod", "dr"):
        project.init(stack)
    project.up("shared")
    project.up("prod")


# -- what depends on what


def test_a_region_comes_up_without_the_state_of_the_other(project: Project) -> None:
    """The standby must not need the primary's backend: prod's state is out of reach here."""
    (state,) = [path for path in project.engine.directory.rglob("prod.json") if path.parent.parent.name == "stacks"]
    away = state.with_name("prod.away")
    state.rename(away)
    try:
        deployment = project.engine.up("dr")
        assert changes(deployment).keys() == {"create"}
        assert changes(project.engine.up("shared")) == {}
    finally:
        away.rename(state)
    assert project.differences() == []
    assert findings(project) == []


# -- edits that mean little or nothing


def backwards(value: Any) -> Any:
    """The same content in another order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(each) for each in reversed(value)] if isinstance(value, list) else value


def turn(document: dict[str, Any]) -> None:
    turned = backwards(document)
    document.clear()
    document.update(turned)


def test_the_order_in_which_things_are_written_means_nothing(project: Project) -> None:
    for file in (REGIONS, "config/access.yaml"):
        project.edit(file, turn)
    for stack in ("shared", "prod"):
        project.edit_stack(stack, lambda block: block.update(backwards(dict(block))))
        assert changes(project.up(stack)) == {}


def test_a_machine_goes_from_the_middle_and_touches_no_other(project: Project) -> None:
    before = state_ids(project, "prod")
    general(project, drained=[2])
    assert changes(project.up("prod")) == {"update": 1}
    general(project, nodes="1,4", drained=[])
    assert changes(project.up("prod")) == {"delete": 1}
    after = state_ids(project, "prod")
    assert before.items() - after.items() == {("fsn1-general-2", before["fsn1-general-2"])}
    assert after.items() < before.items()
    project.eventually(lambda: "fsn1-general-2" not in project.nodes("prod"))


def test_an_agent_in_service_is_not_taken_away(project: Project) -> None:
    general(project, nodes="1")
    with pytest.raises(EngineError, match=r"drained"):
        project.up("prod")
    assert "fsn1-general-4" in project.servers("fsn1")
    general(project, nodes="1,4")


def test_other_labels_and_another_image_replace_no_running_machine(project: Project) -> None:
    """Both stand in user_data or at the machine's creation; a generation takes them over."""
    before = state_ids(project, "prod")
    general(project, labels={"example.com/rack": "b"})
    project.edit("config/versions.yaml", lambda versions: versions.update(image="ubuntu-24.04"))
    deployment = project.up("prod")
    assert not {"replace", "create-replacement", "delete-replaced", "create", "delete"} & changes(deployment).keys()
    assert state_ids(project, "prod") == before
    general(project, drained=[4])
    project.up("prod")
    general(project, generations={4: 2})
    project.up("prod")
    after = state_ids(project, "prod")
    assert {name for name in before if before[name] != after[name]} == {"fsn1-general-4"}
    project.eventually(
        lambda: (
            "fsn1-general-4-g2" in project.nodes("prod")
            and project.nodes("prod")["fsn1-general-4-g2"].metadata.labels.get("example.com/rack") == "b"
        )
    )
    general(project, drained=[])
    project.up("prod")


def test_older_providers_in_the_state_change_nothing_in_the_clouds(project: Project, tmp_path: Path) -> None:
    state = project.engine.export_state("prod")
    older = 0
    for resource in state["deployment"]["resources"]:
        if resource["type"].startswith("pulumi:providers:"):
            for side in ("inputs", "outputs"):
                if "version" in resource.get(side, {}):
                    resource[side]["version"] = "0.0.1"
                    older += 1
    assert older > 0
    file = tmp_path / "older.json"

    file.write_text(json.dumps(state))
    project.engine._call(["stack", "import", "--stack", "prod", "--file", str(file)])
    ids = state_ids(project, "prod")
    assert changes(project.up("prod")).keys() <= {"update"}
    assert state_ids(project, "prod") == ids
    assert changes(project.up("prod")) == {}


# -- machines that cannot be had, and a cloud that is busy


def test_a_sold_out_type_is_named_and_the_other_machines_are_kept(project: Project) -> None:
    fault(project, kind="unavailable", path="cx43/fsn1", after=1, times=1)
    general(project, nodes="1,4-6")
    with pytest.raises(EngineError) as refused:
        project.engine.up("prod")
    heal(project)
    assert "resource_unavailable" in str(refused.value)
    assert "cx43" in str(refused.value)
    assert "fsn1" in str(refused.value)
    assert project.differences() == []
    made = {"fsn1-general-5", "fsn1-general-6"} & set(project.servers("fsn1"))
    assert len(made) == 1
    assert changes(project.up("prod")).get("create") == 1
    assert {"fsn1-general-5", "fsn1-general-6"} <= set(project.servers("fsn1"))


def test_locks_and_conflicts_are_waited_out(project: Project) -> None:
    fault(project, kind="status", method="POST", path="/change_protection$", status=423, code="locked", times=2)
    fault(project, kind="status", method="POST", path="/servers$", status=409, code="conflict", times=2)
    general(project, nodes="1,4-7")
    assert changes(project.up("prod")).get("create") == 1
    names = [each["name"] for each in project.objects()["servers"]]
    assert len(names) == len(set(names))
    general(project, drained=[5, 6, 7])
    project.up("prod")
    general(project, nodes="1,4", drained=[])
    assert changes(project.up("prod")) == {"delete": 3}
    assert {name for name in project.servers("fsn1") if "general" in name} == {"fsn1-general-1", "fsn1-general-4-g2"}


# -- outages and repairs


def front(project: Project) -> Mapping[str, Any]:
    """What users reach the platform by."""
    return {
        "balancers": project.objects()["load_balancers"],
        "addresses": project.objects()["primary_ips"],
        "cloudflare": project.clouds.call(project.clouds.clouds.cloudflare.ids),
    }


def test_an_api_that_is_gone_is_told_in_bounded_time_and_the_front_stays(project: Project) -> None:
    before = front(project)
    project.edit_stack("prod", lambda block: block["api"].update(ready_within=20))
    power(project, (1, 2), on=False)
    general(project, drained=[4])
    began = time.monotonic()
    with pytest.raises(EngineError) as told:
        project.engine.up("prod")
    assert time.monotonic() - began < 300
    assert "Traceback" not in str(told.value)
    assert front(project) == before
    power(project, (1, 2), on=True)
    project.eventually(lambda: conditions(project.nodes("prod")["fsn1-server-1"]).get("Ready") == "True")
    project.up("prod")
    assert project.nodes("prod")["fsn1-general-4-g2"].spec.unschedulable is True
    general(project, drained=[])
    project.up("prod")


def test_the_first_server_deleted_by_hand_comes_back_into_the_same_cluster(project: Project) -> None:
    known = identity(project)
    hand = client(project)
    server = hand.servers.get_by_name("fsn1-server-1")
    assert server is not None
    server.change_protection(delete=False, rebuild=False).wait_until_finished()
    server.delete()
    project.eventually(lambda: "fsn1-server-1" not in project.servers("fsn1"))
    # docs/recovery.md, step by step; the endpoint leads to a server that lives.
    told = run(project, "python -m operations doctor || true")
    assert "generations: {1: 2}" in told
    project.edit(REGIONS, lambda regions: regions["fsn1"]["servers"].update(generations={1: 2}))
    project.engine.refresh("prod")
    project.up("prod")
    project.eventually(
        lambda: conditions(project.nodes("prod").get("fsn1-server-1-g2")).get("EtcdIsVoter") == "True", 120
    )
    assert identity(project) == known
    voters = [name for name, node in project.nodes("prod").items() if conditions(node).get("EtcdIsVoter") == "True"]
    assert sorted(voters) == ["fsn1-server-1-g2", "fsn1-server-2", "fsn1-server-3"]
    assert "fsn1-server-1" not in project.nodes("prod")
    assert project.servers("fsn1")["fsn1-server-1-g2"]["protection"] == {"delete": True, "rebuild": True}


# -- taking it down


def test_what_controllers_made_is_swept_before_a_destroy(project: Project) -> None:
    hand = client(project)
    network = hand.networks.get_by_name("platform")
    assert network is not None
    hand.load_balancers.create(
        "service-1",
        LoadBalancerType("lb11"),
        location=Location("fsn1"),
        labels={"hcloud-ccm/service-uid": "a"},
        network=network.data_model,
    ).action.wait_until_finished()
    agent = hand.servers.get_by_name("fsn1-general-1")
    assert agent is not None
    hand.volumes.create(
        10, "pvc-0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f", server=agent.data_model
    ).action.wait_until_finished()
    listed = run(project, "python -m operations sweep --stack prod")
    assert "service-1" in listed
    assert "pvc-0a1b2c3d" in listed
    assert len(project.differences()) >= 2
    run(project, "python -m operations sweep --stack prod --yes")
    assert project.differences() == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_destroy_that_was_cut_off_is_resumed(project: Project, how: signal.Signals) -> None:
    stack, region = ("prod", "fsn1") if how is signal.SIGINT else ("dr", "nbg1")
    project.edit_stack(stack, lambda block: block.update(protection=False))
    project.up(stack)
    fault(project, kind="delay", cloud="hetzner", method="DELETE", path="/v1/", seconds=0.3)
    process = start(project, "destroy", stack)
    servers = len(project.servers(region))
    project.eventually(lambda: len(project.servers(region)) < servers, 120)
    if how is signal.SIGINT:
        process.send_signal(how)
        process.wait(180)
        # Of a deletion that was cancelled its end is not written down; nothing is in the cloud that no state names.
        assert [each for each in project.differences() if not each.endswith("in a state, not in the cloud")] == []
    else:
        os.killpg(process.pid, how)
        process.wait()
        quiet(project)
    heal(project)
    if how is signal.SIGKILL:
        repaired(project)
    project.engine.destroy(stack)
    assert project.servers(region) == {}
    assert project.engine.export_state(stack)["deployment"].get("resources", []) == []
    project.engine.destroy(stack)
    assert project.differences() == []


def quiet(project: Project) -> None:
    """Until nobody of a killed command writes any more."""
    log = project.clouds.clouds.world.requests
    still, seen = 0, -1
    while still < 8:
        still, seen = (still + 1, seen) if log.total == seen else (0, log.total)
        time.sleep(0.25)


def findings(project: Project) -> list[dict[str, Any]]:
    """What the doctor finds."""
    return json.loads(run(project, "python -m operations doctor --json || [ $? = 1 ]"))["findings"]


def repaired(project: Project) -> None:
    """What the doctor prints is run until it has nothing left to say."""

    for _ in range(4):
        lines = [line for finding in findings(project) for line in finding["repair"]]
        if not lines:
            return
        for line in lines:
            run(project, line.replace("pulumi ", "pulumi --non-interactive ", 1))


def test_shared_goes_last_and_nothing_is_left(project: Project) -> None:
    project.edit_stack("shared", lambda block: block.update(protection=False))
    project.up("shared")
    project.kept_buckets = KEPT
    project.destroy("shared")
    assert {kind: entries for kind, entries in project.objects().items() if entries} == {}
