"""A real etcd, kube-apiserver and kube-controller-manager on loopback; no kubelet, so tests write the status of pods."""

import socket
import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client, config, dynamic

from sandbox.machines.certificates import CLIENT, SERVER, Authority
from sandbox.machines.processes import mortal
from sandbox.plugins.package import Package
from sandbox.plugins.packages import open_package
from sandbox.plugins.packages.kubernetes import awaits, troubles
from sandbox.toolchain import find_tool
from tests.discovery import discovered
from tests.ports import free_ports

from .played import NODE

HOST = "127.76.0.1"
START_SECONDS = 120
SECONDS = 120
"""For what comes about by itself: long on a busy machine, and over as soon as it is there."""


def eventually(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"did not hold within {seconds} s"
        time.sleep(0.1)


class ControlPlane:
    """An API server that is up, and the administrator's kubeconfig for it."""

    def __init__(self, directory: Path, binaries: dict[str, Path]) -> None:
        self.directory, self._binaries = directory, binaries
        self._processes: list[subprocess.Popen[bytes]] = []
        self._authority = Authority.found_or_made(directory / "ca", "ca")
        self._authority.issue(directory / "server", "kube-apiserver", usages=(SERVER,), names=(HOST,))
        self._authority.issue(directory / "admin", "admin", usages=(CLIENT,), organization="system:masters")
        self._authority.issue(directory / "accounts", "accounts")
        port, *self._etcd = free_ports(3, HOST)
        self.url = f"https://{HOST}:{port}"

    @property
    def kubeconfig(self) -> str:
        return self.kubeconfig_for(self.url)

    def kubeconfig_for(self, url: str, namespace: str = "") -> str:
        """Of the administrator, for an API at this address."""

        def data(name: str) -> str:
            return b64encode((self.directory / name).read_bytes()).decode()

        user = {"client-certificate-data": data("admin.crt"), "client-key-data": data("admin.key")}
        cluster = {"server": url, "certificate-authority-data": data("ca.crt")}
        context = {"cluster": "it", "user": "admin", **({"namespace": namespace} if namespace else {})}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "it", "cluster": cluster}],
                "users": [{"name": "admin", "user": user}],
                "contexts": [{"name": "it", "context": context}],
                "current-context": "it",
            }
        )

    def serving(self) -> ssl.SSLContext:
        """For a server at this host that the API server asks, such as a webhook."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "server.crt", self.directory / "server.key")
        return context

    def start(self) -> None:
        here = self.directory
        etcd, peers = (f"http://{HOST}:{port}" for port in self._etcd)
        self._run(
            "etcd",
            *(f"--data-dir={here / 'data'}", f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}"),
            *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
            *(f"--initial-cluster=default={peers}", "--unsafe-no-fsync"),
        )
        self._run(
            "kube-apiserver",
            *(f"--etcd-servers={etcd}", f"--bind-address={HOST}", f"--advertise-address={HOST}"),
            *(f"--secure-port={self.url.rpartition(':')[2]}", f"--client-ca-file={here / 'ca.crt'}"),
            *(f"--tls-cert-file={here / 'server.crt'}", f"--tls-private-key-file={here / 'server.key'}"),
            *("--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.43.0.0/16"),
            *("--allow-privileged", "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount"),
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={here / 'accounts.crt'}",
            f"--service-account-signing-key-file={here / 'accounts.key'}",
        )
        self._wait("/readyz")
        (here / "kubeconfig").touch(mode=0o600)
        (here / "kubeconfig").write_text(self.kubeconfig)
        self._run(
            "kube-controller-manager",
            *(
                f"--kubeconfig={here / 'kubeconfig'}",
                "--leader-elect=false",
                f"--bind-address={HOST}",
                "--secure-port=0",
            ),
            f"--service-account-private-key-file={here / 'accounts.key'}",
            "--controllers=*,-node-lifecycle-controller",
        )
        self._wait("/api/v1/namespaces/default")

    def _run(self, name: str, *arguments: str) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            command = [*mortal(), str(self._binaries[name]), *arguments]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.directory)
        self._processes.append(process)

    def _wait(self, path: str) -> None:
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        context.load_cert_chain(self.directory / "admin.crt", self.directory / "admin.key")
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(verify=context, trust_env=False) as asked:
            while True:
                try:
                    if asked.get(self.url + path).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                assert all(process.poll() is None for process in self._processes), self._logs()
                assert time.monotonic() < deadline, self._logs()
                time.sleep(0.1)

    def _logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-1500:] for path in self.directory.glob("*.log"))

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    binaries: dict[str, Path] = {}
    for name in ("etcd", "kube-apiserver", "kube-controller-manager"):
        found = find_tool(name)
        if found is None:
            pytest.skip(f"{name} is neither on PATH nor in the cache: `make toolchain` gets it")
        binaries[name] = found.path
    started = ControlPlane(tmp_path_factory.mktemp("plane"), binaries)
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="package")
def api(plane: ControlPlane) -> client.ApiClient:
    """The official client, as somebody else uses it beside the provider."""
    return config.new_client_from_config_dict(yaml.safe_load(plane.kubeconfig))


@pytest.fixture(scope="package")
def kinds(api: client.ApiClient) -> dynamic.DynamicClient:
    return discovered(api)


@pytest.fixture(scope="package")
def core(api: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api)


@pytest.fixture(scope="package")
def helm() -> None:
    """Without Helm these tests have nothing to run."""
    if find_tool("helm") is None:
        pytest.skip("helm is neither on PATH nor in the cache: `make toolchain` gets it")


@pytest.fixture(scope="package")
def node(core: client.CoreV1Api) -> None:
    """Where pods are."""
    core.create_node({"metadata": {"name": NODE}})
    # A new Node is not ready, and nobody else would say that it is.
    core.patch_node(NODE, {"spec": {"taints": None}})


@pytest.fixture
def namespace(core: client.CoreV1Api) -> str:
    """One of its own for each test; it goes with the cluster."""
    return str(core.create_namespace({"metadata": {"generateName": "test-"}}).metadata.name)


@pytest.fixture
def opened(plane: ControlPlane) -> Callable[..., Package]:
    """Opens the provider, configured for the cluster."""

    def configured(**settings: Any) -> Package:
        package = open_package("kubernetes")
        package.configure({"kubeconfig": plane.kubeconfig, **settings})
        return package

    return configured


@pytest.fixture
def provider(opened: Callable[..., Package]) -> Package:
    return opened()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets a release that did not become ready be asked why until the cluster says it: Helm's time is short, the cluster's own is not."""

    def until(words: str, times: int = 1) -> None:
        look = troubles.of_release

        def patiently(*arguments: Any) -> list[str]:
            found: list[str] = []

            def is_said() -> bool:
                found[:] = look(*arguments)
                return sum(words in each for each in found) == times

            eventually(is_said)
            return found

        monkeypatch.setattr(troubles, "of_release", patiently)

    return until


@dataclass
class _Clock:
    """Stands still until it is told otherwise."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def over_when(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], bool]], None]:
    """Lets the time for which an object is waited end with the first look at a cluster that is as the test wants it."""
    condition_of = awaits.condition_of

    def ends(holds: Callable[[], bool]) -> None:
        clock, seen = _Clock(), False

        def observed(manifest: Any) -> awaits.Condition:
            condition = condition_of(manifest)
            assert condition is not None

            def look(at: awaits.Look) -> str:
                nonlocal seen
                # The object was asked for before; only what held before that as well is certain to be in the answer.
                held, seen = seen, seen or holds()
                missing = condition(at)
                if held:
                    clock.now = float("inf")
                return missing

            return look

        monkeypatch.setattr(awaits, "time", clock)
        monkeypatch.setattr(awaits, "condition_of", observed)

    return ends


@pytest.fixture
def closed() -> Iterator[str]:
    """``<host>:<port>`` where nobody listens, and nobody else comes to listen meanwhile."""
    with socket.socket() as held:
        held.bind((HOST, 0))
        yield f"{HOST}:{held.getsockname()[1]}"
