"""The command line is asked without secrets in its arguments, and its failures are told apart."""

import json
from pathlib import Path

import pytest

from operations.pulumi import Pulumi, PulumiError


def stand_in(tmp_path: Path, script: str, configuration: Path | None = None) -> Pulumi:
    """A command line that does what a shell script says."""
    program = tmp_path / "pulumi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    return Pulumi("pulumi", tmp_path, configuration, {"PATH": f"{tmp_path}:/usr/bin:/bin"})


def test_the_configuration_is_read_by_key(tmp_path: Path) -> None:
    content = {
        "hcloud:token": {"value": "t", "secret": True},
        "hetzner-platform:stack": {"value": '{"a": 1}', "objectValue": {"a": 1}},
    }
    (tmp_path / "answer").write_text(json.dumps(content))
    assert stand_in(tmp_path, 'cat "$(dirname "$0")/answer"').settings("prod") == {
        "hcloud:token": "t",
        "hetzner-platform:stack": '{"a": 1}',
    }


def test_a_preview_says_who_asks(tmp_path: Path) -> None:
    found = stand_in(
        tmp_path, 'echo "{\\"asked\\": \\"$HETZNER_PLATFORM_DOCTOR\\", \\"arguments\\": \\"$*\\"}"'
    ).preview("prod")
    assert found["asked"] == "1"
    assert found["arguments"].startswith("preview --json --suppress-progress --stack prod")


def test_another_directory_of_configuration_is_named_where_it_is_read(tmp_path: Path) -> None:
    pulumi = Pulumi(configuration=Path("/elsewhere"))
    assert (
        pulumi.command("prod", "up", configured=True)
        == "pulumi up --stack prod --config-file /elsewhere/Pulumi.prod.yaml"
    )
    assert pulumi.command("prod", "cancel", "--yes") == "pulumi cancel --yes --stack prod"
    assert Pulumi().command("prod", "up", configured=True) == "pulumi up --stack prod"


def test_lines_of_this_program_name_their_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/srv/platform/.venv/bin/python")
    monkeypatch.setattr(Path, "cwd", lambda: Path("/srv/platform"))
    assert Pulumi().own("remove", "server", "7") == ".venv/bin/python -m operations remove server 7"
    monkeypatch.setattr(Path, "cwd", lambda: Path("/"))
    assert Pulumi().own("doctor") == "srv/platform/.venv/bin/python -m operations doctor"
    monkeypatch.setattr(Path, "cwd", lambda: Path("/home"))
    assert Pulumi().own("doctor") == "/srv/platform/.venv/bin/python -m operations doctor"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("error: get stack secrets manager: incorrect passphrase", "passphrase"),
        ("error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE", "passphrase"),
        ("error: snapshot integrity failure", "integrity"),
        ("error: failed to load checkpoint: EOF", "corrupt"),
        ("error: unexpected end of JSON input", "corrupt"),
        ("error: no stack named 'prod' found", "gone"),
        ("error: connection refused", "other"),
    ],
)
def test_failures_are_told_apart(tmp_path: Path, said: str, kind: str) -> None:
    with pytest.raises(PulumiError) as caught:
        stand_in(tmp_path, f'echo "{said}" >&2; exit 255').export("prod")
    assert caught.value.kind == kind
    assert said.removeprefix("error: ") in str(caught.value)


def test_what_a_preview_found_wrong_is_told(tmp_path: Path) -> None:
    diagnostics = {
        "diagnostics": [{"severity": "warning", "message": "w"}, {"severity": "error", "message": "it is wrong"}]
    }
    (tmp_path / "answer").write_text(json.dumps(diagnostics))
    with pytest.raises(PulumiError, match=r"^`pulumi preview`: it is wrong$"):
        stand_in(tmp_path, 'cat "$(dirname "$0")/answer"; exit 1').preview("prod")


def test_an_answer_that_is_not_json_is_corrupt(tmp_path: Path) -> None:
    with pytest.raises(PulumiError) as caught:
        stand_in(tmp_path, 'echo "{trunc"').export("prod")
    assert caught.value.kind == "corrupt"


def test_without_a_command_line_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(PulumiError, match="`make toolchain`") as caught:
        Pulumi("no-such-command", tmp_path, environment={"PATH": str(tmp_path)}).stacks()
    assert caught.value.kind == "absent"


def test_a_state_that_was_being_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.pulumi._PAUSE", 0)
    torn_once = 'cd "$(dirname "$0")"; if [ ! -e read ]; then : > read; echo "error: EOF" >&2; exit 1; fi; echo "[]"'
    assert stand_in(tmp_path, torn_once).stacks() == []


def test_a_state_that_stays_torn_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.pulumi._PAUSE", 0)
    always = 'echo x >> "$(dirname "$0")/readings"; echo "error: unexpected end of JSON input" >&2; exit 255'
    with pytest.raises(PulumiError, match="unexpected end of JSON input") as caught:
        stand_in(tmp_path, always).export("prod")
    assert caught.value.kind == "corrupt"
    assert (tmp_path / "readings").read_text().count("x") == 5
