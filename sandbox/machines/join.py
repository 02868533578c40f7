"""Whom a machine believes when it joins, and what it must know: k3s's tokens."""

import asyncio
import secrets
import ssl
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509

from .certificates import bundle_hash, fingerprint, pem

_CONNECT_SECONDS: Final = 5.0
_HASH_LENGTH: Final = 64


class RefusedError(Exception):
    """k3s ends with this message; systemd starts it again."""


@dataclass(frozen=True)
class Token:
    """A join token: ``K10<hash>::<user>:<password>``; of the short form, only the password is known."""

    ca_hash: str
    user: str
    password: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Read one.

        Raises:
            RefusedError: k3s does not take it.
        """
        if not text:
            raise RefusedError("token must not be empty")
        if not text.startswith("K10"):
            return cls("", "", text)
        ca_hash, separator, credentials = text.removeprefix("K10").partition("::")
        user, colon, password = credentials.partition(":")
        if ca_hash and len(ca_hash) != _HASH_LENGTH:
            raise RefusedError("invalid token CA hash length")
        if not separator or not colon or not password:
            raise RefusedError("invalid token format")
        return cls(ca_hash, user, password)

    def opens(self, password: str, user: str) -> bool:
        """Whether it is the token of this user with this password."""
        return self.user in ("", user) and secrets.compare_digest(self.password.encode(), password.encode())


@dataclass(frozen=True)
class Endpoint:
    """An address that is joined: as the configuration has it, and where it leads on this computer."""

    host: str
    port: int
    loopback: str

    @property
    def url(self) -> str:
        """As k3s writes it."""
        return f"https://{self.host}:{self.port}"


async def verify(endpoint: Endpoint, token: Token) -> str:
    """Ask a server for its CAs as k3s does: unverified first; they must have the token's hash and sign its certificate.

    Returns:
        The fingerprint of the serving certificate: it tells which server answered.

    Raises:
        RefusedError: nobody answers, the hash differs, or the certificate is not for this address.
    """
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    try:
        chain = await _chain(endpoint, unverified)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise RefusedError(f"failed to get CA certs: Get {endpoint.url}/cacerts: {error or 'timed out'}") from error
    bundle = chain[1:]
    if not bundle:
        raise RefusedError(f"failed to get CA certs: {endpoint.url} shows no CA")
    if token.ca_hash and (found := bundle_hash(bundle)) != token.ca_hash:
        raise RefusedError(f"token CA hash does not match the Cluster CA certificate hash: {token.ca_hash} != {found}")
    verified = ssl.create_default_context(cadata=pem(bundle))
    try:
        return fingerprint((await _chain(endpoint, verified))[0])
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise RefusedError(f"CA cert validation failed: Get {endpoint.url}/cacerts: {error or 'timed out'}") from error


async def _chain(endpoint: Endpoint, context: ssl.SSLContext) -> list[x509.Certificate]:
    """What a server presents: its certificate first."""
    async with asyncio.timeout(_CONNECT_SECONDS):
        _, writer = await asyncio.open_connection(
            endpoint.loopback, endpoint.port, ssl=context, server_hostname=endpoint.host
        )
    try:
        session: Any = writer.get_extra_info("ssl_object")
        if hasattr(session, "get_unverified_chain"):
            encoded: list[bytes] = session.get_unverified_chain()
        else:
            # Public from Python 3.13 on.
            encoded = [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in session._sslobj.get_unverified_chain()]
        return [x509.load_der_x509_certificate(each) for each in encoded]
    finally:
        writer.close()
