"""Uploaded certificates."""

from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from .errors import ApiError, invalid
from .fields import LABELS, NAME, Field, check
from .kind import NOTHING, Answer, Body, Kind
from .lists import one_of
from .project import Entry, Project

_KEY_LIMIT = 5 * 1024
_CHAIN_LIMIT = 30 * 1024
_CHAIN = 5


class Certificates(Kind):
    """TLS certificates for load balancers; Hetzner's own issuing is not emulated."""

    plural, singular = "certificates", "certificate"
    filters: ClassVar = {**Kind.filters, "type": one_of("type", "uploaded", "managed")}

    def actions(self) -> Any:
        return {"retry": (NOTHING, self._retry)}

    def show(self, project: Project, entry: Entry) -> Entry:
        used = [
            {"id": balancer["id"], "type": "load_balancer"}
            for balancer in project.all("load_balancers")
            if any(entry["id"] in service.get("http", {}).get("certificates", []) for service in balancer["services"])
        ]
        return {**super().show(project, entry), "used_by": used}

    def create(self, project: Project, body: Body) -> Answer:
        given = check(
            body,
            {
                "name": NAME,
                "type": Field(str, choices=("uploaded",)),
                "certificate": Field(str, required=True),
                "private_key": Field(str, required=True),
                "labels": LABELS,
            },
        )
        described = _describe(given["certificate"], given["private_key"])
        project.check_name(self.plural, given["name"])
        made = project.add(
            self.plural,
            {
                "name": given["name"],
                "labels": given.get("labels", {}),
                "type": "uploaded",
                "certificate": given["certificate"],
                "status": None,
                **described,
            },
        )
        return 201, {self.singular: self.show(project, made), "action": None}

    def _retry(self, project: Project, entry: Entry, body: Body) -> Answer:
        del project, body
        raise invalid(f"certificate {entry['id']} was uploaded: only managed ones are issued again")

    def delete(self, project: Project, entry: Entry) -> Answer:
        if self.show(project, entry)["used_by"]:
            raise ApiError(422, "resource_in_use", f"certificate {entry['id']} is used by a load balancer")
        return super().delete(project, entry)


def _describe(certificate: str, private_key: str) -> dict[str, Any]:
    if len(private_key) > _KEY_LIMIT or len(certificate) > _CHAIN_LIMIT:
        raise invalid({"certificate": ["key or chain is too large"]})
    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
    except ValueError as error:
        raise invalid({"certificate": ["is no PEM certificate"]}) from error
    if len(chain) > _CHAIN:
        raise invalid({"certificate": [f"at most {_CHAIN} certificates"]})
    try:
        key = serialization.load_pem_private_key(private_key.encode(), None)
    except (ValueError, TypeError) as error:
        raise invalid({"private_key": ["is no PEM private key"]}) from error
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != chain[0].public_key().public_bytes(*form):
        raise invalid({"private_key": ["does not belong to the certificate"]})
    try:
        names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        domains = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        domains = []
    return {
        "not_valid_before": chain[0].not_valid_before_utc.isoformat(),
        "not_valid_after": chain[0].not_valid_after_utc.isoformat(),
        "domain_names": list(domains),
        "fingerprint": chain[0].fingerprint(hashes.SHA256()).hex(":"),
    }
