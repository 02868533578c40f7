"""The three stacks on the real engine, in the order in which a platform lives: up, no-op, change, renewal, teardown."""

from typing import Any

import pytest

from sandbox.deployment import Deployment
from sandbox.engine import EngineError
from sandbox.hetzner.hypervisor import facts
from sandbox.scratch import dummy

from .conftest import KEPT, Project

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

SERVER = "hcloud:index/server:Server"
STACKS = {"shared": None, "prod": "fsn1", "dr": "nbg1"}


def changes(deployment: Deployment) -> dict[str, int]:
    """What was done, apart from what stayed the same."""
    return {operation: count for operation, count in deployment.operations.items() if operation not in ("same", "read")}


def conditions(node: Any) -> dict[str, str]:
    """A Node's conditions; none when there is no Node."""
    return {each.type: each.status for each in node.status.conditions or ()} if node is not None else {}


def state_ids(project: Project, stack: str) -> dict[str, str]:
    """Id of every cloud server in the state, by logical name."""
    state = project.engine.export_state(stack)["deployment"]["resources"]
    return {each["urn"].rpartition("::")[2]: each["id"] for each in state if each["type"] == SERVER}


def test_regions_cannot_come_up_before_shared(project: Project) -> None:
    for stack in STACKS:
        project.init(stack)
    with pytest.raises(EngineError) as error:
        project.engine.preview("prod")
    assert "pulumi up -s shared" in str(error.value) or "unknown stack" in str(error.value)
    assert "Traceback" not in str(error.value)


def test_shared_comes_up_and_a_second_up_changes_nothing(project: Project) -> None:
    assert changes(project.up("shared")).keys() == {"create"}
    assert changes(project.up("shared")) == {}


def test_a_gate_that_fails_creates_nothing_behind_it(project: Project) -> None:
    """The machines are made, but nothing that needs the API is; the next deployment asks again."""
    project.edit_stack("prod", lambda block: block["api"].update(ready_within=2))
    with pytest.raises(EngineError) as error:
        project.engine.up("prod")
    assert "the cluster was not ready within 2 s" in str(error.value)
    assert "journalctl -u platform-boot" in str(error.value)
    assert len(project.servers("fsn1")) == 6
    assert project.objects()["certificates"] == []
    project.edit_stack("prod", lambda block: block["api"].update(ready_within=180))


@pytest.mark.parametrize("stack", ["prod", "dr"])
def test_a_region_comes_up_and_a_second_up_changes_nothing(project: Project, stack: str) -> None:
    assert changes(project.engine.preview(stack)).keys() == {"create"}
    # What the failed gate of prod has left is gone on with: nothing is made twice.
    assert changes(project.up(stack)).keys() == {"create"}
    assert len(project.servers(STACKS[stack] or "")) == 6
    project.eventually(lambda: len(project.nodes(stack)) == 6)
    assert {"EtcdIsVoter": "True"}.items() <= conditions(project.nodes(stack)[f"{STACKS[stack]}-server-3"]).items()
    assert changes(project.up(stack)) == {}


def test_no_secret_stands_in_plain_state(project: Project) -> None:
    for stack in STACKS:
        text = str(project.engine.export_state(stack))
        assert "PRIVATE KEY" not in text
        assert "::server:" not in text
        assert dummy("hcloud:token") not in text


def test_a_pool_grows_by_one_machine_alone(project: Project) -> None:
    before = state_ids(project, "prod")
    project.edit("config/regions.yaml", lambda regions: regions["fsn1"]["pools"]["general"].update(nodes="1-2,4-5"))
    assert changes(project.up("prod")) == {"create": 1}
    after = state_ids(project, "prod")
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"fsn1-general-5"}


def test_a_machine_is_drained_before_it_goes(project: Project) -> None:
    project.edit("config/regions.yaml", lambda regions: regions["fsn1"]["pools"]["general"].update(drained=[5]))
    assert changes(project.up("prod")) == {"update": 1}
    assert project.nodes("prod")["fsn1-general-5"].spec.unschedulable is True
    project.edit(
        "config/regions.yaml", lambda regions: regions["fsn1"]["pools"]["general"].update(nodes="1-2,4", drained=[])
    )
    assert changes(project.up("prod")) == {"delete": 1}
    assert "fsn1-general-5" not in project.servers("fsn1")
    project.eventually(lambda: "fsn1-general-5" not in project.nodes("prod"))


def test_the_engine_refuses_to_replace_what_is_protected(project: Project) -> None:
    project.edit("config/regions.yaml", lambda regions: regions["fsn1"]["servers"].update(generations={2: 2}))
    with pytest.raises(EngineError, match="first write unprotected"):
        project.up("prod")
    project.edit("config/regions.yaml", lambda regions: regions["fsn1"]["servers"].update(generations={}))


def test_a_server_is_not_renewed_while_another_does_not_vote(project: Project) -> None:
    project.edit("config/regions.yaml", lambda regions: regions["fsn1"]["servers"].update(unprotected=[2]))
    assert changes(project.up("prod")).keys() == {"update"}
    before = state_ids(project, "prod")
    project.edit("config/regions.yaml", lambda regions: regions["fsn1"]["servers"].update(generations={2: 2}))
    third = project.servers("fsn1")["fsn1-server-3"]["id"]
    project.clouds.call(lambda: project.clouds.clouds.room.power_off(third))
    project.eventually(lambda: conditions(project.nodes("prod")["fsn1-server-3"])["Ready"] == "Unknown")
    with pytest.raises(EngineError, match="fsn1-server-3 is no healthy voting member"):
        project.up("prod")
    assert state_ids(project, "prod") == before
    hetzner = project.clouds.clouds.hetzner.project(project.clouds.access.token)
    project.clouds.call(lambda: project.clouds.clouds.room.power_on(facts(hetzner, hetzner.get("servers", third))))
    project.eventually(lambda: conditions(project.nodes("prod")["fsn1-server-3"])["Ready"] == "True")


def test_one_server_is_renewed_alone_and_deleted_first(project: Project) -> None:
    before = state_ids(project, "prod")
    deployment = project.up("prod")
    assert changes(deployment).get("replace") == 1 or changes(deployment).get("create-replacement") == 1
    after = state_ids(project, "prod")
    assert {name for name in before if before[name] != after[name]} == {"fsn1-server-2"}
    assert "fsn1-server-2-g2" in project.servers("fsn1")
    assert "fsn1-server-2" not in project.servers("fsn1")
    project.eventually(lambda: conditions(project.nodes("prod").get("fsn1-server-2-g2")).get("EtcdIsVoter") == "True")
    assert "fsn1-server-2" not in project.nodes("prod")


def test_protection_comes_back_when_the_entry_is_taken_out(project: Project) -> None:
    project.edit("config/regions.yaml", lambda regions: regions["fsn1"]["servers"].pop("unprotected"))
    project.up("prod")
    assert project.servers("fsn1")["fsn1-server-2-g2"]["protection"] == {"delete": True, "rebuild": True}
    assert changes(project.up("prod")) == {}


def test_destroy_is_refused_while_protected(project: Project) -> None:
    with pytest.raises(EngineError, match="protect"):
        project.engine.destroy("prod")


def test_a_wrong_configuration_is_one_message_without_a_traceback(project: Project) -> None:
    project.edit_stack("prod", lambda block: block.update(admin_cidrs=["0.0.0.0/0"], rol="primary"))
    with pytest.raises(EngineError) as error:
        project.engine.preview("prod")
    message = str(error.value)
    assert message.count("in the configuration; nothing was changed") == 1
    assert "opens SSH and the Kubernetes API to everybody" in message or "is an unknown key" in message
    assert "Traceback" not in message
    project.edit_stack("prod", lambda block: (block.update(admin_cidrs=["203.0.113.0/24"]), block.pop("rol")))


@pytest.mark.parametrize("stack", ["prod", "dr", "shared"])
def test_unprotected_stacks_are_destroyed_to_nothing(project: Project, stack: str) -> None:
    project.edit_stack(stack, lambda block: block.update(protection=False))
    project.up(stack)
    if stack == "shared":
        project.kept_buckets = KEPT
    project.engine.destroy(stack)
    assert project.differences() == []
    assert project.engine.export_state(stack)["deployment"].get("resources", []) == []
    region = STACKS[stack]
    if region:
        assert project.servers(region) == {}


def test_the_cloud_is_empty_again(project: Project) -> None:
    assert {kind: entries for kind, entries in project.objects().items() if entries} == {}
    assert not any(project.clouds.call(project.clouds.clouds.cloudflare.ids).values())
