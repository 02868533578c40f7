"""Figures of the sandbox: how long the platform takes, how fast the emulator answers, how often the provider asks."""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sandbox import inprocess
from sandbox.clouds import Options, ThreadedClouds
from sandbox.deployment import PROVIDER_PREFIX
from sandbox.inprocess.providers import open_provider
from sandbox.plugins.package import Surroundings, Target
from sandbox.plugins.schema import package_of
from sandbox.plugins.values import plain
from sandbox.scratch import read
from sandbox.toolchain import TOOLS, find_tool
from stacks.program import main

from .registration import shared_outputs, with_agents

ROOT = Path(__file__).resolve().parents[1]
Report = Callable[[str, str, str], None]

_SKIPPED = frozenset({"kubernetes"})


def report(tell: Report) -> None:
    """Print every figure of the sandbox that this machine can measure."""
    _requests_a_second(tell)
    _sixty_machines(tell)
    up, down, _ = _platform("inprocess")
    tell("make up + make down of the three stacks, in-process", f"{up:.0f} + {down:.0f} s", "25 s")
    if missing := [name for name in TOOLS if find_tool(name) is None]:
        print(f"skipped: make up and make down on the real engine; missing: {', '.join(missing)} (`make toolchain`)")
        return
    up, down, megabytes = _platform("pulumi")
    tell("make up of the three stacks, real engine, tools built", f"{up:.0f} s", "120 s")
    tell("  make down after it", f"{down:.0f} s", "-")
    tell("  memory of the sandbox with both regions up (RSS of all its processes)", f"{megabytes:.0f} MB", "4096 MB")


def _platform(engine: str) -> tuple[float, float, float]:
    """Seconds up, seconds down, megabytes in between."""
    with tempfile.TemporaryDirectory(prefix="hetzner-platform-bench-") as directory:
        environment = os.environ | {"SANDBOX_DIRECTORY": directory}

        def run(*arguments: str) -> float:
            start = time.perf_counter()
            command = [sys.executable, "-m", "sandbox", *arguments]
            subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
            return time.perf_counter() - start

        up = run("up", "--engine", engine)
        megabytes = _resident(json.loads((Path(directory) / "access.json").read_text())["pid"])
        return up, run("down"), megabytes


def _resident(root: int) -> float:
    """Megabytes of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    sizes: dict[int, float] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue  # it ended meanwhile
        pid = int(status.parent.name)
        children.setdefault(int(fields["PPid"]), []).append(pid)
        sizes[pid] = int(fields.get("VmRSS", "0 kB").split()[0]) / 1024
    found, total = [root], 0.0
    while found:
        pid = found.pop()
        total += sizes.get(pid, 0.0)
        found += children.get(pid, [])
    return total


def _requests_a_second(tell: Report) -> None:
    command = [sys.executable, "-m", "benchmarks.emulator"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port, token = server.stdout.readline().split()
        connection = http.client.HTTPConnection("127.0.0.1", int(port))

        def ask(method: str, path: str, body: dict[str, object] | None = None) -> dict[str, dict[str, int]]:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request(method, f"/v1{path}", json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status < 300, content
            return json.loads(content)

        wanted: dict[str, object] = {"name": "one", "server_type": "cx33", "image": "debian-13", "location": "fsn1"}
        one = ask("POST", "/servers", wanted)["server"]["id"]
        start = time.perf_counter()
        for _ in range(3000):
            ask("GET", f"/servers/{one}")
        gets = 3000 / (time.perf_counter() - start)
        start = time.perf_counter()
        for number in range(500):
            id = ask("POST", "/servers", {**wanted, "name": f"n{number}"})["server"]["id"]
            ask("DELETE", f"/servers/{id}")
        pairs = 500 / (time.perf_counter() - start)
        server.terminate()
    tell("emulator: GET of a server; create + delete of a server, a second", f"{gets:.0f}; {pairs:.0f}", "800; 250")


def _sixty_machines(tell: Report) -> None:
    """A region with 3 servers and 57 agents: requests to Hetzner's API, with its limit of 3,600 an hour on."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        subprocess.run(["cp", "-r", str(ROOT / "config"), str(ROOT / "Pulumi.prod.yaml"), str(root)], check=True)
        for name, edit in with_agents(57).items():
            path = root / "config" / name
            path.write_text(yaml.safe_dump(edit(yaml.safe_load(path.read_text()))))
        with ThreadedClouds(root / "machines", Options()) as clouds:
            _prepare(clouds)
            log = clouds.clouds.world.requests
            scratch = read(root, "prod").against(clouds.access)
            deployment = inprocess.run(
                lambda: main(root),
                project="hetzner-platform",
                stack="prod",
                config=scratch.texts(),
                secret_keys=set(scratch.secrets),
                stack_outputs={"organization/hetzner-platform/shared": _outputs(clouds)},
                preview=False,
                skipped=_SKIPPED,
            )
            up = log.total
            states = [state for state in deployment.states if state.type.startswith("hcloud:")]
            provider = next(state for state in deployment.states if state.type == f"{PROVIDER_PREFIX}hcloud")
            package = open_provider(provider.urn, package_of(provider.type), provider.outputs, Surroundings())[
                0
            ].package
            log.clear()
            for state in states:
                package.read(Target(state.type, ""), state.id, {}, plain(state.outputs))
            refresh = log.total
            log.clear()
            inprocess.down(inprocess.unprotect(deployment, skipped=_SKIPPED), skipped=_SKIPPED)
            tell(
                f"60 machines ({len(states)} resources): requests of up, refresh, destroy",
                f"{up}; {refresh}; {log.total}",
                "limit 3600",
            )
            tell("  of a refresh per resource", f"{refresh / len(states):.2f}", "1.5")


def _prepare(clouds: ThreadedClouds) -> None:
    """What the stack `shared` would have made."""
    from hcloud import Client  # noqa: PLC0415
    from hcloud.networks import NetworkSubnet  # noqa: PLC0415

    client = Client(clouds.access.token, api_endpoint=clouds.access.hetzner, poll_interval=0.01)
    subnet = NetworkSubnet(ip_range="10.0.0.0/24", type="cloud", network_zone="eu-central")
    client.networks.create("platform", "10.0.0.0/8", subnets=[subnet], labels={"platform": "hetzner-platform"})
    client.ssh_keys.create("example", yaml.safe_load((ROOT / "config/access.yaml").read_text())["ssh_keys"]["example"])
    for name in ("ingress", "server-1", "server-2", "server-3"):
        client.primary_ips.create("ipv4", name, location=client.locations.get_by_name("fsn1"))
    client.primary_ips.create("ipv6", "ingress-v6", location=client.locations.get_by_name("fsn1"))


def _outputs(clouds: ThreadedClouds) -> dict[str, Any]:
    from hcloud import Client  # noqa: PLC0415

    client = Client(clouds.access.token, api_endpoint=clouds.access.hetzner)
    network = client.networks.get_all()[0]
    addresses = {address.name: address for address in client.primary_ips.get_all()}
    servers = {
        str(number): {"id": addresses[f"server-{number}"].id, "address": addresses[f"server-{number}"].ip}
        for number in (1, 2, 3)
    }
    ingress = {"ipv4_id": addresses["ingress"].id, "ipv6_id": addresses["ingress-v6"].id}
    return shared_outputs() | {
        "network": {"id": network.id, "dmz_subnet_id": f"{network.id}-10.0.0.0/24"},
        "ssh_key_ids": [str(client.ssh_keys.get_all()[0].id)],
        "addresses": {"fsn1": {"ingress": ingress, "servers": servers}},
    }
