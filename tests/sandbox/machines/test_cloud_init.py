"""user_data as cloud-init takes it, and what it refuses."""

import base64
import gzip
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest

from sandbox.machines import cloud_init
from sandbox.machines.cloud_init import CloudInitError, parse

GOLDEN = Path(__file__).resolve().parents[2] / "golden/cloud_init"
PLAIN = "#cloud-config\nhostname: one\nwrite_files:\n- path: /a\n  permissions: '0600'\n  content: text\n"


@pytest.fixture(params=["schema", "no schema"])
def with_and_without_schema(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    cloud_init._validator.cache_clear()
    if request.param == "no schema":
        monkeypatch.setattr(cloud_init, "schema", lambda: None)
    elif cloud_init.schema() is None:
        pytest.skip("cloud-init's schema is not on this machine: run tests/tools/fetch-cloud-init-schema")
    yield request.param
    cloud_init._validator.cache_clear()


@pytest.mark.parametrize("kind", sorted(path.stem for path in GOLDEN.glob("*.yaml")))
def test_the_programs_own_user_data_is_taken(kind: str, with_and_without_schema: str) -> None:
    config = parse((GOLDEN / f"{kind}.yaml").read_text())
    written = {file.path: file for file in config.files}
    assert written["/etc/platform/boot.env"].mode == 0o600
    assert written["/usr/local/lib/platform/boot.sh"].mode == 0o755
    assert ["systemctl", "enable", "--now", "--no-block", "platform-boot.service"] in config.commands


def test_empty_user_data_asks_for_nothing() -> None:
    assert parse("") == cloud_init.CloudConfig(files=(), commands=[], packages=[], ignored=[])


def multipart() -> str:
    message = MIMEMultipart()
    message.attach(MIMEText(PLAIN.removeprefix("#cloud-config\n"), "cloud-config"))
    message.attach(MIMEText("#!/bin/sh\ntrue\n", "x-shellscript"))
    message.attach(MIMEText("#cloud-config\npackages: [jq]\n", "cloud-config"))
    return message.as_string()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        base64.b64encode(PLAIN.encode()).decode(),
        base64.encodebytes(gzip.compress(PLAIN.encode())).decode(),
        multipart(),
        base64.b64encode(gzip.compress(multipart().encode())).decode(),
    ],
    ids=["plain", "base64", "gzip", "multipart", "multipart, gzip"],
)
def test_every_form_says_the_same(text: str) -> None:
    config = parse(text)
    assert config.hostname == "one"
    assert [(file.path, file.content, file.mode) for file in config.files] == [("/a", b"text", 0o600)]


def test_parts_of_a_multipart_add_up_and_scripts_are_left_out() -> None:
    config = parse(multipart())
    assert config.packages == ["jq"]
    assert config.ignored == ["text/x-shellscript"]


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("b64", base64.b64encode(b"\x00\x01").decode()),
        ("base64", base64.b64encode(b"\x00\x01").decode()),
        ("gz+b64", base64.b64encode(gzip.compress(b"\x00\x01", mtime=0)).decode()),
    ],
)
def test_contents_are_decoded(encoding: str, content: str) -> None:
    config = parse(f"#cloud-config\nwrite_files:\n- {{path: /a, encoding: {encoding}, content: '{content}'}}\n")
    assert config.files[0].content == b"\x00\x01"
    assert config.files[0].mode == 0o644


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#cloud-config\na: [1\n", "#cloud-config is no YAML: .* in line 3"),
        ("#cloud-config\n- a\n", "#cloud-config is a list, not a mapping"),
        ("hostname: one\n", "unhandled user_data of the kind text/x-not-multipart: it begins with 'hostname"),
        (
            "#cloud-config\nwrite_files:\n- {path: /a, permissions: 600}\n",
            r"write_files.0.permissions: 600 is not of type",
        ),
        ("#cloud-config\nwrite_files:\n- {path: /a, permision: '0600'}\n", "permision"),
        ("#cloud-config\nruncmd: shutdown\n", "runcmd"),
        ("#cloud-config\nwrite_files:\n- {path: /a, encoding: rot13, content: ''}\n", "rot13"),
        ("#cloud-config\nwrite_files:\n- {path: /a, encoding: b64, content: '!'}\n", "write_files: /a"),
        ("#cloud-config\nwrite_files:\n- {path: /a, permissions: 'rw'}\n", "write_files: /a"),
        (base64.b64encode(b"\x1f\x8b" + bytes(20)).decode(), "looks compressed and is not"),
    ],
)
def test_what_is_wrong_is_told(text: str, reason: str, with_and_without_schema: str) -> None:
    with pytest.raises(CloudInitError, match=reason):
        parse(text)


def test_compressed_user_data_cannot_grow_without_end() -> None:
    bomb = base64.b64encode(gzip.compress(bytes(9 * 1024 * 1024))).decode()
    with pytest.raises(CloudInitError, match="grows beyond"):
        parse(bomb)
