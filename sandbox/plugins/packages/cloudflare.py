"""The cloudflare provider: objects with 32-digit ids, and an origin CA that really signs."""

import base64
import datetime
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast

from ..check import Failure
from ..package import EVERYTHING, Created, Kind, Package, ProviderError, Target, kind, text
from ..values import Properties, Value

_API_TOKEN: Final = re.compile(r"[0-9A-Za-z\-_]{40,80}")


def _token(name: str) -> str:
    return f"cloudflare:index/{name[0].lower()}{name[1:]}:{name}"


_KINDS: Final[Mapping[str, Kind]] = {
    _token("AuthenticatedOriginPullsCertificate"): kind(EVERYTHING),
    _token("AuthenticatedOriginPullsSettings"): kind("zoneId"),
    _token("DnsRecord"): kind("zoneId"),
    _token("OriginCaCertificate"): kind("csr", "hostnames", "requestType", "requestedValidity"),
    _token("Ruleset"): kind("accountId", "zoneId", "kind", "phase"),
    _token("ZeroTrustTunnelCloudflared"): kind("accountId", "configSrc"),
    _token("ZeroTrustTunnelCloudflaredConfig"): kind("accountId", "tunnelId"),
    _token("ZoneSetting"): kind("zoneId", "settingId"),
}


class Cloudflare(Package):
    """``pulumi_cloudflare``, as far as the edge uses it."""

    name = "cloudflare"
    needs_cloud = True
    kinds: ClassVar[Mapping[str, Kind]] = _KINDS

    def check_config(self, inputs: Properties) -> list[Failure]:
        failures = super().check_config(inputs)
        given = inputs.get("apiToken")
        if isinstance(given, str) and not _API_TOKEN.fullmatch(given):
            failures.append(Failure("apiToken", "must have 40 to 80 letters, digits, '-' and '_'"))
        return failures

    def make(self, target: Target, inputs: Properties) -> Created:
        name = target.token.rpartition(":")[2]
        if target.token not in _KINDS:
            raise ProviderError(f"the sandbox's cloudflare plugin does not make {target.token}")
        if name == "ZoneSetting":
            return Created(text(inputs["settingId"]), dict(inputs))
        if name == "AuthenticatedOriginPullsSettings":
            return Created(text(inputs["zoneId"]), dict(inputs))
        id, outputs, stored = secrets.token_hex(16), dict(inputs), dict[str, Any]()
        if name == "OriginCaCertificate":
            outputs |= self._sign(inputs)
        if name == "ZeroTrustTunnelCloudflared":
            outputs |= {"status": "inactive", "tunType": "cfd_tunnel"}
            # Cloudflare invents a secret when none is given, and tells it in the tunnel's token alone.
            stored["tunnelSecret"] = inputs.get("tunnelSecret") or base64.b64encode(secrets.token_bytes(32)).decode()
        told = {key: value for key, value in outputs.items() if key != "privateKey"}
        self.cloud.create(_collection(name), told | stored, {}, id=id)
        return Created(id, outputs)

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        name = target.token.rpartition(":")[2]
        if name not in ("ZoneSetting", "AuthenticatedOriginPullsSettings"):
            if self.cloud.read(_collection(name), id) is None:
                return None
        return super().read(target, id, inputs, outputs)

    def delete(self, target: Target, id: str, outputs: Properties) -> None:
        # Settings cannot be deleted: the real provider leaves them as they are.
        name = target.token.rpartition(":")[2]
        if name not in ("ZoneSetting", "AuthenticatedOriginPullsSettings"):
            self.cloud.delete(_collection(name), id)

    def call(self, token: str, arguments: Properties) -> Properties:
        if not token.endswith(":getZeroTrustTunnelCloudflaredToken"):
            return super().call(token, arguments)
        account, tunnel = text(arguments["accountId"]), text(arguments["tunnelId"])
        found = self.cloud.read(_collection("ZeroTrustTunnelCloudflared"), tunnel)
        if found is None or found.attributes["accountId"] != account:
            raise ProviderError(f"tunnel {tunnel}: there is no such tunnel in account {account}")
        content = json.dumps({"a": account, "t": tunnel, "s": found.attributes["tunnelSecret"]})
        return {
            "id": tunnel,
            "accountId": account,
            "tunnelId": tunnel,
            "token": base64.b64encode(content.encode()).decode(),
        }

    def _sign(self, inputs: Properties) -> Properties:
        """Sign the request with a throw-away CA that is kept nowhere: only its signature is needed."""
        from cryptography import x509  # noqa: PLC0415  most plugin processes never sign
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
        from cryptography.x509.oid import NameOID  # noqa: PLC0415

        request = x509.load_pem_x509_csr(text(inputs["csr"]).encode())
        days = int(str(inputs.get("requestedValidity") or 5475))
        now = self.surroundings.now()
        names = [x509.DNSName(str(name)) for name in cast("list[Value]", inputs["hostnames"])]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox origin CA")]))
            .public_key(cast("Any", request.public_key()))
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        )
        return {
            "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
            "expiresOn": certificate.not_valid_after_utc.isoformat(),
        }


def _collection(name: str) -> str:
    return f"cloudflare_{name.lower()}"


PACKAGE = Cloudflare
