"""Tools are found, downloaded or built, and nothing half-made or half-trusted is ever run."""

import hashlib
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.toolchain import CHECKOUT, TOOLS, ToolchainError, checksum, find_tool, get_tools, releases, why_not_path
from sandbox.toolchain.releases import ReleaseError
from sandbox.toolchain.tools import cached_path

BUILDS = """
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho built\\n' > "$2"
/bin/chmod 755 "$2"
"""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache, and nothing on PATH but what a test puts into the directory."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    monkeypatch.setenv("PATH", str(binaries))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return binaries


def install(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def get(name: str, *, download: bool = False) -> tuple[Path, list[str]]:
    said: list[str] = []
    return get_tools([name], download=download, say=said.append)[name].path, said


# -- found


def test_a_tool_on_path_comes_before_the_cache(machine: Path) -> None:
    install(cached_path(TOOLS["kubectl"]), "")
    assert find_tool("kubectl").source == "cache"  # type: ignore[union-attr]
    path = install(machine / "kubectl", "")
    found = find_tool("kubectl")
    assert found is not None
    assert (found.path, found.source) == (path, "PATH")


def test_a_server_of_unknown_version_on_path_is_left_alone(machine: Path) -> None:
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "cyclonus"):
        install(machine / name, "")
        assert find_tool(name) is None


def test_the_cache_is_where_xdg_says_and_keyed_by_what_pins_the_version(tmp_path: Path) -> None:
    pinned = b"".join((CHECKOUT / "tools/etcd" / name).read_bytes() for name in ("go.mod", "go.sum"))
    key = hashlib.sha256(pinned).hexdigest()[:16]
    path = install(tmp_path / f"cache/hetzner-platform/tools/etcd-{key}/etcd", "")
    found = find_tool("etcd")
    assert found is not None
    assert found.path == path


def test_another_pinned_version_is_another_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = tmp_path / "checkout/tools/etcd"
    module.mkdir(parents=True)
    for name in ("go.mod", "go.sum"):
        (module / name).write_bytes((CHECKOUT / "tools/etcd" / name).read_bytes())
    before = cached_path(TOOLS["etcd"])
    monkeypatch.setattr("sandbox.toolchain.tools.CHECKOUT", tmp_path / "checkout")
    assert cached_path(TOOLS["etcd"]) == before
    (module / "go.sum").write_text("another")
    assert cached_path(TOOLS["etcd"]) != before


def test_a_pulumi_that_is_too_old_is_passed_over_and_named(machine: Path) -> None:
    from sandbox import preview

    old = install(machine / "pulumi", "echo v3.258.9")
    assert find_tool("pulumi") is None
    assert why_not_path("pulumi") == f"{old} is version 3.258.9, 3.259 or later is needed"
    _, detail = preview.choose_engine("auto")
    assert "3.258.9" in detail
    with pytest.raises(preview.ChoiceError, match=r"version 3\.258\.9, 3\.259 or later"):
        preview.choose_engine("pulumi")
    install(cached_path(TOOLS["pulumi"]), "echo v3.259.0")
    cli, _ = preview.choose_engine("pulumi")
    assert cli is not None
    assert cli.source == "cache"


@pytest.mark.parametrize("version", ["v3.259.0", "v3.300.1-dev.0+g1", "4.0.0"])
def test_a_pulumi_that_is_new_enough_is_taken(machine: Path, version: str) -> None:
    path = install(machine / "pulumi", f"echo {version}")
    found = find_tool("pulumi")
    assert found is not None
    assert found.path == path
    assert why_not_path("pulumi") == ""


@pytest.mark.parametrize("version", ["v3.18.0+gcc58e31", "v3.21.4"])
def test_a_helm_of_the_generation_that_the_plugin_speaks_is_taken(machine: Path, version: str) -> None:
    path = install(machine / "helm", f'[ "$*" = "version --short" ] && echo {version}')
    found = find_tool("helm")
    assert found is not None
    assert found.path == path


@pytest.mark.parametrize(("version", "told"), [("v3.17.9", "3.17.9"), ("v4.0.1+g1", "4.0.1"), ("", "unknown")])
def test_a_helm_of_another_generation_is_passed_over_and_named(machine: Path, version: str, told: str) -> None:
    path = install(machine / "helm", f"echo {version}")
    assert find_tool("helm") is None
    assert why_not_path("helm") == f"{path} is version {told}, 3.18 or later, before 4, is needed"


def test_a_pulumi_that_says_no_version_is_passed_over(machine: Path) -> None:
    install(machine / "pulumi", "echo out of order; exit 3")
    assert find_tool("pulumi") is None
    assert "version unknown" in why_not_path("pulumi")


# -- built


def test_what_is_missing_is_built_once_and_says_how_long_that_takes(machine: Path) -> None:
    install(machine / "go", BUILDS)
    path, said = get("etcd")
    assert subprocess.check_output([path], text=True) == "built\n"
    assert said == ["building etcd 3.6.14 from its Go module: about 1 minute on two cores, once ..."]
    assert get("etcd") == (path, [])


def test_the_build_takes_the_pinned_module_and_the_version_that_the_tool_tells(machine: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    install(machine / "go", f'echo "$PWD $GOTOOLCHAIN $CGO_ENABLED $*" > {log}{BUILDS}')
    get("kube-apiserver")
    told = log.read_text()
    assert told.startswith(f"{CHECKOUT}/tools/kubernetes local 0 build ")
    assert "k8s.io/component-base/version.gitVersion=v1.36.3" in told
    assert told.rstrip().endswith("k8s.io/kubernetes/cmd/kube-apiserver")


MODULES = (
    "pulumi/pkg/v3",
    "etcd/server/v3",
    "k8s.io/kubernetes",
    "helm.sh/helm/v3",
    "gatekeeper/v3",
    "mattfenwick/cyclonus",
)


def test_the_recipes_name_the_versions_that_the_modules_pin() -> None:
    for recipe in TOOLS.values():
        if recipe.kind == "go":
            pinned = (CHECKOUT / "tools" / recipe.module / "go.mod").read_text()
            module = next(part for part in MODULES if part in recipe.package)
            assert f"{module} v{recipe.version.removeprefix('v')}" in pinned, recipe.name


def test_without_go_the_message_says_what_to_do() -> None:
    with pytest.raises(ToolchainError, match=r"no Go to build one with.*DOWNLOAD=1 .*ENGINE=inprocess needs neither"):
        get("etcd")


def test_a_build_that_fails_shows_why_and_leaves_nothing(machine: Path) -> None:
    install(machine / "go", "echo 'go.mod requires go >= 1.26' >&2; exit 1")
    with pytest.raises(ToolchainError, match=r"tools/etcd/go\.mod:\ngo\.mod requires go >= 1\.26"):
        get("etcd")
    assert find_tool("etcd") is None
    assert list(cached_path(TOOLS["etcd"]).parent.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_nothing_that_looks_finished(machine: Path, number: signal.Signals) -> None:
    install(machine / "go", f'{BUILDS}/bin/kill -{number.value} "$PPID"')
    # A shell's background job, and so everything below it, is started with interrupts ignored.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    asks = f"{heard}; from sandbox.toolchain import get_tools; get_tools(['etcd'], download=False, say=print)"
    ended = subprocess.run(
        [sys.executable, "-c", asks], cwd=CHECKOUT, env=dict(os.environ), capture_output=True, check=False, timeout=60
    )
    assert ended.returncode != 0
    assert find_tool("etcd") is None
    install(machine / "go", BUILDS)
    path, _ = get("etcd")
    assert path == cached_path(TOOLS["etcd"])


INTERPRETER = """
/bin/mkdir -p "$3/bin"
{
  echo '#!/bin/sh'
  echo 'PIP'
  echo 'here=${0%/python}'
  echo 'echo "#!$here/python" > "$here/moto_server"'
  echo '/bin/chmod 755 "$here/moto_server"'
} > "$3/bin/python"
/bin/chmod 755 "$3/bin/python"
"""


def test_a_python_tool_has_an_environment_of_its_own(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = machine / "log"
    script = INTERPRETER.replace("PIP", f'echo "$@" > {log}')
    monkeypatch.setattr(sys, "executable", str(install(machine / "python", script)))
    path, said = get("moto_server")
    # It was made elsewhere and moved here: its scripts must name the interpreter that is here.
    assert path.read_text() == f"#!{path.parent}/python\n"
    assert "--require-hashes" in log.read_text()
    assert said == ["installing moto_server 5.2 into an environment of its own: half a minute, once ..."]
    assert get("moto_server") == (path, [])
    # One that lost its program is made anew.
    path.unlink()
    assert get("moto_server")[0].exists()


def test_a_python_tool_that_cannot_be_installed_leaves_nothing(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = INTERPRETER.replace("PIP", "echo no matching hash >&2; exit 1")
    monkeypatch.setattr(sys, "executable", str(install(machine / "python", script)))
    with pytest.raises(ToolchainError, match="moto_server could not be installed:\nno matching hash"):
        get("moto_server")
    assert find_tool("moto_server") is None
    assert list(cached_path(TOOLS["moto_server"]).parent.parent.parent.iterdir()) == []


# -- downloaded


class Releases:
    """A server of releases: files by path."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        files = self.files

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Releases]:
    server = Releases()
    monkeypatch.setattr(releases, "_ETCD", server.url + "/etcd/{version}")
    monkeypatch.setattr(releases, "_HELM", server.url + "/helm")
    monkeypatch.setattr(releases, "_GATOR", server.url + "/gator/{version}")
    monkeypatch.setattr(releases, "_GATOR_DIGESTS", server.url + "/gator/{version}/release")
    monkeypatch.setattr(releases, "_CYCLONUS", server.url + "/cyclonus/{version}")
    monkeypatch.setattr(releases, "_PULUMI", server.url + "/pulumi/{version}")
    monkeypatch.setattr(releases, "_KUBERNETES", server.url + "/{version}/{system}/{architecture}/{name}")
    monkeypatch.setattr(releases.platform, "system", lambda: "Linux")
    monkeypatch.setattr(releases.platform, "machine", lambda: "aarch64")
    yield server
    server.stop()


def tar(member: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def serve_etcd(served: Releases, archive: bytes, *, digest: str | None = None) -> None:
    name = "etcd-v3.6.14-linux-arm64"
    served.files[f"/etcd/3.6.14/{name}.tar.gz"] = archive
    listing = f"{'0' * 64}  other.tar.gz\n{digest or hashlib.sha256(archive).hexdigest()}  {name}.tar.gz\n"
    served.files["/etcd/3.6.14/SHA256SUMS"] = listing.encode()


def test_a_release_is_taken_with_its_own_checksum(served: Releases) -> None:
    serve_etcd(served, tar("etcd-v3.6.14-linux-arm64/etcd", b"#!/bin/sh\necho released\n"))
    path, said = get("etcd", download=True)
    assert subprocess.check_output([path], text=True) == "released\n"
    assert said == ["downloading the release 3.6.14 of etcd ..."]


def test_pulumi_calls_its_architectures_otherwise(served: Releases) -> None:
    archive = tar("pulumi/pulumi", b"#!/bin/sh\necho v3.259.0\n")
    served.files["/pulumi/3.259.0/pulumi-v3.259.0-linux-arm64.tar.gz"] = archive
    listing = f"{hashlib.sha256(archive).hexdigest()}  pulumi-v3.259.0-linux-arm64.tar.gz\n"
    served.files["/pulumi/3.259.0/pulumi-3.259.0-checksums.txt"] = listing.encode()
    path, _ = get("pulumi", download=True)
    assert subprocess.check_output([path], text=True) == "v3.259.0\n"


def test_kubernetes_binaries_have_a_checksum_each(served: Releases) -> None:
    content = b"#!/bin/sh\n"
    served.files["/v1.36.3/linux/arm64/kubectl"] = content
    served.files["/v1.36.3/linux/arm64/kubectl.sha256"] = hashlib.sha256(content).hexdigest().encode()
    path, _ = get("kubectl", download=True)
    assert os.access(path, os.X_OK)
    served.files["/v1.36.3/linux/arm64/kube-apiserver"] = content
    served.files["/v1.36.3/linux/arm64/kube-apiserver.sha256"] = b"0" * 64
    with pytest.raises(ToolchainError, match="kube-apiserver has another SHA-256 than the release says: not used"):
        get("kube-apiserver", download=True)
    assert find_tool("kube-apiserver") is None


def test_helms_release_has_its_checksum_beside_it(served: Releases) -> None:
    archive = tar("linux-arm64/helm", b"#!/bin/sh\necho v3.21.4\n")
    name = "helm-v3.21.4-linux-arm64.tar.gz"
    served.files[f"/helm/{name}"] = archive
    served.files[f"/helm/{name}.sha256sum"] = f"{hashlib.sha256(archive).hexdigest()}  {name}\n".encode()
    path, _ = get("helm", download=True)
    assert subprocess.check_output([path], text=True) == "v3.21.4\n"


def test_cyclonus_release_lists_its_checksums(served: Releases) -> None:
    archive = tar("cyclonus_linux_arm64/cyclonus", b"#!/bin/sh\necho cyclonus\n")
    served.files["/cyclonus/v0.5.6/cyclonus_linux_arm64.tar.gz"] = archive
    listing = f"{hashlib.sha256(archive).hexdigest()}  cyclonus_linux_arm64.tar.gz\n"
    served.files["/cyclonus/v0.5.6/cyclonus_0.5.6_checksums.txt"] = listing.encode()
    path, _ = get("cyclonus", download=True)
    assert subprocess.check_output([path], text=True) == "cyclonus\n"


GATOR = "gator-v3.23.0-linux-arm64.tar.gz"


def serve_gator(served: Releases, release: object) -> bytes:
    archive = tar("gator", b"#!/bin/sh\necho gator\n")
    served.files[f"/gator/v3.23.0/{GATOR}"] = archive
    served.files["/gator/v3.23.0/release"] = json.dumps(release).encode()
    return archive


def test_gators_checksum_is_the_one_that_its_host_tells(served: Releases) -> None:
    archive = serve_gator(served, {})
    told = {"assets": [{"name": GATOR, "digest": f"sha256:{hashlib.sha256(archive).hexdigest()}"}]}
    serve_gator(served, told)
    path, _ = get("gator", download=True)
    assert subprocess.check_output([path], text=True) == "gator\n"


@pytest.mark.parametrize(
    ("release", "why"),
    [
        ({"assets": [{"name": GATOR, "digest": f"sha256:{'1' * 64}"}]}, "has another SHA-256"),
        ({"assets": [{"name": GATOR, "digest": None}]}, "no SHA-256 is told of gator"),
        ({"assets": [{"name": GATOR, "digest": f"md5:{'1' * 32}"}]}, "no SHA-256 is told of gator"),
        ({"assets": [{"name": "other.tar.gz", "digest": f"sha256:{'1' * 64}"}]}, "no SHA-256 is told of gator"),
        ({"message": "rate limit"}, "is not understood"),
        ([], "is not understood"),
    ],
)
def test_a_gator_whose_digest_is_not_told_is_not_used(served: Releases, release: object, why: str) -> None:
    serve_gator(served, release)
    with pytest.raises(ToolchainError, match=why):
        get("gator", download=True)
    assert find_tool("gator") is None


def test_a_release_with_another_checksum_is_refused(served: Releases) -> None:
    serve_etcd(served, tar("etcd-v3.6.14-linux-arm64/etcd", b"evil"), digest="1" * 64)
    with pytest.raises(ToolchainError, match=r"etcd-v3\.6\.14-linux-arm64\.tar\.gz has another SHA-256"):
        get("etcd", download=True)
    assert find_tool("etcd") is None
    assert list(cached_path(TOOLS["etcd"]).parent.iterdir()) == []


def test_an_archive_without_the_tool_is_refused(served: Releases) -> None:
    serve_etcd(served, tar("elsewhere/etcd", b""))
    with pytest.raises(ToolchainError, match=r"does not hold etcd-v3\.6\.14-linux-arm64/etcd"):
        get("etcd", download=True)


def test_a_release_that_is_not_there_or_not_reached_points_to_the_build(served: Releases) -> None:
    with pytest.raises(ToolchainError, match="Without the internet, `make toolchain` builds it with Go"):
        get("kubectl", download=True)
    served.stop()
    with pytest.raises(ToolchainError, match="could not be downloaded"):
        get("kubectl", download=True)


def test_a_checksums_file_that_does_not_name_the_archive_is_no_checksum() -> None:
    with pytest.raises(ReleaseError, match=r"do not name b\.tar\.gz"):
        checksum("b.tar.gz", f"{'0' * 64}  a.tar.gz\n")
