"""Findings and their exact lines."""

import datetime as dt
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from operations import diagnosis
from operations.backend import Lock
from operations.compare import Comparison, compare
from operations.diagnosis import Finding
from operations.doctor import Report, is_lost
from operations.imports import Import, ImportFile, Planned
from operations.objects import KINDS
from operations.processes import orphaned_plugins
from operations.state import STACK_TYPE, Pending, Resource

from .shapes import Lines, cloud, resource, state

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
LINES = Lines()


def lock(pid: int, host: str = socket.gethostname()) -> Lock:
    return Lock("prod", "locks/x.json", pid, "ada", host, "2026-11-24T03:00:00+00:00")


# -- locks


def test_the_lock_of_a_process_that_is_gone_is_stale() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    [found] = diagnosis.lock_findings([lock(process.pid)], LINES)
    assert (found.code, found.where, found.blind) == ("stale-lock", "prod", False)
    assert f"pid {process.pid} of ada@" in found.what
    assert found.repair == ("pulumi cancel --yes --stack prod",)


def test_a_number_that_another_program_has_now_is_stale() -> None:
    # This test's own process runs, and is no pulumi.
    [found] = diagnosis.lock_findings([lock(os.getpid())], LINES)
    assert found.code == "stale-lock"


def test_a_command_that_runs_is_busy_and_has_no_remedy(tmp_path: Path) -> None:
    program = tmp_path / "pulumi"
    program.write_text("#!/bin/sh\necho ready\nread line\n")
    program.chmod(0o700)
    with subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        [found] = diagnosis.lock_findings([lock(process.pid)], LINES)
        process.communicate()
    assert (found.code, found.repair, found.blind) == ("busy", (), True)


def test_of_another_machine_only_its_owner_knows() -> None:
    [found] = diagnosis.lock_findings([lock(os.getpid(), "ci-7")], LINES)
    assert found.code == "stale-lock"
    assert "Make sure there that it no longer runs" in found.what


def test_plugins_of_a_killed_command_are_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    gone = lock(process.pid)
    [found] = diagnosis.plugin_findings([gone], [12, 7])
    assert (found.code, found.where, found.blind) == ("busy", "prod", True)
    assert "(pid 7, 12)" in found.what
    assert list(diagnosis.plugin_findings([gone], [])) == []
    assert list(diagnosis.plugin_findings([], [7])) == []
    assert list(diagnosis.plugin_findings([lock(os.getpid(), "ci-7")], [7])) == []


@pytest.mark.parametrize(
    ("program", "stat", "expected"),
    [
        ("/home/a/.pulumi/plugins/x/pulumi-resource-hcloud", "9 (pulumi (x) y) S 1 9", [9]),
        ("pulumi-resource-tls", "9 (p) S 1 9", [9]),
        ("pulumi-resource-tls", "9 (p) S 77 9", []),
        ("/usr/bin/vim", "9 (p) S 1 9", []),
        ("pulumi-resource-tls", "broken", []),
    ],
)
def test_plugins_without_their_command_line_are_found(
    tmp_path: Path, program: str, stat: str, expected: list[int]
) -> None:
    (tmp_path / "9").mkdir()
    (tmp_path / "9" / "cmdline").write_bytes(program.encode() + b"\0127.0.0.1:1\0")
    (tmp_path / "9" / "stat").write_text(stat)
    (tmp_path / "10").mkdir()
    assert list(orphaned_plugins(tmp_path)) == expected


# -- operations that were cut off


def test_nothing_pending_is_no_finding() -> None:
    assert list(diagnosis.pending_findings(state(), LINES)) == []


def test_operations_that_were_cut_off_are_resolved_by_one_refresh() -> None:
    operations = tuple(Pending(each, resource("server", "7", "s")) for each in ("creating", "updating", "deleting"))
    [found] = diagnosis.pending_findings(state(pending=operations), LINES)
    assert "creating Server 's'; updating Server 's'; deleting Server 's'" in found.what
    assert found.repair == ("pulumi refresh --yes --skip-preview --clear-pending-creates --stack prod",)
    assert found.deploy == "prod"


# -- certificates


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (NOW + dt.timedelta(days=31), None),
        (NOW + dt.timedelta(days=30), "ends on 2026-12-24"),
        (NOW - dt.timedelta(days=1), "ended on 2026-11-23"),
        ("", None),
        (None, None),
    ],
)
def test_a_kubeconfig_that_ends_soon_is_told(end: object, expected: str | None) -> None:
    outputs = {"kubeconfig_expires": end.isoformat() if isinstance(end, dt.datetime) else end}
    found = list(
        diagnosis.expiry_findings(state(Resource("urn:pulumi:prod::p::s::s", STACK_TYPE, outputs=outputs)), NOW)
    )
    assert len(found) == (expected is not None)
    if expected is not None:
        assert expected in found[0].what
        assert found[0].deploy == "prod"


# -- states and clouds


def test_what_is_missing_is_dropped_by_a_refresh_and_made_again() -> None:
    gone = resource("firewall", "5", "fsn1-firewall")
    comparison = compare([state(gone)], [], KINDS.values(), ["prod"], {})
    [found] = diagnosis.missing_findings(comparison, LINES)
    assert "1 resource in the state, gone from the cloud: firewall 5 (fsn1-firewall)" in found.what
    assert (found.repair, found.deploy) == (("pulumi refresh --yes --skip-preview --stack prod",), "prod")


@pytest.mark.parametrize(
    ("pool", "generation", "expected"),
    [("server", "1", "fsn1.servers.generations: {1: 2}"), ("general", "4", "fsn1.pools.general.generations: {1: 5}")],
)
def test_a_machine_that_is_missing_needs_a_new_generation(pool: str, generation: str, expected: str) -> None:
    labels = {"cluster": "fsn1", "pool": pool, "number": "1", "generation": generation}
    gone = resource("server", "7", inputs={"labels": labels})
    [found] = diagnosis.missing_findings(Comparison(missing=(("prod", gone, ("server", "7")),)), LINES)
    assert expected in found.what
    assert "config/regions.yaml" in found.what


def test_what_waited_to_be_deleted_anyway_is_not_missed() -> None:
    gone = resource("firewall", "5", replaced=True)
    assert list(diagnosis.missing_findings(Comparison(missing=(("prod", gone, ("firewall", "5")),)), LINES)) == []


def test_lost_protection_comes_back_with_a_deployment() -> None:
    owned = resource("network", "3", "network", inputs={"deleteProtection": True})
    comparison = compare(
        [state(owned)], [cloud("network", "3", "platform", protected=False)], KINDS.values(), ["prod"], {}
    )
    [found] = diagnosis.protection_findings(comparison, LINES)
    assert found.what == "not protected in the cloud: network 'platform' (3); not protected in the state: network"
    assert found.deploy == "prod"


def test_of_two_owners_one_is_taken_out_of_its_state_alone() -> None:
    one, other = resource("firewall", "5", "a"), resource("firewall", "5", "b")
    comparison = compare([state(one), state(other, stack="dr")], [cloud("firewall", "5")], KINDS.values(), ["prod"], {})
    [found] = diagnosis.owned_twice_findings(comparison)
    assert found.where == "dr and prod"
    assert found.repair == (f"pulumi state remove {other.urn} --stack dr --yes",)


def test_a_duplicate_is_removed_and_its_twin_stays() -> None:
    twin = resource("server", "7", "fsn1-server-1")
    [found] = diagnosis.duplicate_findings(
        Comparison(duplicates=((cloud("server", "8", "copy"), ("prod", twin)),)), LINES
    )
    assert found.repair == ("python -m operations remove server 8 --yes",)
    assert "whose own object is 7" in found.what


def orphans(*objects: object, content: dict | None = None, impossible: tuple = ()) -> list[Finding]:
    wanted = [Import(each, Planned(resource(each.kind, "", f"planned-{each.id}"))) for each in objects]
    file = ImportFile("prod", content or {}, list(impossible))
    return list(diagnosis.orphan_findings(objects, {"prod": (file, Path("out/prod-import.json"), wanted)}, LINES))


def test_what_a_stack_wants_is_imported_or_removed() -> None:
    [found] = orphans(cloud("network", "3", "platform"), content={"resources": []})
    assert found.code == "lost-answer"
    assert "network 'platform' (3) as 'planned-3'" in found.what
    assert found.repair == (
        "pulumi import --file out/prod-import.json --yes --skip-preview --generate-code=false --protect=false --stack prod",
    )
    assert found.otherwise == ("python -m operations remove network 3 --yes",)
    assert found.deploy == "prod"


def test_what_cannot_be_imported_whole_is_removed() -> None:
    [found] = orphans(cloud("server", "7", "fsn1-server-1"))
    assert (found.code, found.repair) == ("lost-answer", ("python -m operations remove server 7 --yes",))


def test_what_no_stack_wants_is_an_orphan_with_its_labels() -> None:
    stray = cloud("firewall", "5", "mine", labels={"b": "2", "a": "1"})
    [found] = diagnosis.orphan_findings([stray], {}, LINES)
    assert (found.code, found.repair) == ("orphan", ("python -m operations remove firewall 5 --yes",))
    assert "(a=1,b=2)" in found.what


def test_under_an_empty_state_nothing_is_removed_first() -> None:
    live = cloud("network", "3", "platform")
    [found] = orphans(live, impossible=(live,))
    assert found.code == "lost-state"
    assert found.repair == ("pulumi stack history --stack prod",)


def test_what_failed_after_its_creation_is_refreshed_and_deployed() -> None:
    half = resource("server", "7", half_made=("action change_protection failed",))
    [found] = diagnosis.half_made_findings(state(half), Lines())
    assert (found.code, found.deploy) == ("half-made", "prod")
    assert "Server 'it': action change_protection failed" in found.what
    assert found.repair == ("pulumi refresh --yes --skip-preview --stack prod",)
    assert list(diagnosis.half_made_findings(state(resource("server", "7")), Lines())) == []


def test_an_interrupted_replacement_is_neither_missing_nor_repaired_by_hand() -> None:
    gone = resource("server", "7", deleted=True)
    assert compare([state(gone)], [], KINDS.values(), ["prod"], {}).missing == ()
    [found] = diagnosis.half_made_findings(state(gone), Lines())
    assert (found.code, found.repair, found.deploy) == ("interrupted-replacement", (), "prod")


def test_records_that_others_made_in_the_zone_are_foreign() -> None:
    record = cloud("dns-record", "r")
    assert diagnosis.is_foreign(record, [])
    assert not diagnosis.is_foreign(record, [Import(record, Planned(resource("dns-record", "")))])
    assert not diagnosis.is_foreign(cloud("firewall", "5"), [])


@pytest.mark.parametrize(
    ("owned", "there", "expected"),
    [
        ([], [cloud("network", "3"), cloud("server", "7")], True),
        # The answer of the very first create was lost: nothing else is there.
        ([], [cloud("network", "3")], False),
        ([], [cloud("primary-ip", "4"), cloud("primary-ip", "5")], False),
        ([resource("server", "7")], [cloud("network", "3"), cloud("server", "7")], False),
        ([], [], False),
        ([], [cloud("dns-record", "a"), cloud("dns-record", "b")], False),
    ],
)
def test_a_whole_platform_of_nobody_is_in_use_elsewhere(owned: list, there: list, expected: bool) -> None:
    states = [state(*owned)]
    assert is_lost(compare(states, there, KINDS.values(), ["prod"], {}), there, states) is expected


@pytest.mark.parametrize(
    ("operation", "kind", "expected"),
    [("creating", "network", False), ("deleting", "network", True), ("creating", "tunnel", True)],
)
def test_a_first_deployment_that_was_cut_off_is_not_lost(operation: str, kind: str, expected: bool) -> None:
    states = [state(pending=(Pending(operation, resource(kind, "")),))]
    there = [cloud("network", "3"), cloud("ssh-key", "9")]
    assert is_lost(compare(states, there, KINDS.values(), ["prod"], {}), there, states) is expected


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], 0),
        ([Finding("orphan", "", "")], 1),
        ([Finding("busy", "", "", blind=True)], 2),
        ([Finding("busy", "", "", blind=True), Finding("orphan", "", "")], 1),
    ],
)
def test_the_exit_status_says_healthy_ill_or_not_looked_at(findings: list[Finding], expected: int) -> None:
    assert Report(findings).status == expected
