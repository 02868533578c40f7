"""A region's machines with real etcd and real API servers: what forms, what is refused, and what survives."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from components.cluster import tokens
from sandbox.clouds import Loopback
from sandbox.machines import MachineRoom
from sandbox.machines.api import Api, ApiError
from sandbox.machines.certificates import Authority
from sandbox.machines.etcd import EtcdError
from sandbox.machines.facts import ServerFacts
from sandbox.world import Clock

from .conftest import Running, tools
from .region import Region, edited

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

Object = dict[str, Any]


@dataclass
class Formed:
    """Three servers, an agent and a load balancer; asked as an administrator, through the load balancer."""

    running: Running
    region: Region
    servers: list[ServerFacts]
    agent: ServerFacts
    directory: Path
    api: Api

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        return self.running.wait(self.api.ask(method, path, body, kind))

    def status(self, path: str, method: str = "GET", body: Any = None) -> int:
        try:
            self.ask(method, path, body)
        except ApiError as error:
            return error.status
        return 200

    def nodes(self) -> dict[str, Object]:
        try:
            return {node["metadata"]["name"]: node for node in self.ask("GET", "/api/v1/nodes")["items"]}
        except ApiError:
            return {}

    def conditions(self, name: str) -> dict[str, str]:
        node = self.nodes().get(name, {})
        return {each["type"]: each["status"] for each in node.get("status", {}).get("conditions", [])}

    def until_condition(self, name: str, type: str, status: str, seconds: float = 60) -> None:
        self.running.until(lambda: self.conditions(name).get(type) == status, seconds, lambda: self.conditions(name))

    def healthy(self) -> int:
        health = self.running.room.health(self.region.balancer().id)
        return list(health.values()).count("healthy")

    def disk(self, server: ServerFacts) -> Path:
        return self.directory / "machines" / str(server.id) / "root"


@pytest.fixture(scope="module")
def formed(loopback: Loopback, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Formed]:
    directory = tmp_path_factory.mktemp("room")
    programs = tools()
    running = Running(lambda: MachineRoom(directory, Clock(), programs, octet=loopback.octet))
    region = Region(loopback.octet, tls_names=(f"127.{loopback.octet}.1.200",))
    try:
        servers = [region.server(number) for number in (1, 2, 3)]
        agent = region.agent(1, labels={"team": "red"}, taints=("only=red:NoSchedule",), public=True)
        # All at once, as a cloud makes them: the machines find their order by themselves.
        running.tell("balance", region.balancer(*servers))
        for machine in (*reversed(servers), agent):
            running.tell("power_on", machine)
        for machine in (*servers, agent):
            running.until_console(machine.id, "is a Node", 120)
        api = running.call(lambda: administrator(region, directory))
        yield Formed(running, region, servers, agent, directory, api)
        running.wait(api.close())
    finally:
        running.close()


def administrator(region: Region, directory: Path) -> Api:
    own = directory / "administrator"
    own.mkdir()
    client = region.authorities["client-ca"]
    (own / "ca.crt").write_text(client.pem + region.root.pem)
    (own / "ca.key").write_text(client.key_pem)
    (own / "root.crt").write_text(region.root.pem)
    Authority(own / "ca").issue(own / "admin", "admin", organization="system:masters")
    return Api(f"https://127.{region.octet}.1.200:6443", own / "root.crt", own / "admin")


def running_processes(directory: Path) -> list[str]:
    """Command lines of processes that work below a directory."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(directory) in command:
                found.append(command)
    return found


# -- what forms


def test_one_server_begins_and_the_others_join_and_vote(formed: Formed) -> None:
    consoles = [formed.running.room.console(server.id) for server in formed.servers]
    assert ["a new cluster begins" in console for console in consoles] == [True, False, False]
    assert ["as a learner" in console for console in consoles] == [False, True, True]
    for server in formed.servers:
        formed.until_condition(server.name, "EtcdIsVoter", "True")
        formed.until_condition(server.name, "Ready", "True")
    assert formed.healthy() == 3


def test_etcd_takes_one_learner_at_a_time(formed: Formed) -> None:
    """So servers join in turn, whatever the order in which they are started."""
    member = formed.running.room._clusters[0].live[0].member

    def add(peer: str) -> str:
        try:
            formed.running.wait(member.add_learner(peer))
        except EtcdError as error:
            return str(error)
        return ""

    # A member that has just joined counts as unhealthy for some seconds.
    formed.running.until(lambda: add("https://127.0.0.2:2380") == "")
    try:
        formed.running.until(lambda: "too many learner members in cluster" in add("https://127.0.0.3:2380"))
    finally:
        members = formed.running.wait(member.members())
        for learner in [each["ID"] for each in members if each.get("isLearner")]:
            formed.running.wait(member.remove(learner))


def test_agents_appear_with_their_labels_and_taints_and_are_initialised(formed: Formed) -> None:
    name = formed.agent.name
    formed.running.until(
        lambda: [taint["key"] for taint in formed.nodes()[name]["spec"].get("taints", [])] == ["only"],
        why=lambda: formed.nodes()[name]["spec"],
    )
    node = formed.nodes()[name]
    assert node["spec"]["taints"] == [{"key": "only", "value": "red", "effect": "NoSchedule"}]
    assert node["spec"]["providerID"] == f"hcloud://{formed.agent.id}"
    assert (
        node["metadata"]["labels"].items()
        >= {
            "team": "red",
            "hetzner-platform/pool": "general",
            "topology.kubernetes.io/region": "fsn1",
            "topology.kubernetes.io/zone": "fsn1-dc14",
            "node.kubernetes.io/instance-type": "cx43",
        }.items()
    )
    assert {each["type"]: each["address"] for each in node["status"]["addresses"]} == {
        "Hostname": name,
        "InternalIP": "10.1.2.1",
        "ExternalIP": formed.agent.public_ipv4,
    }
    assert "node-role.kubernetes.io/control-plane" not in node["metadata"]["labels"]
    assert "node-role.kubernetes.io/control-plane" in formed.nodes()["fsn1-server-1"]["metadata"]["labels"]


def test_a_dedicated_machine_joins_with_its_bundle(formed: Formed) -> None:
    number = formed.running.tell("join_robot", *formed.region.robot(2))
    formed.running.until_console(number, "fsn1-gpu-2 is a Node")
    formed.running.until(
        lambda: formed.nodes()["fsn1-gpu-2"]["spec"].get("providerID") == f"hrobot://{-number}",
        why=lambda: formed.nodes()["fsn1-gpu-2"]["spec"],
    )
    formed.running.tell("delete", number)
    formed.running.until(lambda: "fsn1-gpu-2" not in formed.nodes())


# -- the API servers run with what cloud-init wrote


def test_settings_of_the_api_servers_are_really_in_force(formed: Formed) -> None:
    restricted = formed.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "strict"}})
    assert restricted["metadata"]["name"] == "strict"
    root = {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": True}}]}
    formed.running.until(lambda: formed.status("/api/v1/namespaces/strict/serviceaccounts/default") == 200)
    pod = {"metadata": {"name": "root"}, "spec": root}
    with pytest.raises(ApiError, match='violates PodSecurity "restricted:latest"') as refused:
        formed.ask("POST", "/api/v1/namespaces/strict/pods", pod)
    assert refused.value.status == 403
    logs = [formed.disk(server) / "var/lib/rancher/k3s/server/logs/audit.log" for server in formed.servers]
    assert any('"strict"' in log.read_text() for log in logs if log.exists())


def test_the_anonymous_see_health_and_nothing_else(formed: Formed) -> None:
    async def ask(path: str) -> int:
        import aiohttp

        from sandbox.machines.checks import _unverified

        async with aiohttp.ClientSession() as session, session.get(formed.api.url + path, ssl=_unverified()) as answer:
            return answer.status

    statuses = {path: formed.running.wait(ask(path)) for path in ("/readyz", "/livez", "/version", "/api/v1/nodes")}
    assert statuses == {"/readyz": 200, "/livez": 200, "/version": 401, "/api/v1/nodes": 401}


def test_secrets_are_encrypted_in_etcd(formed: Formed) -> None:
    value = base64.b64encode(b"nobody-reads-this-in-a-snapshot").decode()
    body = {"metadata": {"name": "hidden"}, "data": {"value": value}}
    formed.ask("POST", "/api/v1/namespaces/default/secrets", body)
    assert formed.ask("GET", "/api/v1/namespaces/default/secrets/hidden")["data"] == {"value": value}
    data = formed.disk(formed.servers[0]) / "var/lib/rancher/k3s/server/db/etcd/member"
    stored = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert b"/registry/secrets/default/hidden" in stored
    assert b"k8s:enc:secretbox:v1" in stored
    assert b"nobody-reads-this-in-a-snapshot" not in stored


def test_nothing_secret_is_an_argument_or_readable_for_others(formed: Formed) -> None:
    commands = "\n".join(running_processes(formed.directory))
    assert commands.count("kube-apiserver ") == 3
    assert commands.count("kube-controller-manager ") == 1
    assert commands.count("kube-scheduler ") == 1
    assert "open-this" not in commands
    assert (formed.directory / "machines" / str(formed.servers[0].id)).stat().st_mode & 0o077 == 0
    logs = list(formed.directory.glob("machines/*/logs/*.log"))
    assert len(logs) == 8
    assert not [log for log in logs if log.stat().st_mode & 0o077]


# -- what is refused


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda region: ("agents-open-this", "wrong"), "/v1-k3s/config: 401 Unauthorized"),
        (lambda region: (region.secrets.agent_token, region.secrets.server_token), "/v1-k3s/config: 401 Unauthorized"),
        (
            lambda region: (tokens.ca_hash(region.root.pem), "0" * 64),
            "token CA hash does not match the Cluster CA certificate hash",
        ),
    ],
    ids=["a wrong password", "the servers' token", "a wrong hash"],
)
def test_an_agent_with_a_wrong_token_stays_out(
    formed: Formed, change: Callable[[Region], tuple[str, str]], reason: str
) -> None:
    agent = edited(formed.region.agent(9), *change(formed.region))
    formed.running.tell("power_on", agent)
    try:
        console = formed.running.until_console(agent.id, reason)
        assert "level=fatal" in console
        assert agent.name not in formed.nodes()
    finally:
        formed.running.tell("delete", agent.id)


def test_an_agent_cannot_give_itself_a_role(formed: Formed) -> None:
    """Nodes register under their own identity, so that admission holds for them."""
    role = {"node-role.kubernetes.io/control-plane": "true"}
    agent = formed.region.agent(8, labels=role)
    formed.running.tell("power_on", agent)
    try:
        formed.running.until_console(
            agent.id, "is not allowed to set the following labels: node-role.kubernetes.io/control-plane"
        )
        assert agent.name not in formed.nodes()
    finally:
        formed.running.tell("delete", agent.id)


def test_a_server_with_the_agents_token_stays_out(formed: Formed) -> None:
    region = replace(formed.region, servers=(1, 2, 3, 4))
    server = edited(region.server(4), region.secrets.server_token, region.secrets.agent_token)
    formed.running.tell("power_on", server)
    try:
        formed.running.until_console(server.id, "/v1-k3s/server-bootstrap: 401 Unauthorized")
        assert server.name not in formed.nodes()
    finally:
        formed.running.tell("delete", server.id)


def test_a_server_with_other_settings_stays_out(formed: Formed) -> None:
    region = replace(formed.region, servers=(1, 2, 3, 4))
    server = edited(region.server(4), "service-cidr: 10.43.0.0/16", "service-cidr: 10.99.0.0/16")
    formed.running.tell("power_on", server)
    try:
        formed.running.until_console(server.id, "critical configuration value mismatch between servers: service-cidr")
    finally:
        formed.running.tell("delete", server.id)


# -- what happens later


def test_a_server_that_is_off_is_missed_and_comes_back_with_its_data(formed: Formed) -> None:
    server = formed.servers[2]
    formed.running.tell("power_off", server.id)
    assert not running_processes(formed.disk(server))
    formed.until_condition(server.name, "EtcdIsVoter", "False")
    formed.until_condition(server.name, "Ready", "Unknown")
    formed.running.until(lambda: formed.healthy() == 2)
    formed.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "made-meanwhile"}})
    joined = formed.running.room.console(server.id).count("as a learner")
    formed.running.tell("power_on", server)
    formed.until_condition(server.name, "EtcdIsVoter", "True")
    formed.until_condition(server.name, "Ready", "True")
    formed.running.until(lambda: formed.healthy() == 3)
    assert formed.running.room.console(server.id).count("as a learner") == joined


def test_an_old_name_with_an_empty_disk_is_refused_until_its_node_is_gone(formed: Formed) -> None:
    server = formed.servers[1]
    formed.running.tell("wipe", server)
    formed.running.until_console(server.id, "duplicate node name found, please use a unique name for this node")
    formed.ask("DELETE", f"/api/v1/nodes/{server.name}")
    formed.running.until(lambda: formed.running.room.console(server.id).count(f"{server.name} is a Node") == 2)
    formed.until_condition(server.name, "EtcdIsVoter", "True")
    formed.running.until(lambda: formed.healthy() == 3)


def test_an_agents_name_belongs_to_its_disk_until_its_node_is_gone(formed: Formed) -> None:
    formed.running.tell("wipe", formed.agent)
    formed.running.until_console(formed.agent.id, "Node password rejected, duplicate hostname")
    formed.ask("DELETE", f"/api/v1/nodes/{formed.agent.name}")
    formed.running.until(
        lambda: formed.running.room.console(formed.agent.id).count(f"{formed.agent.name} is a Node") == 2
    )
    formed.until_condition(formed.agent.name, "Ready", "True")


def test_the_first_server_is_replaced_without_a_second_cluster(formed: Formed) -> None:
    """Its successor has the CAs and could begin a cluster, but somebody answers: it joins."""
    first = formed.servers[0]
    formed.running.tell("delete", first.id)
    assert not running_processes(formed.disk(first))
    assert not formed.disk(first).exists()
    formed.running.until(lambda: first.name not in formed.nodes(), why=formed.nodes)
    successor = formed.region.server(1, generation=2)
    formed.running.tell("balance", formed.region.balancer(successor, *formed.servers[1:]))
    formed.running.tell("power_on", successor)
    formed.running.until_console(successor.id, f"{successor.name} is a Node")
    formed.until_condition(successor.name, "EtcdIsVoter", "True")
    assert "a new cluster begins" not in formed.running.room.console(successor.id)
    assert formed.status("/api/v1/namespaces/made-meanwhile") == 200
    formed.servers[0] = successor


def test_deletes_are_finished_by_the_controller_manager(formed: Formed) -> None:
    formed.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "passing"}})
    formed.ask("DELETE", "/api/v1/namespaces/passing")
    formed.running.until(lambda: formed.status("/api/v1/namespaces/passing") == 404)


def test_a_room_that_closes_leaves_no_process(loopback: Loopback, tmp_path: Path) -> None:
    programs = tools()
    running = Running(lambda: MachineRoom(tmp_path, Clock(), programs, octet=loopback.octet))
    region = Region(loopback.octet, index=2, name="nbg1", network=8)
    server = region.server(1)
    try:
        running.tell("power_on", server)
        running.until_console(server.id, "is a Node", 120)
        assert len(running_processes(tmp_path)) >= 2
    finally:
        running.close()
    assert running_processes(tmp_path) == []
    assert (tmp_path / "machines" / str(server.id)).exists()
