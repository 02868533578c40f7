"""Machines boot what their user_data says: their own boot script runs in their own root."""

import stat
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import yaml

from sandbox.clouds import Loopback
from sandbox.machines import MachineRoom
from sandbox.machines.facts import ServerFacts
from sandbox.world import Clock

from .conftest import Running
from .region import Region, edited


@pytest.fixture
def region(loopback: Loopback) -> Region:
    return Region(loopback.octet)


def disk(running: Running, tmp_path: Path, id: int) -> Path:
    return tmp_path / "room/machines" / str(id) / "root"


def test_the_first_server_decides_to_begin_a_cluster(booted: Running, region: Region, tmp_path: Path) -> None:
    server = region.server(1)
    booted.tell("power_on", server)
    console = booted.until_console(server.id, "k3s-server: not started")
    assert "platform-boot: nobody serves the cluster yet: initialising it" in console
    config = disk(booted, tmp_path, server.id) / "etc/rancher/k3s/config.yaml.d"
    assert yaml.safe_load((config / "20-join.yaml").read_text()) == {"cluster-init": True}
    assert yaml.safe_load((config / "10-machine.yaml").read_text()) == {
        "node-ip": "10.1.1.1",
        "advertise-address": "10.1.1.1",
        "node-name": "fsn1-server-1",
        "kubelet-arg+": [f"provider-id=hcloud://{server.id}"],
    }


def test_others_wait_for_the_cluster_and_say_so(booted: Running, region: Region) -> None:
    server = region.server(2)
    booted.tell("power_on", server)
    booted.until_console(server.id, "neither 10.1.1.1 10.1.1.3 nor the API load balancer 10.0.0.4 serves the cluster")


def test_files_have_the_modes_that_cloud_init_gives_them(booted: Running, region: Region, tmp_path: Path) -> None:
    server = region.server(1)
    booted.tell("power_on", server)
    root = disk(booted, tmp_path, server.id)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE(root.parent.stat().st_mode) == 0o700
    modes = {"var/lib/rancher/k3s/server/tls/server-ca.key": 0o600, "etc/platform/root-ca.crt": 0o644}
    assert {name: stat.S_IMODE((root / name).stat().st_mode) for name in modes} == modes


def test_a_machine_that_is_not_attached_says_so(booted: Running, region: Region) -> None:
    server = replace(region.server(1), attachments=())
    booted.tell("power_on", server)
    booted.until_console(server.id, "no interface has 10.1.1.1: is the machine attached to the Network?")


def test_a_machine_that_is_attached_later_finds_its_address(booted: Running, region: Region) -> None:
    server = region.server(1)
    booted.tell("power_on", replace(server, attachments=()))
    booted.tell("power_off", server.id)
    booted.tell("power_on", server)
    booted.until_console(server.id, "initialising it")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("hostname: fsn1-server-1", "hostname: [", "cloud-init: error: #cloud-config is no YAML"),
        (
            "- path: /etc/platform/boot.env\n  permissions: '0600'",
            "- path: /etc/platform/boot.env\n  permissions: 600",
            "write_files.0",
        ),
    ],
    ids=["no YAML", "a wrong type"],
)
def test_a_machine_with_wrong_user_data_runs_and_does_nothing(
    booted: Running, region: Region, tmp_path: Path, old: str, new: str, reason: str
) -> None:
    server = edited(region.server(1), old, new)
    booted.tell("power_on", server)
    console = booted.until_console(server.id, "cloud-init: status: error")
    assert reason in console
    assert not (disk(booted, tmp_path, server.id) / "etc/platform/boot.env").exists()


def test_user_data_cannot_write_outside_of_its_disk(booted: Running, tmp_path: Path) -> None:
    text = "#cloud-config\nwrite_files:\n- {path: /../../../../escaped, content: a}\n- {path: ../escaped-too, content: a}\n"
    booted.tell("power_on", ServerFacts(5, "five", text))
    root = disk(booted, tmp_path, 5)
    assert (root / "escaped").read_text() == "a"
    assert (root / "escaped-too").read_text() == "a"
    assert not [path for path in tmp_path.rglob("escaped*") if root not in path.parents]


def test_commands_are_not_run_as_a_shell(booted: Running, tmp_path: Path) -> None:
    text = f"#cloud-config\nruncmd:\n- touch {tmp_path}/touched\n- [sh, -c, 'touch {tmp_path}/touched']\n"
    booted.tell("power_on", ServerFacts(5, "five", text))
    console = booted.until_console(5, "cloud-init: status: done")
    assert f"cloud-init: not run here: touch {tmp_path}/touched" in console
    assert not (tmp_path / "touched").exists()


def test_cloud_init_runs_once_and_a_wiped_disk_begins_again(booted: Running, region: Region, tmp_path: Path) -> None:
    server = region.server(1)
    booted.tell("power_on", server)
    booted.until_console(server.id, "k3s-server: not started")
    mark = disk(booted, tmp_path, server.id) / "etc/mark"
    mark.touch()
    booted.tell("power_off", server.id)
    booted.tell("power_on", server)
    assert booted.room.console(server.id).count("cloud-init: status: done") == 1
    booted.tell("wipe", server)
    assert not mark.exists()
    booted.until(lambda: booted.room.console(server.id).count("cloud-init: status: done") == 2)


def test_a_deleted_machine_leaves_nothing(booted: Running, region: Region, tmp_path: Path) -> None:
    server = region.agent(1)
    booted.tell("power_on", server)
    assert booted.room.address_map() == {(7, "10.1.2.1"): booted.room.address(server.id)}
    booted.tell("delete", server.id)
    assert booted.room.address_map() == {}
    assert list((tmp_path / "room/machines").iterdir()) == []
    assert booted.room.console(server.id) == ""


def test_a_dedicated_machine_makes_its_vlan_before_it_has_an_address(
    booted: Running, region: Region, tmp_path: Path
) -> None:
    number = booted.tell("join_robot", *region.robot(2))
    booted.until_console(number, "the API load balancer 10.0.0.4 does not serve the cluster: look at the servers")
    machine = tmp_path / "room/machines" / str(number)
    assert "10.1.8.2" not in (machine / "interfaces").read_text()
    assert "inet 10.1.8.2/24 scope global vswitch" in (machine / "vlan").read_text()
    config = yaml.safe_load((machine / "root/etc/rancher/k3s/config.yaml.d/10-machine.yaml").read_text())
    assert config == {"node-ip": "10.1.8.2", "node-name": "fsn1-gpu-2"}


def test_machines_are_told_about_themselves(booted: Running, region: Region) -> None:
    server, agent = region.server(1), region.agent(4)
    for machine in (server, agent):
        booted.tell("power_on", machine)
        url = booted.room.metadata_url(machine.id)
        told = {key: httpx.get(f"{url}/{key}").text for key in ("hostname", "instance-id", "public-ipv4")}
        assert told == {
            "hostname": machine.name,
            "instance-id": str(machine.id),
            "public-ipv4": machine.public_ipv4 or "",
        }
        networks = yaml.safe_load(httpx.get(f"{url}/private-networks").text)
        assert [(each["ip"], each["network_id"]) for each in networks] == [(machine.attachments[0].ip, 7)]
        assert httpx.get(url.replace("metadata", "userdata")).text == machine.user_data
        assert yaml.safe_load(httpx.get(url).text)["instance-id"] == machine.id
        assert httpx.get(f"{url}/nothing").status_code == 404


def test_addresses_are_those_of_running_machines_with_all_labels(booted: Running, region: Region) -> None:
    server, agent = region.server(1), region.agent(1)
    for machine in (server, agent):
        booted.tell("power_on", machine)
    assert booted.room.addresses({"cluster": "fsn1", "role": "server"}) == [server.public_ipv4]
    assert len(booted.room.addresses({"cluster": "fsn1"})) == 2
    booted.tell("power_off", server.id)
    assert booted.room.addresses({"cluster": "fsn1", "role": "server"}) == []


def test_a_room_that_is_off_runs_nothing(loopback: Loopback, region: Region, tmp_path: Path) -> None:
    running = Running(lambda: MachineRoom(tmp_path / "room", Clock(), None, octet=loopback.octet, boot="off"))
    server = region.server(1)
    try:
        running.tell("power_on", server)
        running.tell("balance", region.balancer(server))
        assert (running.room.address_map(), running.room.console(server.id)) == ({}, "")
        assert not (tmp_path / "room/machines").exists()
    finally:
        running.close()


def test_what_an_earlier_room_left_is_removed(loopback: Loopback, tmp_path: Path) -> None:
    """Ids begin again with each cloud: an old disk must not become a new machine's."""
    (tmp_path / "machines/5/root/etc").mkdir(parents=True)
    MachineRoom(tmp_path, Clock(), None, octet=loopback.octet, boot="booted")
    assert not (tmp_path / "machines").exists()
