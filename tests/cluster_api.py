"""A stand-in for a cluster's API: real TLS from the cluster's own CA, ``/readyz``, Nodes and evictions.

It plays the machines' part for the tests of what asks the API.
"""

import contextlib
import datetime
import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_UNINITIALIZED = {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}


class ClusterApi:
    """Listens on a free loopback port from the start, and answers once it was given the cluster's CA."""

    def __init__(self, servers: list[str], cluster: str, directory: Path) -> None:
        self.servers, self.cluster, self.directory = servers, cluster, directory
        self.ready = True
        self.voters_lost: set[str] = set()
        self.unready: set[str] = set()
        self.uninitialized: set[str] = set()
        self.definitions: dict[str, list[str]] = {}
        """Plural names of kinds by group and version, such as ``cilium.io/v2``."""
        self.pods: dict[str, list[str]] = {}
        self.held: set[str] = set()
        self.cordoned: dict[str, bool] = {}
        self.asked: list[str] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(), bind_and_activate=False)
        self._server.daemon_threads = True
        self._server.server_bind()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread: threading.Thread | None = None

    def start(self, ca_certificate: str, ca_key: str, name: str) -> None:
        """Serve with a certificate for ``name`` signed by the cluster's server CA (PEM)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = self.directory / f"{self.cluster}-serving.pem"
        pair.touch(mode=0o600)
        pair.write_text(_serving_pair(ca_certificate, ca_key, name))
        context.load_cert_chain(pair)
        self._server.server_activate()
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def nodes(self) -> list[dict[str, object]]:
        """The control plane's Nodes: the cloud's servers."""
        return [
            {
                "metadata": {"name": name},
                "spec": {"taints": [_UNINITIALIZED] if name in self.uninitialized else None},
                "status": {
                    "conditions": [
                        {"type": "EtcdIsVoter", "status": "False" if name in self.voters_lost else "True"},
                        {"type": "Ready", "status": "False" if name in self.unready else "True"},
                    ]
                },
            }
            for name in self.servers
        ]

    def answer(self, method: str, path: str, body: dict[str, object]) -> tuple[int, object]:
        """The answer to one request."""
        self.asked.append(f"{method} {path}")
        parts = path.strip("/").split("/")
        if path == "/readyz":
            return (200, "ok") if self.ready else (500, "not ready")
        if method == "GET" and parts[0] == "apis" and "/".join(parts[1:]) in self.definitions:
            return 200, _resources("/".join(parts[1:]), self.definitions)
        if method == "GET" and path == "/api/v1/nodes":
            return 200, {"kind": "NodeList", "apiVersion": "v1", "items": self.nodes()}
        if method == "GET" and path == "/api/v1/pods":
            items = [_pod(pod, node) for node, pods in self.pods.items() for pod in pods]
            return 200, {"kind": "PodList", "apiVersion": "v1", "items": items}
        if method == "PATCH" and parts[:3] == ["api", "v1", "nodes"]:
            self.cordoned[parts[3]] = bool(body["spec"]["unschedulable"])  # type: ignore[index]
            return 200, {"kind": "Node", "apiVersion": "v1", "metadata": {"name": parts[3]}}
        if method == "POST" and parts[-1] == "eviction" and parts[-2] in self.held:
            return 429, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 429}
        if method == "POST" and parts[-1] == "eviction":
            for pods in self.pods.values():
                if parts[-2] in pods:
                    pods.remove(parts[-2])
            return 201, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                status, content = api.answer(self.command, urlsplit(self.path).path, body)
                payload = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _pod(name: str, node: str) -> dict[str, object]:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": []},
        "status": {},
    }


def _resources(group_version: str, definitions: dict[str, list[str]]) -> dict[str, object]:
    kinds = [
        {"name": name, "kind": name, "namespaced": True, "singularName": "", "verbs": []}
        for name in definitions[group_version]
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": kinds}


def _serving_pair(ca_certificate: str, ca_key: str, name: str) -> str:
    ca = x509.load_pem_x509_certificate(ca_certificate.encode())
    signer = serialization.load_pem_private_key(ca_key.encode(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "k3s")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret.decode() + certificate.public_bytes(serialization.Encoding.PEM).decode() + ca_certificate


@contextlib.contextmanager
def started_when_known(api: ClusterApi, name: str, authority: Callable[[], tuple[str, str] | None]) -> Iterator[None]:
    """Within the block, start the API as soon as the deployment's state holds the cluster's server CA."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            known = authority()
            if known is not None:
                api.start(*known, name)
                return
            time.sleep(0.3)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
