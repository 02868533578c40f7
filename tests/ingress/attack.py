"""A Traefik that really runs, with what our release gives it, on an API server that really runs; and who attacks it.

Everything is on loopback: the Services' addresses too, so that what Traefik connects to can listen there.
"""

import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config, dynamic

from components.ingress import CERTIFICATES, Ingress, authenticated
from sandbox import inprocess
from sandbox.machines.certificates import CLIENT, SERVER, Authority
from tests.discovery import discovered
from tests.sandbox.kubernetes.conftest import ControlPlane

from .dump import RELEASE, Dump, Object, from_deployment
from .objects import SKIPPED, route, service
from .traefik import arguments

BALANCER, STRANGER, TRAEFIK = "127.79.0.2", "127.79.0.9", "127.79.0.10"
VISITOR = "192.0.2.7"
SERVICES = "127.43.0.0/16"
SHOP, BANK, AUTHENTICATION = "127.43.0.10", "127.43.0.11", "127.79.0.20"
BACKEND_PORT = 18080
PORTS: Mapping[str, int] = {"web": 18000, "websecure": 18443, "traefik": 18081, "metrics": 18082}
SECONDS = 30.0
ANSWER_SECONDS = 5.0


class Plane(ControlPlane):
    """Whose Services have loopback addresses; nobody needs its controllers."""

    def _run(self, name: str, *arguments: str) -> None:
        if name != "kube-controller-manager":
            super()._run(name, *(each.replace("10.43.0.0/16", SERVICES) for each in arguments))

    @property
    def api(self) -> client.ApiClient:
        return config.new_client_from_config_dict(yaml.safe_load(self.kubeconfig))


@dataclass
class Backend:
    """Answers with 200 unless told otherwise, and remembers what reached it."""

    address: str
    status: int = 200
    answer: dict[str, str] = field(default_factory=dict[str, str])
    seen: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def start(self) -> ThreadingHTTPServer:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                backend.seen.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(backend.status)
                for name, value in backend.answer.items():
                    self.send_header(name, value)
                body = json.dumps({"from": backend.address}).encode()
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                del format, args

        server = ThreadingHTTPServer((self.address, BACKEND_PORT), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


class Refused(Exception):  # noqa: N818 - it reads as what it tells
    """The connection was closed, or the handshake failed: no answer came."""


class World:
    """All of it, started.

    Args:
        directory: For keys, files and logs.
        binaries: Of etcd and the API server.
        traefik: The executable.
        definitions: Traefik's, by file.
    """

    def __init__(self, directory: Path, binaries: dict[str, Path], traefik: Path, definitions: list[Path]) -> None:
        self.directory, self._traefik, self._definitions = directory, traefik, definitions
        self.shop, self.bank, self.authentication = Backend(SHOP), Backend(BANK), Backend(AUTHENTICATION)
        self._plane = Plane(directory / "plane", binaries)
        self._process: subprocess.Popen[bytes] | None = None
        self._servers: list[ThreadingHTTPServer] = []
        for name, issuer in {"origin": "origin-ca", "pull": "pull-ca", "foreign": "foreign-ca"}.items():
            authority = Authority.found_or_made(directory / issuer, issuer)
            names = ("*.example.com",) if name == "origin" else ()
            authority.issue(directory / name, name, usages=(SERVER if name == "origin" else CLIENT,), names=names)

    def start(self) -> None:
        self._plane.start()
        self._servers = [each.start() for each in (self.shop, self.bank, self.authentication)]
        dump = self._made()
        self._fill(dump)
        self._run(dump)
        self.wait("shop.example.com", 200)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._plane.stop()

    def _made(self) -> Dump:
        def program() -> None:
            arguments: Any = {
                "chart": {"repository": "oci://ghcr.io/traefik/helm", "version": "41.3.0"},
                "targets": "servers",
                "load_balancer_ip": BALANCER,
                "origin_certificate": (self.directory / "origin.crt").read_text(),
                "origin_private_key": (self.directory / "origin.key").read_text(),
                "origin_pull_ca": (self.directory / "pull-ca.crt").read_text(),
            }
            Ingress("ingress", arguments)

        return from_deployment(inprocess.run(program, project="t", stack="t", preview=False, skipped=SKIPPED))

    def _fill(self, dump: Dump) -> None:
        extensions, core = client.ApiextensionsV1Api(self._plane.api), client.CoreV1Api(self._plane.api)
        for path in self._definitions:
            extensions.create_custom_resource_definition(yaml.safe_load(path.read_text(encoding="utf-8")))
        for namespace in ("traefik", "shop-production", "bank-production"):
            core.create_namespace({"metadata": {"name": namespace}})
        ports = [{"name": "http", "port": BACKEND_PORT}]
        asked = f"http://{AUTHENTICATION}:{BACKEND_PORT}/"
        objects = [
            service("shop-production", clusterIP=SHOP, ports=ports),
            service("bank-production", clusterIP=BANK, ports=ports),
            route("shop-production", "shop.example.com"),
            authenticated("bank-production", asked),
            route("bank-production", "bank.example.com", guarded=True),
            *dump["Secret"],
        ]
        for each in objects:
            self.create(each)

    def create(self, each: Object) -> None:
        """Make an object, once its kind is served."""
        deadline = time.monotonic() + SECONDS
        while True:
            api = discovered(self._plane.api)
            try:
                resource = api.resources.get(api_version=each["apiVersion"], kind=each["kind"])
                api.create(resource, body=each, namespace=each["metadata"]["namespace"])
                return
            except (dynamic.exceptions.NotFoundError, dynamic.exceptions.ResourceNotFoundError):
                assert time.monotonic() < deadline, f"{each['kind']} is not served"
                time.sleep(0.2)

    def _run(self, dump: Dump) -> None:
        """With the release's own arguments and file; addresses and directories are those of here."""
        values = dump[RELEASE][0]["values"]
        text = yaml.safe_dump(values["providers"]["file"]["content"])
        for secret in dump["Secret"]:
            mounted = CERTIFICATES[secret["metadata"]["name"]]
            here = self.directory / "mounted" / secret["metadata"]["name"]
            here.mkdir(parents=True)
            for name, content in secret["stringData"].items():
                (here / name).write_text(content)
            text = text.replace(f"{mounted}/", f"{here}/")
        dynamic_directory = self.directory / "dynamic"
        dynamic_directory.mkdir()
        (dynamic_directory / "config.yml").write_text(text)
        given = [each for each in arguments(values) if ".address=" not in each and "file.directory" not in each]
        given += [f"--entryPoints.{name}.address={TRAEFIK}:{port}/tcp" for name, port in PORTS.items()]
        given += [f"--providers.file.directory={dynamic_directory}", "--ping=true"]
        given += ["--metrics.prometheus=true", "--metrics.prometheus.entrypoint=metrics"]
        kubeconfig = self.directory / "kubeconfig"
        kubeconfig.write_text(self._plane.kubeconfig)
        with (self.directory / "traefik.log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._traefik, *given],
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={"KUBECONFIG": str(kubeconfig), "PATH": ""},
            )

    def wait(self, host: str, status: int) -> None:
        """Until a host is answered like that, which also tells that whatever was made before has been read."""
        deadline = time.monotonic() + SECONDS
        last: object = None
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, self.log()
            try:
                last = self.ask(host).status
            except (Refused, OSError) as error:
                last = error
            if last == status:
                return
            time.sleep(0.2)
        raise AssertionError(f"{host}: {last}, not {status}, after {SECONDS} s\n{self.log()}")

    def log(self) -> str:
        return (self.directory / "traefik.log").read_text(errors="replace")[-4000:]

    def ask(
        self,
        host: str,
        *,
        headers: Mapping[str, str] | None = None,
        certificate: str | None = "pull",
        sender: str = BALANCER,
        says: str | None = VISITOR,
        tls: bool = True,
        port: str = "websecure",
        name: str | None = None,
    ) -> Answer:
        """One request as it reaches the machine.

        Args:
            host: Host header, and SNI unless ``name`` says otherwise.
            headers: More of them.
            certificate: Whose client certificate is shown; none is when None.
            sender: Address that it comes from.
            says: Whom the PROXY protocol tells of; no header is sent when None.
            tls: Whether to speak TLS.
            port: Entry point.
            name: SNI.

        Raises:
            Refused: no answer came.
        """
        try:
            with socket.create_connection((TRAEFIK, PORTS[port]), ANSWER_SECONDS, (sender, 0)) as plain:
                if says is not None:
                    plain.sendall(f"PROXY TCP4 {says} {TRAEFIK} 40000 {PORTS[port]}\r\n".encode())
                if not tls:
                    return _talk(plain, host, headers)
                with self._context(certificate).wrap_socket(plain, server_hostname=name or host) as secured:
                    return _talk(secured, host, headers)
        except (ssl.SSLError, ConnectionError, TimeoutError, http.client.HTTPException) as error:
            raise Refused(str(error)) from error

    def _context(self, certificate: str | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.directory / "origin-ca.crt"))
        context.check_hostname = False
        if certificate is not None:
            context.load_cert_chain(self.directory / f"{certificate}.crt", self.directory / f"{certificate}.key")
        return context


def _talk(connection: socket.socket, host: str, headers: Mapping[str, str] | None) -> Answer:
    lines = ["GET / HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answered = http.client.HTTPResponse(connection)
    answered.begin()
    told = {name.lower(): value for name, value in answered.getheaders()}
    return Answer(answered.status, told, answered.read().decode(errors="replace"))
