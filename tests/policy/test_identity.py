"""Who an identity provider says somebody is, a real API server with the servers' own configuration decides."""

import base64
import datetime
import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from kubernetes import client, config

from components.cluster import Oidc, user_data
from components.cluster.machines import SERVERS, Machine
from components.policy import BREAK_GLASS_GROUP, cluster_roles, persona_bindings, tenant_role_bindings
from sandbox.machines.certificates import SERVER
from sandbox.toolchain import find_tool
from tests.discovery import discovered
from tests.sandbox.kubernetes.conftest import HOST, ControlPlane
from tests.unit.cluster.test_cloud_init import SECRETS, pool

CLIENT_ID = "kubernetes"
WAIT_SECONDS = 120
MISSING = [name for name in ("etcd", "kube-apiserver") if find_tool(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{MISSING}: neither on PATH nor in the cache: `make toolchain`")


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Provider:
    """An OpenID Connect provider: its two documents over TLS, and a key to sign with."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self._server = http.server.ThreadingHTTPServer((HOST, 0), self._handler())
        self.url = f"https://{HOST}:{self._server.server_address[1]}"

    def start(self, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def documents(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        modulus, exponent = numbers.n.to_bytes(256, "big"), numbers.e.to_bytes(3, "big")
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": encoded(modulus), "e": encoded(exponent)}
        about = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        about |= {"authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token"}
        about |= {"response_types_supported": ["id_token"], "subject_types_supported": ["public"]}
        about["id_token_signing_alg_values_supported"] = ["RS256"]
        return {"/.well-known/openid-configuration": about, "/keys": {"keys": [key]}}

    def token(self, *groups: str, key: rsa.RSAPrivateKey | None = None, **changes: Any) -> str:
        now = datetime.datetime.now(datetime.UTC)
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": "1",
            "email": "jane@example.com",
            "email_verified": True,
            "groups": list(groups),
            "iat": int(now.timestamp()),
            "exp": int(now.timestamp()) + 600,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not ...}
        head = encoded(json.dumps({"alg": "RS256", "kid": "1", "typ": "JWT"}).encode())
        body = f"{head}.{encoded(json.dumps(claims).encode())}"
        return f"{body}.{encoded((key or self.key).sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = provider.documents().get(self.path)
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(known or {}).encode())

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class Trusting(ControlPlane):
    """An API server alone, with the configuration file that a server's cloud-init writes."""

    def __init__(self, directory: Path, provider: Provider) -> None:
        found = {name: find_tool(name) for name in ("etcd", "kube-apiserver")}
        super().__init__(directory, {name: tool.path for name, tool in found.items() if tool is not None})
        self._authority.issue(directory / "provider", "provider", usages=(SERVER,), names=(HOST,))
        provider.start(directory / "provider.crt", directory / "provider.key")
        oidc = Oidc(provider.url, CLIENT_ID, certificate_authority=(directory / "ca.crt").read_text())
        machine = Machine(SERVERS, 1, "cx33")
        given = user_data.server(pool(SERVERS, oidc=oidc), machine, [1], [], SECRETS, initialized=True)
        (self.file,) = [
            entry["content"]
            for entry in yaml.safe_load(given)["write_files"]
            if entry["path"].endswith("/authentication.yaml")
        ]
        (directory / "authentication.yaml").write_text(self.file)

    def _run(self, name: str, *arguments: str) -> None:
        if name == "kube-apiserver":
            super()._run(name, *arguments, f"--authentication-config={self.directory / 'authentication.yaml'}")
        elif name == "etcd":
            super()._run(name, *arguments)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def trusting(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trusting]:
    made = Trusting(tmp_path_factory.mktemp("trusting"), provider)
    try:
        made.start()
        core = client.CoreV1Api(config.new_client_from_config_dict(yaml.safe_load(made.kubeconfig)))
        kinds = discovered(core.api_client)
        core.create_namespace({"metadata": {"name": "shop-production"}})
        for manifest in [
            *cluster_roles(),
            *persona_bindings({"auditor": ["audit"]}),
            *tenant_role_bindings("shop-production", "production", {"viewer": ["shop-viewers"]}),
        ]:
            kind: Any = kinds.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
            kind.create(body=manifest, namespace=manifest["metadata"].get("namespace"))
        yield made
    finally:
        made.stop()


Ask = Callable[..., httpx.Response]
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
PODS = "/api/v1/namespaces/{}/pods"


@pytest.fixture(scope="module")
def ask(trusting: Trusting, provider: Provider) -> Iterator[Ask]:
    """Asks with a token, or without one."""
    context = ssl.create_default_context(cafile=str(trusting.directory / "ca.crt"))
    with httpx.Client(base_url=trusting.url, verify=context, trust_env=False, timeout=60) as asked:

        def get(path: str, token: str | None = None) -> httpx.Response:
            return asked.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})

        # The API server learns the provider's keys, and its bindings, a moment after it is ready.
        deadline = time.monotonic() + WAIT_SECONDS
        while get(PODS.format("shop-production"), provider.token("shop-viewers")).status_code != 200:
            assert time.monotonic() < deadline, trusting._logs()
            time.sleep(0.2)
        yield get


def test_the_anonymous_see_health_and_nothing_else(ask: Ask) -> None:
    statuses = {path: ask(path).status_code for path in ("/readyz", "/livez", "/healthz", "/version", ROLES)}
    assert statuses == {"/readyz": 200, "/livez": 200, "/healthz": 401, "/version": 401, ROLES: 401}


def test_a_persona_is_whoever_is_in_its_group(ask: Ask, provider: Provider) -> None:
    auditor, somebody = provider.token("audit", "others"), provider.token("others")
    assert (ask(ROLES, auditor).status_code, ask(ROLES, somebody).status_code) == (200, 403)
    assert ask(PODS.format("shop-production"), auditor).status_code == 403


def test_a_tenants_groups_see_its_namespace_alone(ask: Ask, provider: Provider) -> None:
    viewer = provider.token("shop-viewers")
    assert ask(PODS.format("shop-production"), viewer).status_code == 200
    assert ask(PODS.format("kube-system"), viewer).status_code == 403


def test_who_somebody_is_stands_behind_a_prefix(ask: Ask, provider: Provider) -> None:
    told = ask(PODS.format("kube-system"), provider.token()).json()["message"]
    assert 'User "oidc:jane@example.com" cannot list' in told


@pytest.mark.parametrize("group", ["system:masters", "system:serviceaccounts:kube-system", BREAK_GLASS_GROUP])
def test_a_group_that_means_more_than_its_members_is_no_providers_to_give(
    group: str, ask: Ask, provider: Provider
) -> None:
    assert ask(ROLES, provider.token("audit", group)).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"iss": "https://login.example.com"},
        {"exp": 1},
        {"email_verified": False},
        {"email": None},
        {"email": ""},
        {"email": ...},
        {"key": rsa.generate_private_key(65537, 2048)},
    ],
    ids=[
        "for another client",
        "of another provider",
        "expired",
        "not verified",
        "of nobody",
        "of no name",
        "without a name",
        "signed by another",
    ],
)
def test_a_token_that_is_not_good_is_refused(changes: dict[str, Any], ask: Ask, provider: Provider) -> None:
    assert ask(ROLES, provider.token("audit", **changes)).status_code == 401


def test_certificates_and_tokens_of_accounts_are_taken_as_before(trusting: Trusting, ask: Ask) -> None:
    core = client.CoreV1Api(config.new_client_from_config_dict(yaml.safe_load(trusting.kubeconfig)))
    core.create_namespaced_service_account("shop-production", {"metadata": {"name": "api"}})
    made = core.create_namespaced_service_account_token("api", "shop-production", {"spec": {}})
    told = ask(ROLES, made.status.token).json()["message"]
    assert 'User "system:serviceaccount:shop-production:api" cannot list' in told
