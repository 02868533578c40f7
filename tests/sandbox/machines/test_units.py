"""As much of systemd as machines need."""

from pathlib import Path

import pytest

from components.cluster import cloud_init
from sandbox.machines import units

FILES = Path(cloud_init.__file__).parent / "files"


def unit(disk: Path, name: str, text: str) -> units.Unit | None:
    directory = disk / "etc/systemd/system"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(text)
    return units.read_unit(disk, name)


def test_the_boot_unit_is_understood(tmp_path: Path) -> None:
    found = unit(tmp_path, "platform-boot.service", (FILES / "platform-boot.service").read_text())
    assert found == units.Unit(
        name="platform-boot.service",
        command=["/usr/local/lib/platform/boot.sh"],
        restart="on-failure",
        pause=1.0,
        unless="/var/lib/platform/booted",
        before=[],
    )


def test_the_vswitch_comes_before_the_boot_unit(tmp_path: Path) -> None:
    found = unit(tmp_path, "platform-vswitch.service", (FILES / "vswitch.service").read_text())
    assert found is not None
    assert list(found.before) == ["platform-boot.service"]


def test_k3s_unit_is_understood(tmp_path: Path) -> None:
    found = unit(tmp_path, "k3s-server.service", (FILES / "k3s.service.j2").read_text().replace("{{ role }}", "server"))
    assert found is not None
    assert (list(found.command), found.restart, found.pause) == (["/usr/local/bin/k3s", "server"], "always", 0.5)


def test_units_of_the_distribution_are_not_known(tmp_path: Path) -> None:
    assert units.read_unit(tmp_path, "nftables.service") is None
    assert units.read_unit(tmp_path, "../../../../etc/passwd") is None


@pytest.mark.parametrize(
    ("restart", "code", "again"),
    [("no", 1, False), ("on-failure", 1, True), ("on-failure", 0, False), ("always", 0, True)],
)
def test_units_start_again_as_they_say(restart: str, code: int, again: bool) -> None:
    assert units.Unit("a", ["/a"], restart).restarts(code) is again


def test_enabled_units_are_kept(tmp_path: Path) -> None:
    unit(tmp_path, "a.service", "[Service]\nExecStart=/a\n")
    assert units.enabled(tmp_path) == []
    units.enable(tmp_path, "a.service")
    units.enable(tmp_path, "a.service")
    assert units.enabled(tmp_path) == ["a.service"]


@pytest.mark.parametrize(
    ("words", "enabled", "started"),
    [
        ("enable --now --no-block a.service", ["a.service"], ["a.service"]),
        ("enable a.service b.service", ["a.service", "b.service"], []),
        ("--no-block start a.service", [], ["a.service"]),
        ("daemon-reload", [], []),
        ("", [], []),
    ],
)
def test_what_systemctl_asks_for(words: str, enabled: list[str], started: list[str]) -> None:
    assert units.asked(words.split()) == (enabled, started)
