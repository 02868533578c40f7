"""SSH keys."""

import base64
import hashlib
from typing import Any, ClassVar

from .errors import invalid, taken
from .fields import LABELS, NAME, Field, check
from .kind import Answer, Body, Kind
from .lists import by
from .project import Project


class SshKeys(Kind):
    """Public keys; the same key is taken once."""

    plural, singular = "ssh_keys", "ssh_key"
    filters: ClassVar = {**Kind.filters, "fingerprint": by("fingerprint")}
    sortable: ClassVar = {name: Kind.sortable[name] for name in ("id", "name")}

    def create(self, project: Project, body: Body) -> Answer:
        given = check(body, {"name": NAME, "public_key": Field(str, required=True), "labels": LABELS})
        fingerprint = _fingerprint(given["public_key"])
        project.check_name(self.plural, given["name"])
        if any(entry["fingerprint"] == fingerprint for entry in project.all(self.plural)):
            raise taken(given["name"], "public_key")
        entry: dict[str, Any] = {
            "name": given["name"],
            "fingerprint": fingerprint,
            "public_key": given["public_key"].strip(),
            "labels": given.get("labels", {}),
        }
        return 201, {self.singular: self.show(project, project.add(self.plural, entry))}


def _fingerprint(public_key: str) -> str:
    """MD5 with colons."""
    parts = public_key.split()
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (IndexError, ValueError) as error:
        raise invalid({"public_key": ["is no OpenSSH public key"]}) from error
    if len(blob) < 16 or parts[0].encode() not in blob[:40]:
        raise invalid({"public_key": ["is no OpenSSH public key"]})
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[index : index + 2] for index in range(0, 32, 2))
