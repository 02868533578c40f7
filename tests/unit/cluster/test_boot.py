"""boot.sh itself, run in a scratch root with a stubbed network: who initialises, who joins, what is refused."""

import hashlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

SCRIPT = Path(__file__).resolve().parents[3] / "components/cluster/files/boot.sh"
K3S = '#!/bin/sh\necho "$@" >> "$LOG/k3s"\nexit ${K3S_EXIT:-0}\n'
SUM = hashlib.sha256(K3S.encode()).hexdigest()

# Addresses in $READY answer 200, those in $ALIVE answer something else; k3s is downloaded from a file.
CURL = """#!/bin/sh
fail=no out=/dev/null url= ca=none
while [ $# -gt 0 ]; do
  case "$1" in
    --fail) fail=yes ;;
    --output) out=$2; shift ;;
    --cacert) ca=$2; shift ;;
    --connect-timeout|--max-time|--retry|--retry-delay) shift ;;
    -*) ;;
    *) url=$1 ;;
  esac
  shift
done
case "$url" in
  */hostname) echo fsn1-burst-abc ;;
  */instance-id) echo 4242 ;;
  *:6443/*)
    host=${url#https://}; host=${host%%:*}
    # Only a certificate of our own CA is believed.
    [ "$ca" = "$PLATFORM_ROOT/etc/platform/root-ca.crt" ] || exit 60
    echo "$host" >> "$LOG/asked"
    case " $READY " in *" $host "*) exit 0 ;; esac
    case " $ALIVE " in *" $host "*) [ "$fail" = no ] && exit 0; exit 22 ;; esac
    exit 7 ;;
  *) echo "$url" >> "$LOG/downloads"; cp "$K3S_SOURCE" "$out" ;;
esac
"""
STUBS = {
    "curl": CURL,
    "ip": '#!/bin/sh\nfor a in $ADDRESSES; do echo "3: enp7s0 inet $a/32 scope global"; done\n',
    "sleep": "#!/bin/sh\n",
    "uname": "#!/bin/sh\necho ${MACHINE:-x86_64}\n",
    "systemctl": '#!/bin/sh\necho "$@" >> "$LOG/systemctl"\n',
}


@dataclass
class Boot:
    """One machine's boot."""

    root: Path
    environment: dict[str, str]
    output: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    def run(self, **environment: str) -> int:
        """Run the script; its exit code."""
        env = self.root / "etc/platform/boot.env"
        env.write_text("".join(f"{key}='{value}'\n" for key, value in self.settings.items()))
        done = subprocess.run(
            ["sh", str(SCRIPT)],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.output = done.stdout + done.stderr
        return done.returncode

    def config(self, name: str) -> dict[str, object]:
        """A drop-in of k3s's configuration."""
        path = self.root / "etc/rancher/k3s/config.yaml.d" / name
        return yaml.safe_load(path.read_text()) if path.exists() else {}

    def log(self, name: str) -> str:
        """What a stub was called with."""
        path = self.root / "log" / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    for directory in ("bin", "log", "etc/platform", "usr/local/bin", "var/lib/rancher/k3s/server"):
        (tmp_path / directory).mkdir(parents=True)
    for name, content in STUBS.items():
        (tmp_path / "bin" / name).write_text(content)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "k3s-source").write_text(K3S)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PLATFORM_ROOT": str(tmp_path),
        "PLATFORM_ATTEMPTS": "2",
        "LOG": str(tmp_path / "log"),
        "K3S_SOURCE": str(tmp_path / "k3s-source"),
        "ADDRESSES": "10.1.1.2 192.0.2.7",
        "READY": "",
        "ALIVE": "",
    }
    settings = {
        "ROLE": "server",
        "NODE_NAME": "fsn1-server-2",
        "PROVIDER": "hcloud",
        "PRIVATE_ADDRESS": "10.1.1.2",
        "PRIVATE_PREFIX": "",
        "API_ADDRESS": "10.0.0.4",
        "INITIALIZE": "no",
        "PEERS": "10.1.1.1 10.1.1.3",
        "PREDECESSORS": "10.1.1.1",
        "RESTORE_FROM": "",
        "K3S_URL": "https://downloads.example.com",
        "K3S_SHA256_AMD64": SUM,
        "K3S_SHA256_ARM64": SUM,
    }
    return Boot(tmp_path, environment, settings=settings)


def test_a_cluster_is_initialised_when_nobody_answers(boot: Boot) -> None:
    boot.settings |= {"INITIALIZE": "yes", "PREDECESSORS": ""}
    assert boot.run() == 0, boot.output
    assert boot.config("20-join.yaml") == {"cluster-init": True}
    assert boot.config("10-machine.yaml") == {
        "node-ip": "10.1.1.2",
        "advertise-address": "10.1.1.2",
        "node-name": "fsn1-server-2",
        "kubelet-arg+": ["provider-id=hcloud://4242"],
    }
    assert "enable --now --no-block k3s-server.service" in boot.log("systemctl")


def test_the_initialising_server_joins_when_a_peer_serves(boot: Boot) -> None:
    boot.settings |= {"INITIALIZE": "yes", "PREDECESSORS": ""}
    assert boot.run(READY="10.1.1.3") == 0, boot.output
    assert boot.config("20-join.yaml") == {"server": "https://10.1.1.3:6443"}


def test_a_server_joins_through_the_load_balancer_when_no_peer_serves(boot: Boot) -> None:
    assert boot.run(READY="10.0.0.4") == 0, boot.output
    assert boot.config("20-join.yaml") == {"server": "https://10.0.0.4:6443"}


def test_a_peer_that_is_not_ready_still_proves_that_the_cluster_exists(boot: Boot) -> None:
    """With quorum lost nobody is ready; a second cluster must not begin then."""
    boot.settings |= {"INITIALIZE": "yes", "PREDECESSORS": ""}
    assert boot.run(ALIVE="10.1.1.3") == 1
    assert boot.config("20-join.yaml") == {}
    assert "10.1.1.3 answers, but no server serves the cluster" in boot.output
    assert boot.log("systemctl") == ""


def test_a_server_never_initialises_without_leave(boot: Boot) -> None:
    assert boot.run() == 1
    assert boot.config("20-join.yaml") == {}
    assert "neither 10.1.1.1 10.1.1.3 nor the API load balancer 10.0.0.4 serves the cluster" in boot.output


def test_a_failed_run_can_be_repeated(boot: Boot) -> None:
    assert boot.run() == 1
    assert boot.run(READY="10.1.1.1 10.0.0.4") == 0, boot.output
    assert boot.config("20-join.yaml") == {"server": "https://10.1.1.1:6443"}
    assert boot.log("downloads").count("k3s") == 1


def test_a_server_goes_on_without_a_predecessor_that_is_gone(boot: Boot) -> None:
    assert boot.run(READY="10.1.1.3 10.0.0.4") == 0, boot.output
    assert "10.1.1.1 does not answer: going on without it" in boot.output


def test_a_server_asks_its_predecessor_before_it_joins(boot: Boot) -> None:
    assert boot.run(READY="10.1.1.1 10.0.0.4") == 0, boot.output
    assert boot.log("asked").split() == ["10.0.0.4", "10.1.1.1", "10.1.1.1"]
    assert "going on without" not in boot.output


def test_a_member_decides_nothing_again(boot: Boot) -> None:
    (boot.root / "var/lib/rancher/k3s/server/db/etcd").mkdir(parents=True)
    boot.settings |= {"INITIALIZE": "yes"}
    assert boot.run() == 0, boot.output
    assert boot.config("20-join.yaml") == {}


def test_a_restore_takes_its_credentials_from_a_file_that_it_removes(boot: Boot) -> None:
    (boot.root / "etc/platform/restore.yaml").write_text("etcd-s3-secret-key: s3cr3t\n")
    boot.settings |= {"RESTORE_FROM": "snapshot-1"}
    assert boot.run() == 0, boot.output
    assert boot.log("k3s").strip() == "server --cluster-reset --cluster-reset-restore-path=snapshot-1"
    assert boot.config("30-restore.yaml") == {}
    assert not (boot.root / "etc/platform/restore.yaml").exists()
    assert boot.config("20-join.yaml") == {"cluster-init": True}


def test_a_failed_restore_is_no_membership_and_leaves_no_credentials_to_k3s(boot: Boot) -> None:
    (boot.root / "etc/platform/restore.yaml").write_text("etcd-s3-secret-key: s3cr3t\n")
    (boot.root / "var/lib/rancher/k3s/server/db/etcd").mkdir(parents=True)
    boot.settings |= {"RESTORE_FROM": "snapshot-1"}
    assert boot.run(K3S_EXIT="1") == 1
    assert "the snapshot snapshot-1 could not be restored" in boot.output
    assert boot.config("30-restore.yaml") == {}
    assert boot.log("systemctl") == ""
    assert boot.run() == 0, boot.output
    assert boot.log("k3s").count("--cluster-reset-restore-path=snapshot-1") == 2


def test_a_restore_does_not_join_a_peer_that_is_about_to_go(boot: Boot) -> None:
    (boot.root / "etc/platform/restore.yaml").write_text("etcd-s3-secret-key: s3cr3t\n")
    boot.settings |= {"RESTORE_FROM": "snapshot-1"}
    assert boot.run(READY="10.1.1.3 10.0.0.4") == 0, boot.output
    assert boot.config("20-join.yaml") == {"cluster-init": True}


def test_a_restored_server_is_a_member_and_restores_nothing_again(boot: Boot) -> None:
    (boot.root / "var/lib/rancher/k3s/server/db/etcd").mkdir(parents=True)
    boot.settings |= {"RESTORE_FROM": "snapshot-1"}
    assert boot.run() == 0, boot.output
    assert boot.log("k3s") == ""
    assert "this server is a member already" in boot.output


def test_a_k3s_with_another_checksum_is_not_installed(boot: Boot) -> None:
    boot.settings |= {"K3S_SHA256_AMD64": "0" * 64}
    assert boot.run(READY="10.0.0.4") == 1
    assert "has another checksum" in boot.output
    assert not (boot.root / "usr/local/bin/k3s").exists()


def test_an_unknown_architecture_is_told(boot: Boot) -> None:
    assert boot.run(MACHINE="riscv64") == 1
    assert "no k3s for the architecture riscv64" in boot.output


def test_a_machine_without_its_private_address_says_so(boot: Boot) -> None:
    assert boot.run(ADDRESSES="192.0.2.7") == 1
    assert "no interface has 10.1.1.2: is the machine attached to the Network?" in boot.output


def test_an_agent_joins_through_the_load_balancer(boot: Boot) -> None:
    boot.settings |= {"ROLE": "agent", "PRIVATE_ADDRESS": "10.1.2.4", "NODE_NAME": "fsn1-general-4"}
    assert boot.run(READY="10.0.0.4", ADDRESSES="10.1.2.4") == 0, boot.output
    assert boot.config("20-join.yaml") == {"server": "https://10.0.0.4:6443"}
    assert "advertise-address" not in boot.config("10-machine.yaml")
    assert "k3s-agent.service" in boot.log("systemctl")


def test_an_autoscaled_machine_finds_its_address_and_name(boot: Boot) -> None:
    boot.settings |= {
        "ROLE": "agent",
        "PRIVATE_ADDRESS": "",
        "PRIVATE_PREFIX": "10.1.4.",
        "NODE_NAME": "from-metadata",
    }
    assert boot.run(READY="10.0.0.4", ADDRESSES="192.0.2.7 10.1.4.9") == 0, boot.output
    assert boot.config("10-machine.yaml")["node-ip"] == "10.1.4.9"
    assert boot.config("10-machine.yaml")["node-name"] == "fsn1-burst-abc"


def test_a_dedicated_machine_has_no_cloud_id(boot: Boot) -> None:
    boot.settings |= {"ROLE": "agent", "PROVIDER": "robot"}
    assert boot.run(READY="10.0.0.4") == 0, boot.output
    assert "kubelet-arg+" not in boot.config("10-machine.yaml")
