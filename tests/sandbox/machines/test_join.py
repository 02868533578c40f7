"""Whom joining machines believe: the CA that the address really shows, and the token's hash of it."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from components.cluster import tokens
from sandbox.clouds import Loopback
from sandbox.machines.certificates import SERVER, Authority, fingerprint
from sandbox.machines.join import Endpoint, RefusedError, Token, verify

from .region import Ca


class Shown:
    """A TLS server with a certificate by a CA below a root, as k3s shows it."""

    def __init__(self, directory: Path, names: list[str], root: Ca | None) -> None:
        self.root = root or Ca("none")
        below = Ca("server-ca", self.root) if root else self.root
        (directory / "ca.crt").write_text(below.pem + (self.root.pem if root else ""))
        (directory / "ca.key").write_text(below.key_pem)
        certificate = Authority(directory / "ca").issue(
            directory / "leaf", "kube-apiserver", usages=(SERVER,), names=names
        )
        self.fingerprint = fingerprint(certificate)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(directory / "leaf.crt", directory / "leaf.key")

    def ask(self, address: str, token: Token, host: str = "10.0.0.4") -> str:
        async def both() -> str:
            server = await asyncio.start_server(lambda _, writer: writer.close(), address, 0, ssl=self.context)
            try:
                port = server.sockets[0].getsockname()[1]
                return await verify(Endpoint(host, port, address), token)
            finally:
                server.close()
                await server.wait_closed()

        return asyncio.run(both())


@pytest.fixture
def shown(tmp_path: Path) -> Callable[..., Shown]:
    return lambda names=("10.0.0.4",), root=True: Shown(tmp_path, list(names), Ca("root") if root else None)


def test_a_server_of_the_tokens_cluster_is_believed(shown: Callable[..., Shown], loopback: Loopback) -> None:
    server = shown()
    token = Token.parse(tokens.server_token(server.root.pem, "secret"))
    assert server.ask(str(loopback.network[9]), token) == server.fingerprint


def test_a_server_of_another_cluster_is_not(shown: Callable[..., Shown], loopback: Loopback) -> None:
    token = Token.parse(tokens.server_token(Ca("other").pem, "secret"))
    with pytest.raises(RefusedError, match="token CA hash does not match the Cluster CA certificate hash"):
        shown().ask(str(loopback.network[9]), token)


def test_a_certificate_for_another_address_is_not(shown: Callable[..., Shown], loopback: Loopback) -> None:
    server = shown(names=("10.0.0.5",))
    token = Token.parse(tokens.server_token(server.root.pem, "secret"))
    with pytest.raises(RefusedError, match=r"CA cert validation failed.*10.0.0.4"):
        server.ask(str(loopback.network[9]), token)


def test_the_short_form_believes_whoever_answers(shown: Callable[..., Shown], loopback: Loopback) -> None:
    server = shown()
    assert server.ask(str(loopback.network[9]), Token.parse("secret")) == server.fingerprint


def test_nobody_there_is_told(loopback: Loopback) -> None:
    endpoint = Endpoint("10.0.0.4", 6443, str(loopback.network[10]))
    with pytest.raises(RefusedError, match=r"failed to get CA certs: Get https://10.0.0.4:6443/cacerts"):
        asyncio.run(verify(endpoint, Token.parse("secret")))


def test_tokens_of_the_program_are_read() -> None:
    root = Ca("root").pem
    token = Token.parse(tokens.agent_token(root, "secret"))
    assert (token.ca_hash, token.user) == (tokens.ca_hash(root), "node")
    assert token.opens("secret", "node")
    assert not token.opens("secret", "server")
    assert not token.opens("other", "node")
    assert "secret" not in repr(token)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "token must not be empty"),
        ("K10abc::server:secret", "invalid token CA hash length"),
        (f"K10{'a' * 64}::server:", "invalid token format"),
        (f"K10{'a' * 64}", "invalid token format"),
    ],
)
def test_malformed_tokens_are_refused(text: str, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        Token.parse(text)
