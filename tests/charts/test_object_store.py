"""The chart of the object store: rendered by Helm, and its Job's script run against a client that writes down what it is asked.

Where ``silo`` or ``minio``, and ``mc``, are on PATH, three real servers are started on this machine: the script provisions
them, tenants try to reach each other, and one server is stopped. In a container a server refuses loopback addresses; there
``OBJECT_STORE_SERVER`` names a wrapper that hides the container from it.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.storage import TenantBucket, TenantBuckets, check_erasure
from components.storage.tenant_buckets import provision_files, user_lines
from sandbox.toolchain import find_tool
from tests.golden_files import compare
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/object-store"
SCRIPT = CHART / "files/provision.sh"
SHOP = TenantBuckets("shop", "production", [TenantBucket("media"), TenantBucket("raw", versioning=False)])
STAGING = TenantBuckets("shop", "staging", [TenantBucket("media")])
SECRETS = {"shop-production": "a-key-of-production", "shop-staging": "a-key-of-staging"}
PROVISIONED = ("provision.secret=object-store-provision", "provision.revision=0123abcd")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    tool = find_tool("helm")
    if tool is None:
        pytest.skip("helm is neither on PATH nor in the cache: make toolchain")
    return subprocess.run([str(tool.path), *arguments], capture_output=True, text=True, check=False, timeout=60)


def render(*settings: str) -> list[dict[str, Any]]:
    told = [part for setting in settings for part in ("--set", setting)]
    made = helm("template", "object-store", str(CHART), "--namespace", "object-store", *told)
    assert made.returncode == 0, made.stderr
    return [each for each in yaml.safe_load_all(made.stdout) if each]


def refused(*settings: str) -> str:
    told = [part for setting in settings for part in ("--set", setting)]
    made = helm("template", "object-store", str(CHART), *told)
    assert made.returncode != 0, "Helm accepted it"
    return made.stderr


def one(kind: str, manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = (each for each in manifests if each["kind"] == kind)
    return found


def pod_specs(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each["spec"]["template"]["spec"] for each in manifests if each["kind"] in ("StatefulSet", "Job")]


def test_the_chart_is_as_reviewed(request: pytest.FixtureRequest) -> None:
    text = yaml.safe_dump_all(render(*PROVISIONED), sort_keys=False)
    compare("storage/object-store.yaml", text, update=request.config.getoption("--update-golden"))


def test_no_two_servers_share_a_machine() -> None:
    (rule,) = one("StatefulSet", render())["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert rule["topologyKey"] == "kubernetes.io/hostname"
    labels = one("StatefulSet", render())["spec"]["template"]["metadata"]["labels"]
    assert rule["labelSelector"]["matchLabels"].items() <= labels.items()


def test_servers_know_each_other_by_names_that_exist_before_they_are_ready() -> None:
    manifests = render("servers=4", "drives=1")
    (address,) = (
        each
        for each in one("StatefulSet", manifests)["spec"]["template"]["spec"]["containers"][0]["args"]
        if each.startswith("http")
    )
    assert address == "http://object-store-{0...3}.object-store-servers.object-store.svc.cluster.local:9000/volumes/0"
    (headless,) = (each for each in manifests if each["metadata"]["name"] == "object-store-servers")
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["publishNotReadyAddresses"] is True
    assert one("StatefulSet", manifests)["spec"]["podManagementPolicy"] == "Parallel"


@pytest.mark.parametrize("drives", [1, 2, 3])
def test_every_volume_is_claimed_and_mounted(drives: int) -> None:
    spec = one("StatefulSet", render("servers=5", f"drives={drives}", f"parity={max(2, drives)}"))["spec"]
    claims = [each["metadata"]["name"] for each in spec["volumeClaimTemplates"]]
    mounts = {each["name"] for each in spec["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert claims == [f"volume-{number}" for number in range(drives)]
    assert mounts == {*claims, "scratch"}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_pods_may_do_nothing_that_the_restricted_level_forbids() -> None:
    pods = pod_specs(render(*PROVISIONED))
    assert len(pods) == 2
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_secrets_are_named_and_never_arguments() -> None:
    for pod in pod_specs(render(*PROVISIONED)):
        (container,) = pod["containers"]
        given = [
            each
            for each in container["env"]
            if each["name"] in ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "MC_HOST_store")
        ]
        assert given
        assert all("secretKeyRef" in each["valueFrom"] for each in given)
    assert {each["kind"] for each in render(*PROVISIONED)} == {
        "ConfigMap",
        "Job",
        "PodDisruptionBudget",
        "Service",
        "StatefulSet",
    }


def test_the_job_runs_after_every_change_and_leaves_nothing() -> None:
    annotations = one("Job", render(*PROVISIONED))["metadata"]["annotations"]
    assert annotations == {
        "helm.sh/hook": "post-install,post-upgrade",
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
    }
    assert "Job" not in {each["kind"] for each in render()}


def test_a_digest_says_which_image_it_is() -> None:
    digest = f"sha256:{'0123abcd' * 8}"
    images = {pod["containers"][0]["image"] for pod in pod_specs(render(*PROVISIONED, f"image.digest={digest}"))}
    assert images == {f"docker.io/pgsty/silo:RELEASE.2026-09-16T00-00-00Z@{digest}"}


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("servers=2", "servers"),
        ("servers=many", "servers"),
        ("drives=0", "drives"),
        ("storage.size=9Gi", "size"),
        ("storage.size=50", "size"),
        ("image.tag=latest", "tag"),
        ("image.digest=sha256:1", "digest"),
        ("rootSecret=Root", "rootSecret"),
        ("provision.revision=XYZ", "revision"),
        ("resources.requests.cpu=lots", "cpu"),
        ("resources.requests.cpu=null", "cpu"),
        ("replicas=3", "replicas"),
    ],
)
def test_bad_values_are_refused(setting: str, word: str) -> None:
    assert word in refused(setting)


@pytest.mark.parametrize(("servers", "drives", "parity"), [(3, 1, 1), (6, 3, 3), (3, 2, 1), (3, 2, 4), (3, 5, 8)])
def test_chart_and_program_refuse_the_same_stores(servers: int, drives: int, parity: int) -> None:
    told = refused(f"servers={servers}", f"drives={drives}", f"parity={parity}")
    assert list(check_erasure(servers, drives, parity)) != []
    assert "servers" in told or "parity" in told


@pytest.mark.parametrize(("servers", "drives", "parity"), [(3, 2, 2), (3, 2, 3), (4, 1, 1), (5, 1, 2), (4, 4, 8)])
def test_chart_and_program_accept_the_same_stores(servers: int, drives: int, parity: int) -> None:
    assert list(check_erasure(servers, drives, parity)) == []
    spec = one("StatefulSet", render(f"servers={servers}", f"drives={drives}", f"parity={parity}"))["spec"]
    environment = spec["template"]["spec"]["containers"][0]["env"]
    assert {"name": "MINIO_STORAGE_CLASS_STANDARD", "value": f"EC:{parity}"} in environment


CLIENT = """#!/bin/sh
echo "$*" >>"$STATE/asked"
case "$*" in
    "ready store") [ ! -e "$STATE/down" ] ;;
    "admin user add store") read -r user; read -r secret; echo "$user" >>"$STATE/known"; echo "$secret" >>"$STATE/piped" ;;
    "ilm rule import "*) cat >>"$STATE/rules"; echo >>"$STATE/rules" ;;
    "admin user info store "*) echo '{"status": "success", "policyName": "'"$(cat "$STATE/attached-$5" 2>/dev/null)"'"}' ;;
    "admin policy attach store "*) echo "$5" >"$STATE/attached-$7" ;;
    "admin user list store --json") while read -r user; do echo '{"status":"success","accessKey":"'"$user"'"}'; done <"$STATE/known" ;;
    *) ;;
esac
"""


class Provisioning:
    """The script, with a client that writes down what it is asked."""

    def __init__(self, directory: Path) -> None:
        self.state = directory / "state"
        self.state.mkdir()
        tools = directory / "bin"
        tools.mkdir()
        (tools / "mc").write_text(CLIENT)
        (tools / "mc").chmod(0o755)
        # What the image has beside a shell.
        for tool in ("cat", "sleep", "tr"):
            (tools / tool).symlink_to(shutil.which(tool) or tool)
        self.files = directory / "files"
        self.environment = {
            "PATH": str(tools),
            "STATE": str(self.state),
            "TMPDIR": str(directory),
            "PROVISION_ATTEMPTS": "1",
        }

    def declare(self, tenants: list[TenantBuckets]) -> None:
        shutil.rmtree(self.files, ignore_errors=True)
        self.files.mkdir()
        users = user_lines({each.name: SECRETS[each.name] for each in tenants})
        for name, text in {**provision_files(tenants), "users": users}.items():
            (self.files / name).write_text(text)

    def run(self, tenants: list[TenantBuckets]) -> subprocess.CompletedProcess[str]:
        self.declare(tenants)
        (self.state / "asked").unlink(missing_ok=True)
        return subprocess.run(
            ["/bin/sh", str(SCRIPT), str(self.files)],
            env=self.environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    @property
    def asked(self) -> list[str]:
        return (self.state / "asked").read_text().splitlines()


@pytest.fixture
def provisioning(tmp_path: Path) -> Provisioning:
    return Provisioning(tmp_path)


def test_the_script_makes_buckets_users_and_policies(provisioning: Provisioning) -> None:
    done = provisioning.run([SHOP, STAGING])
    assert done.returncode == 0, done.stderr
    asked = provisioning.asked
    assert [each for each in asked if each.startswith("mb")] == [
        "mb --ignore-existing store/shop-production-media",
        "mb --ignore-existing store/shop-production-raw",
        "mb --ignore-existing store/shop-staging-media",
    ]
    assert [each for each in asked if each.startswith("version")] == [
        "version enable store/shop-production-media",
        "version enable store/shop-staging-media",
    ]
    (rule, _) = (json.loads(line) for line in (provisioning.state / "rules").read_text().splitlines())
    assert rule["Rules"][0]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert "admin policy attach store shop-staging --user shop-staging" in asked
    assert (provisioning.state / "piped").read_text().splitlines() == ["a-key-of-production", "a-key-of-staging"]


def test_running_again_attaches_nothing_twice(provisioning: Provisioning) -> None:
    assert provisioning.run([SHOP, STAGING]).returncode == 0
    assert provisioning.run([SHOP, STAGING]).returncode == 0
    assert [each for each in provisioning.asked if each.startswith(("admin policy attach", "admin user remove"))] == []


def test_who_is_no_longer_named_loses_access_but_no_bucket_goes(provisioning: Provisioning) -> None:
    assert provisioning.run([SHOP, STAGING]).returncode == 0
    done = provisioning.run([SHOP])
    assert done.returncode == 0, done.stderr
    asked = provisioning.asked
    assert "admin user remove store shop-staging" in asked
    assert "admin policy remove store shop-staging" in asked
    assert "admin user remove store shop-production" not in asked
    assert not any(each.startswith(("rb", "rm")) for each in asked)


def test_without_tenants_every_user_goes(provisioning: Provisioning) -> None:
    assert provisioning.run([SHOP]).returncode == 0
    assert provisioning.run([]).returncode == 0
    assert "admin user remove store shop-production" in provisioning.asked


def test_secrets_are_neither_arguments_nor_printed(provisioning: Provisioning) -> None:
    done = provisioning.run([SHOP, STAGING])
    shown = "\n".join([*provisioning.asked, done.stdout, done.stderr])
    assert not any(secret in shown for secret in SECRETS.values())


def test_a_store_that_does_not_answer_is_told_with_what_to_do(provisioning: Provisioning) -> None:
    (provisioning.state / "down").touch()
    done = provisioning.run([SHOP])
    assert done.returncode == 1
    assert "look at its servers' logs, then deploy again" in done.stderr
    assert provisioning.asked == ["ready store"]


def test_the_first_thing_that_fails_ends_it(provisioning: Provisioning) -> None:
    client = Path(provisioning.environment["PATH"]) / "mc"
    client.write_text(CLIENT.replace("    *) ;;", '    "mb "*) exit 1 ;;\n    *) ;;'))
    assert provisioning.run([SHOP]).returncode != 0
    assert not any("user add" in each for each in provisioning.asked)


ROOT_KEYS = ("object-store-root", "a-password-for-tests-alone")


class Servers:
    """Three real servers with two directories each, on ports of this machine."""

    def __init__(self, server: str, directory: Path, ports: list[int]) -> None:
        self.ports = ports
        # One by one they make one erasure set, as the chart's single pattern does; several patterns would make several.
        drives = [f"http://127.0.0.1:{port}{directory}/{port}/volumes/{each}" for port in ports for each in range(2)]
        environment = {
            "PATH": os.defpath,
            "HOME": str(directory),
            "MINIO_ROOT_USER": ROOT_KEYS[0],
            "MINIO_ROOT_PASSWORD": ROOT_KEYS[1],
            "MINIO_STORAGE_CLASS_STANDARD": "EC:2",
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            # Directories instead of volumes.
            "MINIO_CI_CD": "1",
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        for port in ports:
            log = (directory / f"{port}.log").open("wb")
            command = [server, "server", "--address", f"127.0.0.1:{port}", *drives]
            self.processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            log.close()

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(timeout=30)

    def wait(self) -> None:
        deadline = time.monotonic() + 90
        address = f"http://127.0.0.1:{self.ports[0]}/minio/health/cluster"
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(address, timeout=5):
                    return
            except OSError:
                time.sleep(0.25)
        raise AssertionError("the servers did not become ready")


@contextmanager
def real_servers(directory: Path) -> Iterator[tuple[Servers, str]]:
    server = os.environ.get("OBJECT_STORE_SERVER") or shutil.which("silo") or shutil.which("minio")
    client = shutil.which("mc") or shutil.which("mcli")
    if not server or not client:
        pytest.skip("silo or minio, and mc, are not on PATH: the store is not tried for real")
    if Path("/.dockerenv").exists() and "OBJECT_STORE_SERVER" not in os.environ:
        pytest.skip("in a container the servers refuse loopback addresses: the store is not tried for real")
    servers = Servers(server, directory, free_ports(3))
    try:
        servers.wait()
        yield servers, client
    finally:
        servers.stop()


class Real:
    """A client of real servers."""

    def __init__(self, client: str, directory: Path, ports: list[int]) -> None:
        self.directory, self.client, self.ports = directory, client, ports
        tools = directory / "bin"
        tools.mkdir()
        (tools / "mc").symlink_to(client)
        for tool in ("cat", "sleep", "tr"):
            (tools / tool).symlink_to(shutil.which(tool) or tool)

    def environment(self, user: str, secret: str, port: int) -> dict[str, str]:
        address = f"http://{user}:{secret}@127.0.0.1:{port}"
        tools = str(self.directory / "bin")
        places = {
            "TMPDIR": str(self.directory),
            "HOME": str(self.directory),
            "MC_CONFIG_DIR": str(self.directory / "mc"),
        }
        return {"PATH": tools, "MC_HOST_store": address, **places}

    def provision(self, tenants: list[TenantBuckets]) -> subprocess.CompletedProcess[str]:
        files = self.directory / "files"
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
        users = user_lines({each.name: SECRETS[each.name] for each in tenants})
        for name, text in {**provision_files(tenants), "users": users}.items():
            (files / name).write_text(text)
        return subprocess.run(
            ["/bin/sh", str(SCRIPT), str(files)],
            env=self.environment(*ROOT_KEYS, self.ports[0]), capture_output=True, text=True, check=False, timeout=110,
        )  # fmt: skip

    def ask(
        self, user: str, *arguments: str, text: str = "", port: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        keys = ROOT_KEYS if user == "root" else (user, SECRETS[user])
        environment = self.environment(*keys, port or self.ports[0])
        return subprocess.run(
            [self.client, *arguments],
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.mark.timeout(300)
def test_real_servers_are_provisioned_keep_tenants_apart_and_survive_one_of_them(tmp_path: Path) -> None:
    with real_servers(tmp_path) as (servers, client):
        real = Real(client, tmp_path, servers.ports)
        for _ in range(2):
            done = real.provision([SHOP, STAGING])
            assert done.returncode == 0, done.stderr
        assert not any(secret in done.stdout + done.stderr for secret in SECRETS.values())

        def put(user: str, bucket: str, port: int | None = None) -> bool:
            return real.ask(user, "pipe", f"store/{bucket}/key", text="content", port=port).returncode == 0

        def reads(user: str, bucket: str, port: int | None = None) -> bool:
            return real.ask(user, "cat", f"store/{bucket}/key", port=port).stdout == "content"

        assert put("shop-production", "shop-production-media")
        assert reads("shop-production", "shop-production-media")
        assert put("shop-staging", "shop-staging-media")
        assert not reads("shop-staging", "shop-production-media")
        assert not put("shop-staging", "shop-production-media")
        assert real.ask("shop-staging", "ls", "store/shop-production-media").returncode != 0
        assert real.ask("shop-staging", "admin", "user", "list", "store").returncode != 0
        assert real.ask("shop-staging", "mb", "store/anything-else").returncode != 0
        assert real.ask("shop-staging", "version", "suspend", "store/shop-staging-media").returncode != 0
        assert "enabled" in real.ask("root", "version", "info", "store/shop-production-media").stdout
        assert "un-versioned" in real.ask("root", "version", "info", "store/shop-production-raw").stdout
        rules = json.loads(real.ask("root", "ilm", "rule", "export", "store/shop-production-media").stdout)
        assert [rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules["Rules"]] == [30]

        assert real.ask("shop-production", "rm", "store/shop-production-media/key").returncode == 0
        versions = real.ask("shop-production", "ls", "--versions", "store/shop-production-media").stdout
        assert len(versions.splitlines()) == 2, "what was deleted can be brought back"
        removal = real.ask("shop-production", "rm", "--versions", "--force", "store/shop-production-media/key")
        assert removal.returncode != 0, "and its versions cannot be destroyed"

        servers.processes[2].kill()
        servers.processes[2].wait(timeout=30)
        assert reads("shop-staging", "shop-staging-media"), "two of three servers read"
        assert put("shop-staging", "shop-staging-media", servers.ports[1]), "and write"
        done = real.provision([STAGING])
        assert done.returncode == 0, done.stderr
        assert not reads("shop-production", "shop-production-raw")
        assert real.ask("root", "ls", "store/shop-production-media").returncode == 0, "no bucket went with its user"
        assert put("shop-staging", "shop-staging-media")
