"""The metadata service is for root alone on every machine: by the rules themselves, loaded into a kernel of this machine."""

import configparser
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.unit.cluster.test_cloud_init import KINDS, files, yaml

RULES = Path(__file__).resolve().parents[3] / "components/cluster/files/metadata.nft"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

SERVICE = """
import selectors, socket
waiting = selectors.DefaultSelector()
zone = socket.if_nametoindex("eth0")
for family, address in (socket.AF_INET, ("169.254.169.254", 80)), (socket.AF_INET6, ("fe80::a9fe:a9fe", 80, 0, zone)):
    listening = socket.socket(family)
    listening.bind(address)
    listening.listen()
    waiting.register(listening, selectors.EVENT_READ)
while True:
    for ready, _ in waiting.select():
        connection, _ = ready.fileobj.accept()
        connection.sendall(b"user_data")
        connection.close()
"""

ASK = """
import os, socket, sys
device, user = sys.argv[1], int(sys.argv[2])
addresses = [(socket.AF_INET, ("169.254.169.254", 80))]
if device != "eth0":
    addresses.append((socket.AF_INET6, ("fe80::a9fe:a9fe", 80, 0, socket.if_nametoindex(device))))
os.setgid(user)
os.setuid(user)
answers = []
for family, address in addresses:
    asking = socket.socket(family)
    asking.settimeout(1)
    try:
        asking.connect(address)
        answers.append(asking.recv(100).decode())
    except OSError:
        answers.append("refused")
print(*answers)
"""

# In a network namespace of its own: `machine`, with a service behind it at the metadata address and a pod before it.
# Every address is inside; nothing of this machine's own network is touched.
SCENE = """
set -eu
ip link set lo up
for other in cloud pod; do
  unshare --net sleep 120 & eval "$other=$!"
done
until [ "$(readlink /proc/$cloud/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
until [ "$(readlink /proc/$pod/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
trap 'kill $cloud $pod $service 2> /dev/null' EXIT
in_cloud() { nsenter --net=/proc/$cloud/ns/net "$@"; }
in_pod() { nsenter --net=/proc/$pod/ns/net "$@"; }
ip link add to-cloud type veth peer name eth0 netns $cloud
ip link add to-pod type veth peer name eth0 netns $pod
ip address add 172.31.1.2/24 dev to-cloud
ip -6 address add fe80::2/64 dev to-cloud nodad
ip link set to-cloud up
ip route add 169.254.169.254 dev to-cloud
in_cloud ip link set lo up
in_cloud ip address add 172.31.1.1/24 dev eth0
in_cloud ip address add 169.254.169.254/32 dev eth0
in_cloud ip -6 address add fe80::a9fe:a9fe/64 dev eth0 nodad
in_cloud ip link set eth0 up
in_cloud ip route add default via 172.31.1.2
ip address add 10.42.0.1/24 dev to-pod
ip link set to-pod up
in_pod ip address add 10.42.0.2/24 dev eth0
in_pod ip link set eth0 up
in_pod ip route add default via 10.42.0.1
echo 1 > /proc/sys/net/ipv4/ip_forward
in_cloud "$PYTHON" -c "$SERVICE" & service=$!
until "$PYTHON" -c "$ASK" to-cloud 0 | grep -q "user_data user_data"; do :; done
ask() {
  echo "$1 root $("$PYTHON" -c "$ASK" to-cloud 0)"
  echo "$1 nobody $("$PYTHON" -c "$ASK" to-cloud 65534)"
  echo "$1 pod $(in_pod "$PYTHON" -c "$ASK" eth0 0)"
}
ask before
"$NFT" -f "$RULES"
# Again, as each start of k3s does.
"$NFT" -f "$RULES"
ask after
"$NFT" list ruleset | grep -c drop | sed 's/^/rules /'
"""


def nft() -> str:
    found = shutil.which("nft", path=PATH)
    if found is None:
        pytest.skip("nft is not on this machine (Debian's package nftables)")
    return found


def in_a_network_of_its_own(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that sees, and changes, no network but its own."""
    unshare = shutil.which("unshare", path=PATH)
    if unshare is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and unshare")
    if subprocess.run([unshare, "--net", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("network namespaces cannot be made on this machine")
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine's kernel has no IPv6")
    return subprocess.run(
        [unshare, "--net", "--mount-proc", "--fork", "--kill-child", "--pid", *command],
        env={**os.environ, "PATH": PATH, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_machine_loads_the_rules_before_each_start_of_k3s(kind: str) -> None:
    """Or k3s does not start, and no pod runs: the line has no minus."""
    (unit,) = (content for path, content in files(kind).items() if "/k3s-" in path and path.endswith(".service"))
    first = next(line for line in unit.splitlines() if line.startswith("ExecStart"))
    assert first == "ExecStartPre=/usr/sbin/nft -f /etc/platform/metadata.nft"
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.read_string(unit)
    assert parser["Service"]["Restart"] == "always"  # A package that came late is found at a later start.
    assert files(kind)["/etc/platform/metadata.nft"] == RULES.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_machine_has_nft_before_k3s_is_started(kind: str) -> None:
    """With its other packages; a server, which has none, only where its image lacks it."""
    document = yaml.safe_load(KINDS[kind]())
    if kind.startswith("server"):
        assert not {"packages", "package_update"} & document.keys()
        shell, option, script = document["runcmd"][1]  # What starts k3s comes later.
        assert (shell, option) == ("sh", "-c")
        assert installed(script, has_nft=True) == []
        assert installed(script, has_nft=False) == ["update", "install --yes nftables"]
    else:
        assert document["packages"][0] == "nftables"
        assert document["package_update"] is True


def installed(script: str, *, has_nft: bool) -> list[str]:
    """What a shell asks apt for on a machine with, or without, nft."""
    with tempfile.TemporaryDirectory() as directory:
        for name, text in {"apt-get": 'echo "$@"', **({"nft": ":"} if has_nft else {})}.items():
            stub = Path(directory) / name
            stub.write_text(f"#!/bin/sh\n{text}\n")
            stub.chmod(0o755)
        done = subprocess.run(
            ["/bin/sh", "-c", script], env={"PATH": directory}, capture_output=True, text=True, check=True
        )
    return done.stdout.splitlines()


def test_the_rules_touch_no_table_but_their_own() -> None:
    """Nothing else on a cloud machine is filtered by them: the dedicated machines' input chain stays theirs."""
    tables = [line for line in RULES.read_text().splitlines() if "table" in line and not line.startswith("#")]
    assert tables == ["table inet metadata", "delete table inet metadata", "table inet metadata {"]
    assert RULES.read_text().count("policy accept") == 2
    assert "input" not in RULES.read_text()
    assert "flush" not in RULES.read_text()


def test_nft_takes_the_rules() -> None:
    checked = in_a_network_of_its_own(nft(), "--check", "--file", str(RULES))
    assert (checked.returncode, checked.stderr) == (0, "")


def test_nft_notices_a_mistake(tmp_path: Path) -> None:
    bad = tmp_path / "bad.nft"
    bad.write_text(RULES.read_text().replace("skuid", "uid"))
    assert in_a_network_of_its_own(nft(), "--check", "--file", str(bad)).returncode != 0


def test_root_reaches_the_metadata_service_and_neither_pods_nor_others_do() -> None:
    """A kernel's own answer, by both addresses; a pod has no way to the second. Before the rules all of them reach it."""
    done = in_a_network_of_its_own(
        "sh", "-c", SCENE, NFT=nft(), RULES=str(RULES), PYTHON=sys.executable, SERVICE=SERVICE, ASK=ASK
    )
    if "Operation not permitted" in done.stderr or "not supported" in done.stderr:
        pytest.skip(f"virtual devices cannot be made on this machine: {done.stderr.strip()}")
    assert done.stdout.splitlines() == [
        "before root user_data user_data",
        "before nobody user_data user_data",
        "before pod user_data",
        "after root user_data user_data",
        "after nobody refused refused",
        "after pod refused",
        "rules 4",
    ], done.stderr
