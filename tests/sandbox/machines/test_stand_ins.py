"""The commands that boot scripts meet on machines of the sandbox."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.machines import root
from sandbox.machines.facts import Attachment

STAND_INS = Path(root.__file__).parent / "stand_ins"
SCRIPTS = [*sorted((STAND_INS / "bin").iterdir()), STAND_INS / "k3s"]


@pytest.fixture
def machine(tmp_path: Path) -> root.Root:
    made = root.Root(tmp_path / "machines/1")
    made.make()
    made.describe("127.9.0.1", [Attachment(7, "10.1.1.1")], dedicated=False)
    return made


def run(machine: root.Root, *command: str, said: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    environment = machine.environment(machine.directory.parents[1] / "addresses", "", "x86_64", None) | more
    return subprocess.run(command, env=environment, input=said, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_they_pass_shellcheck_and_can_be_run(script: Path) -> None:
    subprocess.run([str(Path(sys.executable).parent / "shellcheck"), "--shell=sh", str(script)], check=True)
    assert os.access(script, os.X_OK)


def test_nothing_of_ours_reaches_a_script(machine: root.Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HCLOUD_TOKEN", "secret")
    assert "secret" not in run(machine, "sh", "-c", "env").stdout


def test_curl_reaches_its_own_networks_only(machine: root.Root) -> None:
    networks = machine.directory.parents[1] / "addresses"
    for network in ("7", "8"):
        (networks / network).mkdir(parents=True)
    (networks / "8/10.0.0.4").write_text("127.9.0.2\n")
    assert run(machine, "curl", "--silent", "https://10.0.0.4:6443/readyz").returncode == 7
    (networks / "7/10.0.0.4").write_text("127.9.0.2\n")
    shown = run(machine, "curl", "--verbose", "--max-time", "2", "https://10.0.0.4:6443/readyz").stderr
    assert "Connecting to hostname: 127.9.0.2" in shown


def test_k3s_is_a_stand_in_that_alone_has_the_right_sum(machine: root.Root) -> None:
    target = machine.disk / "usr/local/bin/k3s"
    url = "https://github.com/k3s-io/k3s/releases/download/v1.36.4%2Bk3s1/k3s"
    assert run(machine, "curl", "--fail", "--location", "--output", str(target), url).returncode == 0
    line = f"{'a' * 64}  {target}\n"
    assert run(machine, "sha256sum", "--check", "--status", said=line).returncode == 0
    target.write_text("another program")
    assert run(machine, "sha256sum", "--check", "--status", said=line).returncode != 0
    assert run(machine, "sha256sum", "--check", "--status", said=f"short  {target}\n").returncode != 0


def test_the_stand_in_says_what_it_cannot_do(machine: root.Root) -> None:
    done = run(machine, str(STAND_INS / "k3s"), "server", "--cluster-reset")
    assert done.returncode == 1
    assert "does not know: k3s server --cluster-reset" in done.stderr


def test_sleep_is_short_and_longer_where_many_wait(machine: root.Root) -> None:
    said: dict[int, str] = {}
    for number in range(1, 32):
        (machine.directory.parent / str(number)).mkdir(exist_ok=True)
        # What it would be asked for, instead of how long that takes here.
        said[number] = run(machine, "sleep", "300", PLATFORM_SLEEP="echo").stdout.strip()
    assert said == {number: "0.4" if number <= 12 else "1" if number <= 30 else "3" for number in range(1, 32)}
    assert run(machine, "sleep", "300").returncode == 0


def test_an_unknown_ip_command_fails_aloud(machine: root.Root) -> None:
    done = run(machine, "ip", "tuntap", "add")
    assert done.returncode == 1
    assert "the sandbox does not know: ip tuntap add" in done.stderr


def test_systemctl_leaves_word(machine: root.Root) -> None:
    run(machine, "systemctl", "enable", "--now", "a.service")
    assert machine.asked_of_systemd() == [["enable", "--now", "a.service"]]
    assert machine.asked_of_systemd() == []
