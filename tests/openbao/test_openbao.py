"""What OpenBao does with our configuration: the real servers, the real API server, our policies."""

import subprocess
from pathlib import Path

import httpx
import pytest

from components.layer import chart_values
from components.secrets import openbao
from tests.unit.secrets.test_secret_stores import deploy

from .conftest import HOSTS, Cluster, Server, _key, until

READER, WRITER = "secrets-reader", "secrets-writer"
A, B = "orders-production", "billing-production"


def test_only_the_first_initialises_and_only_when_the_others_have_answered(cluster: Cluster) -> None:
    first, *others = cluster.decisions
    assert first.splitlines()[-1] == "nobody holds a store: initialises one"
    assert others == ["not the first: joins the others\n"] * 2


def test_all_three_servers_are_voters_of_one_store(cluster: Cluster) -> None:
    assert cluster.voters() == {"openbao-0", "openbao-1", "openbao-2"}
    ids = {cluster.ask("GET", "sys/health?standbyok=true", number=number).json()["cluster_id"] for number in range(3)}
    assert len(ids) == 1


def test_no_root_token_is_left_behind(cluster: Cluster) -> None:
    operator = cluster.operator()
    accessors = cluster.ask("LIST", "auth/token/accessors", token=operator).json()["data"]["keys"]
    policies = [
        cluster.ask("POST", "auth/token/lookup-accessor", token=operator, accessor=each).json()["data"]["policies"]
        for each in accessors
    ]
    assert policies
    assert [each for each in policies if "root" in each] == []


def test_every_request_is_audited_and_no_secret_stands_in_the_log(cluster: Cluster) -> None:
    assert list(cluster.ask("GET", "sys/audit", token=cluster.operator()).json()["data"]) == ["stdout/"]
    writer = cluster.token(WRITER, A, WRITER)
    cluster.ask("POST", f"tenants/data/{A}/audited", token=writer, data={"password": "correct horse"})
    logs = "".join(path.read_text() for path in cluster.servers[0].directory.glob("audit-*.log"))
    assert f"tenants/data/{A}/audited" in logs
    assert "correct horse" not in logs


@pytest.fixture
def written(cluster: Cluster) -> None:
    """A secret of a namespace."""
    writer = cluster.token(WRITER, A, WRITER)
    assert cluster.ask("POST", f"tenants/data/{A}/database", token=writer, data={"password": "one"}).status_code == 200


@pytest.mark.usefixtures("written")
def test_a_namespace_reads_what_it_wrote(cluster: Cluster) -> None:
    read = cluster.ask("GET", f"tenants/data/{A}/database", token=cluster.token(READER, A, READER))
    assert read.json()["data"]["data"] == {"password": "one"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "tenants/data/{A}/database"),
        ("LIST", "tenants/metadata/{A}/"),
        ("LIST", "tenants/metadata/"),
        ("GET", "tenants/data/{A}"),
        ("POST", "tenants/data/{A}/database"),
        ("DELETE", "tenants/metadata/{A}/database"),
        ("GET", "sys/policies/acl/secrets-reader"),
        ("POST", "auth/kubernetes/role/secrets-reader"),
    ],
)
@pytest.mark.parametrize("account", [READER, WRITER])
def test_a_namespace_reaches_nothing_of_another(cluster: Cluster, account: str, method: str, path: str) -> None:
    token = cluster.token(account, B, account)
    data = {"data": {"password": "taken"}} if method == "POST" else {}
    answer = cluster.ask(method, path.format(A=A, B=B), token=token, **data)
    assert answer.status_code == 403, answer.text


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(("up", "status"), [("..", 307), ("%2e%2e", 400)])
def test_no_way_around_leads_to_another_namespace(cluster: Cluster, up: str, status: int) -> None:
    """The client would take the dots out before it asks: here they reach the server, which sends to the plain path, or refuses."""

    def asked(namespace: str, path: str) -> httpx.Response:
        headers = {"X-Vault-Token": cluster.token(READER, namespace, READER)}
        url, extensions = f"https://{HOSTS[0]}:8200/", {"target": f"/v1/tenants/data/{path}".encode()}
        return cluster.http.get(url, headers=headers, extensions=extensions, follow_redirects=False)

    answer = asked(B, f"{B}/{up}/{A}/database")
    assert answer.status_code == status, answer.text
    assert "password" not in answer.text
    # The control: who may read it does, when asked in this way.
    assert asked(A, f"{A}/database").json()["data"]["data"] == {"password": "one"}


def test_a_reader_writes_nothing_even_in_its_own_namespace(cluster: Cluster) -> None:
    token = cluster.token(READER, A, READER)
    assert cluster.ask("POST", f"tenants/data/{A}/database", token=token, data={"password": "two"}).status_code == 403


@pytest.mark.parametrize(
    ("role", "namespace", "account", "audience"),
    [
        (READER, A, "default", "openbao"),
        (WRITER, A, READER, "openbao"),
        (READER, A, READER, "https://kubernetes.default.svc"),
        ("operator", A, "operator", "openbao"),
        ("operator", "openbao", "openbao", "openbao"),
    ],
    ids=["another account", "reader as writer", "token for the API", "operator of a tenant", "the servers' account"],
)
def test_nobody_else_logs_in(cluster: Cluster, role: str, namespace: str, account: str, audience: str) -> None:
    assert cluster.log_in(role, namespace, account, audience).status_code in (400, 403)


def test_a_server_that_restarts_unseals_itself(cluster: Cluster) -> None:
    server = cluster.servers[2]
    server.stop()
    _, said = server.decide().communicate(timeout=60)
    server.start(cluster.configuration())
    until("server 2 unsealed", lambda: cluster.unsealed(2), cluster.logs)
    assert said == "not the first: joins the others\n"


def test_the_first_restarted_does_not_initialise_again(cluster: Cluster) -> None:
    server = cluster.servers[0]
    server.stop()
    _, said = server.decide().communicate(timeout=60)
    server.start(cluster.configuration())
    until("server 0 unsealed", lambda: cluster.unsealed(0), cluster.logs)
    assert said == "holds a store already\n"


@pytest.mark.usefixtures("written")
def test_the_first_without_its_disk_joins_the_others_again(cluster: Cluster) -> None:
    before = cluster.ask("GET", "sys/health?standbyok=true", number=1).json()["cluster_id"]
    server = cluster.servers[0]
    server.stop()
    _empty(server.data)
    _, said = server.decide().communicate(timeout=60)
    assert said.endswith("holds a store: joins it\n")
    server.start(cluster.configuration())
    until("server 0 unsealed", lambda: cluster.unsealed(0), cluster.logs)
    after = cluster.ask("GET", "sys/health?standbyok=true").json()["cluster_id"]
    assert after == before
    read = cluster.ask("GET", f"tenants/data/{A}/database", token=cluster.token(READER, A, READER))
    assert read.json()["data"]["data"] == {"password": "one"}


def test_the_first_without_its_disk_waits_while_another_cannot_be_asked(
    bao: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "peers").write_text("https://127.78.0.9:8200\n")
    (tmp_path / "first" / "initialize.json").write_text("{}")
    deciding = Server(tmp_path, 0, bao, environment).decide()
    try:
        assert deciding.stderr is not None
        said = next(line for line in deciding.stderr if line.startswith("waits"))
        assert said == "waits for https://127.78.0.9:8200 to say whether it holds a store\n"
        assert deciding.poll() is None
    finally:
        deciding.kill()
        deciding.communicate()


def test_a_seal_key_is_handed_over_to_the_next(cluster: Cluster) -> None:
    """All restart with both keys, then with the new one alone; they hold what they held."""
    unseal = cluster.servers[0].directory / "unseal"
    (unseal / "current").rename(unseal / "previous")
    _key(unseal / "current")
    cluster.generation += 1
    for previous in (True, False):
        if not previous:
            (unseal / "previous").unlink()
        for server in cluster.servers:
            server.stop()
        for server in cluster.servers:
            server.start(cluster.configuration(previous=previous))
        for number in range(3):
            until(f"server {number} unsealed", lambda number=number: cluster.unsealed(number), cluster.logs)
        if previous:
            # What docs/secrets.md tells operators to wait for, too: a server that is sealed hears nothing of it any more.
            until("sealed anew", lambda: "upgrading stored keys" in cluster.logs(), cluster.logs)
            until("its login answers", lambda: cluster.log_in(READER, A, READER).status_code == 200, cluster.logs)
            until("one is active", lambda: cluster.leader() is not None, cluster.logs)
            said = cluster.index(cluster.leader() or 0, "committed")
            for number in range(3):
                until("heard", lambda number=number, said=said: cluster.index(number, "applied") >= said, cluster.logs)
    until("its login answers", lambda: cluster.log_in(READER, A, READER).status_code == 200, cluster.logs)
    assert len(cluster.ask("GET", "auth/kubernetes/role/operator", token=cluster.operator()).json()["data"]) > 0


def test_a_wrong_seal_key_unseals_nothing(cluster: Cluster) -> None:
    server = cluster.servers[2]
    server.stop()
    unseal = server.directory / "unseal"
    right = (unseal / "current").read_bytes()
    _key(unseal / "current")
    server.start(cluster.configuration())
    try:
        until("it says so", lambda: "cipher: message authentication failed" in server.log(), server.log)
        assert cluster.ask("GET", "sys/health", number=2).json()["sealed"] is True
    finally:
        server.stop()
        (unseal / "current").write_bytes(right)
    server.start(cluster.configuration())
    until("server 2 unsealed", lambda: cluster.unsealed(2), cluster.logs)


def _empty(directory: Path) -> None:
    subprocess.run(["rm", "-rf", directory], check=True)


def test_the_script_is_what_the_pods_run() -> None:
    """From the ConfigMap that the component makes."""
    made = [each.inputs for each in deploy()[0].resources if each.type == "kubernetes:core/v1:ConfigMap"]
    (held,) = (each for each in made if "initialize.sh" in each["data"])
    server = chart_values("openbao")["server"]
    (container,) = server["extraInitContainers"]
    shell, path = container["command"]
    (mount,) = (each for each in container["volumeMounts"] if Path(path).parent == Path(each["mountPath"]))
    (volume,) = (each for each in server["volumes"] if each["name"] == mount["name"])
    assert volume["configMap"] == {"name": held["metadata"]["name"]}
    assert held["metadata"]["namespace"] == "openbao"
    # As the tests above start it.
    assert (shell, held["data"][Path(path).name]) == ("/bin/sh", openbao.SCRIPT.read_text())
