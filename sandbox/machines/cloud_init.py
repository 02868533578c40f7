"""user_data as cloud-init takes it: ``#cloud-config``, MIME parts of it, compressed or in base64."""

import base64
import binascii
import email
import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import yaml

_SCHEMA: Final = "cloudinit/config/schemas/schema-cloud-config-v1.json"
_HEADER: Final = "#cloud-config"
_MAX_BYTES: Final = 8 * 1024 * 1024
"""Of what compressed user_data may grow to."""

_KEYS: Final[Mapping[str, type]] = {
    "bootcmd": list,
    "disable_root": bool,
    "fqdn": str,
    "growpart": dict,
    "hostname": str,
    "manage_etc_hosts": object,
    "packages": list,
    "package_reboot_if_required": bool,
    "package_update": bool,
    "package_upgrade": bool,
    "power_state": dict,
    "prefer_fqdn_over_hostname": bool,
    "preserve_hostname": bool,
    "runcmd": list,
    "ssh_authorized_keys": list,
    "ssh_pwauth": object,
    "timezone": str,
    "users": list,
    "write_files": list,
}
"""What is understood without cloud-init's own schema."""
_FILE_KEYS: Final = {"path", "content", "owner", "permissions", "encoding", "append", "defer", "source"}


class CloudInitError(Exception):
    """cloud-init cannot do what the user_data says.

    Args:
        reasons: One line each.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


@dataclass(frozen=True)
class WrittenFile:
    """A file of ``write_files``: absolute path, content, mode."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    append: bool = False


@dataclass(frozen=True)
class CloudConfig:
    """What is to be done at the first boot. ``commands`` are lists of words, or shell lines of one."""

    hostname: str | None = None
    files: tuple[WrittenFile, ...] = ()
    commands: Sequence[Sequence[str]] = ()
    """``runcmd``."""
    packages: Sequence[str] = ()
    ignored: Sequence[str] = ()
    """Parts of other kinds, such as shell scripts: machines of the sandbox do not run them."""


def parse(user_data: str) -> CloudConfig:
    """What user_data asks for; nothing when it is empty.

    Raises:
        CloudInitError: it is not what cloud-init takes; the reasons say what is wrong and where.
    """
    document: dict[str, Any] = {}
    ignored: list[str] = []
    for kind, text in _parts(_unpack(user_data.encode())):
        if kind == "text/cloud-config":
            document.update(_read(text))
        elif kind in ("text/x-shellscript", "text/cloud-boothook"):
            ignored.append(kind)
        elif text.strip():
            raise CloudInitError([f"unhandled user_data of the kind {kind}: it begins with {text[:20]!r}"])
    if wrong := _violations(document):
        raise CloudInitError(wrong)
    return CloudConfig(
        hostname=document.get("fqdn") or document.get("hostname"),
        files=tuple(_file(entry) for entry in _listed(document, "write_files")),
        commands=[[str(word) for word in _words(entry)] for entry in _listed(document, "runcmd")],
        packages=[str(each) for each in _listed(document, "packages")],
        ignored=ignored,
    )


def schema() -> dict[str, Any] | None:
    """cloud-init's own schema, where it is installed or was unpacked into the cache."""
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hetzner-platform" / "cloud-init"
    for base in (Path("/usr/lib/python3/dist-packages"), cached):
        if (base / _SCHEMA).exists():
            return json.loads((base / _SCHEMA).read_text(encoding="utf-8"))
    return None


def _unpack(content: bytes) -> bytes:
    """Base64 and gzip taken off, as often as they are there."""
    for _ in range(4):
        if content[:2] == b"\x1f\x8b":
            content = _gunzip(content)
            continue
        try:
            decoded = base64.b64decode(content.strip(), validate=False) if _is_base64(content) else content
        except binascii.Error:
            return content
        if decoded == content:
            return content
        content = decoded
    return content


def _is_base64(content: bytes) -> bool:
    squeezed = b"".join(content.split())
    if len(squeezed) < 16 or len(squeezed) % 4:
        return False
    try:
        base64.b64decode(squeezed, validate=True)
    except binascii.Error:
        return False
    return True


def _gunzip(content: bytes) -> bytes:
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(content, _MAX_BYTES)
    except zlib.error as error:
        raise CloudInitError([f"user_data looks compressed and is not: {error}"]) from error
    if unpacker.unconsumed_tail:
        raise CloudInitError([f"user_data grows beyond {_MAX_BYTES} bytes"])
    return text


def _parts(content: bytes) -> Iterator[tuple[str, str]]:
    """Kind and text of each part."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise CloudInitError([f"user_data is no text: {error}"]) from error
    lowered = text[:200].lower().lstrip()
    if lowered.startswith(("content-type:", "mime-version:")):
        for part in email.message_from_string(text).walk():
            if not part.is_multipart():
                payload = cast("bytes", part.get_payload(decode=True))
                inner = _unpack(payload).decode(errors="replace")
                kind = part.get_content_type()
                yield (kind, inner) if kind != "text/plain" else (_kind(inner), inner)
        return
    yield _kind(text), text


def _kind(text: str) -> str:
    first = text.lstrip("\ufeff").split("\n", 1)[0].strip()
    if first == _HEADER:
        return "text/cloud-config"
    if first.startswith("#!"):
        return "text/x-shellscript"
    return "text/x-not-multipart"


def _read(text: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  both are safe
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        place = f" in line {where.line + 1}" if where is not None else ""
        raise CloudInitError([f"#cloud-config is no YAML: {getattr(error, 'problem', error)}{place}"]) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise CloudInitError([f"#cloud-config is a {type(document).__name__}, not a mapping"])
    return cast("dict[str, Any]", document)


@cache
def _validator() -> Any:
    try:
        import jsonschema  # noqa: PLC0415  not everybody has it
    except ImportError:
        return None
    content = schema()
    return None if content is None else jsonschema.Draft4Validator(content)


def _violations(document: Mapping[str, Any]) -> list[str]:
    validator = _validator()
    if validator is None:
        return list(_structural(document))
    return [
        f"{'.'.join(map(str, error.absolute_path)) or 'the document'}: {error.message[:200]}"
        for error in validator.iter_errors(document)
    ]


def _structural(document: Mapping[str, Any]) -> Iterator[str]:
    """What can be seen to be wrong without the schema."""
    for key, value in document.items():
        if key not in _KEYS:
            yield f"{key}: an unknown key"
        elif not isinstance(value, _KEYS[key]):
            yield f"{key}: a {type(value).__name__} is no {_KEYS[key].__name__}"
    files = document.get("write_files")
    for number, entry in enumerate(cast("list[Any]", files) if isinstance(files, list) else []):
        where = f"write_files.{number}"
        if not isinstance(entry, dict) or "path" not in entry:
            yield f"{where}: it has no path"
            continue
        for key, value in cast("dict[str, Any]", entry).items():
            if key not in _FILE_KEYS:
                yield f"{where}.{key}: an unknown key"
            elif key in ("path", "permissions", "owner", "encoding", "content") and not isinstance(value, str):
                yield f"{where}.{key}: {value!r} is not of type 'string'"


def _file(entry: Mapping[str, Any]) -> WrittenFile:
    path = str(entry["path"])
    permissions = entry.get("permissions")
    try:
        return WrittenFile(
            path=path,
            content=_content(str(entry.get("content", "")), str(entry.get("encoding", "text/plain"))),
            mode=int(permissions, 8) if permissions is not None else 0o644,
            append=bool(entry.get("append", False)),
        )
    except (ValueError, OSError) as error:
        raise CloudInitError([f"write_files: {path}: {error}"]) from error


def _content(text: str, encoding: str) -> bytes:
    """The content behind what cloud-init calls an encoding."""
    match encoding.lower():
        case "text/plain":
            return text.encode()
        case "b64" | "base64":
            return base64.b64decode(text, validate=True)
        case "gz" | "gzip":
            return gzip.decompress(text.encode())
        case "gz+b64" | "gz+base64" | "gzip+b64" | "gzip+base64":
            return gzip.decompress(base64.b64decode(text))
        case _:
            raise ValueError(f"the encoding {encoding} is unknown")


def _listed(document: Mapping[str, Any], key: str) -> list[Any]:
    return document.get(key) or []


def _words(entry: Any) -> list[Any]:
    return cast("list[Any]", entry) if isinstance(entry, list) else [entry]
