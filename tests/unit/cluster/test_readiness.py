"""The gate, the guard and the drain against a real HTTPS server with the cluster's own kind of certificates."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes import client

from components.cluster import kubeconfig
from components.cluster.readiness import STEADY, Clock, ClusterApi, ClusterError, Patience, _evictable
from tests.cluster_api import ClusterApi as StandIn

NAME = "k8s-fsn1.example.com"


def authority() -> tuple[str, str]:
    """A CA of the kind that ClusterPki makes: certificate and key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fsn1-root-ca")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), secret.decode()


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    """A cluster of three servers."""
    api = StandIn([f"fsn1-server-{number}" for number in (1, 2, 3)], "fsn1", tmp_path)
    certificate, key = authority()
    api.start(certificate, key, NAME)
    api.config = kubeconfig.render("fsn1", kubeconfig.Endpoint(api.address, NAME), certificate, certificate, key)  # type: ignore[attr-defined]
    yield api
    api.stop()


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def connect(stand_in: Any, said: list[str] | None = None, time: Time | None = None) -> ClusterApi:
    clock = time or Time()
    say = (said if said is not None else []).append
    return ClusterApi(stand_in.config, say, Clock(lambda: clock.seconds, clock.sleep))


def test_a_cluster_whose_servers_all_vote_is_ready_after_steady_looks(stand_in: StandIn) -> None:
    connect(stand_in).wait_until_ready(3, Patience(60, 5))
    assert stand_in.asked.count("GET /readyz") == STEADY


def test_a_cluster_is_not_ready_while_a_server_does_not_vote(stand_in: StandIn) -> None:
    stand_in.voters_lost = {"fsn1-server-3"}
    said: list[str] = []
    with pytest.raises(ClusterError, match="the API is ready; 2 of 3 servers vote in etcd"):
        connect(stand_in, said).wait_until_ready(3, Patience(30, 5))
    assert said[0].startswith("the API is ready; 2 of 3 servers vote in etcd (0 s of 30 s)")


def test_a_time_out_says_where_to_look(stand_in: StandIn) -> None:
    stand_in.ready = False
    with pytest.raises(ClusterError, match="does not answer 200") as error:
        connect(stand_in).wait_until_ready(3, Patience(30, 5))
    assert "journalctl -u platform-boot" in str(error.value)
    assert "admin_cidrs" in str(error.value)


def test_a_server_with_a_foreign_certificate_is_not_our_cluster(stand_in: StandIn) -> None:
    other, key = authority()
    stand_in.config = kubeconfig.render("fsn1", kubeconfig.Endpoint(stand_in.address, NAME), other, other, key)  # type: ignore[attr-defined]
    assert connect(stand_in).is_ready() is False


def test_a_server_with_another_name_is_not_our_cluster(stand_in: StandIn) -> None:
    config = stand_in.config  # type: ignore[attr-defined]
    stand_in.config = config.replace(NAME, "k8s-nbg1.example.com")  # type: ignore[attr-defined]
    assert connect(stand_in).is_ready() is False


def test_voters_are_told_by_name(stand_in: StandIn) -> None:
    stand_in.voters_lost = {"fsn1-server-2"}
    assert connect(stand_in).voters() == {"fsn1-server-1": True, "fsn1-server-2": False, "fsn1-server-3": True}


NETWORK = ["ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies", "ciliumendpoints"]


def test_the_network_is_there_once_every_node_is_ready_and_known_and_cilium_takes_policies(stand_in: StandIn) -> None:
    stand_in.definitions["cilium.io/v2"] = NETWORK
    connect(stand_in).wait_until_connected(3, Patience(60, 5))
    assert stand_in.asked == ["GET /api/v1/nodes", "GET /apis/cilium.io/v2"]


def test_the_network_is_waited_for(stand_in: StandIn) -> None:
    stand_in.definitions["cilium.io/v2"] = NETWORK
    stand_in.unready = {"fsn1-server-3"}

    class Recovering(Time):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            stand_in.unready = set()

    said: list[str] = []
    connect(stand_in, said, Recovering()).wait_until_connected(3, Patience(60, 5))
    assert said == ["not Ready: fsn1-server-3 (0 s of 60 s)"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unready": {"fsn1-server-2"}}, "not Ready: fsn1-server-2."),
        ({"uninitialized": {"fsn1-server-1"}}, "not yet known to the cloud controller: fsn1-server-1."),
        ({"servers": ["fsn1-server-1"]}, "1 of 3 Nodes have joined."),
        ({"definitions": {}}, "cilium.io/v2 does not serve ciliumnetworkpolicies, ciliumclusterwidenetworkpolicies."),
        ({"definitions": {"cilium.io/v2": NETWORK[:1]}}, "does not serve ciliumclusterwidenetworkpolicies."),
        (
            {"unready": {"fsn1-server-2"}, "uninitialized": {"fsn1-server-2"}},
            "not Ready: fsn1-server-2; not yet known to the cloud controller: fsn1-server-2.",
        ),
    ],
)
def test_a_network_that_does_not_come_is_an_error_that_names_the_nodes(
    stand_in: StandIn, change: dict[str, Any], said: str
) -> None:
    stand_in.definitions["cilium.io/v2"] = NETWORK
    for attribute, value in change.items():
        setattr(stand_in, attribute, value)
    with pytest.raises(ClusterError) as error:
        connect(stand_in).wait_until_connected(3, Patience(20, 5))
    first, *where = str(error.value).splitlines()
    assert first.startswith("the cluster's network was not there within 20 s: ")
    assert said in first
    assert any("logs deployment/hcloud-cloud-controller-manager" in line for line in where)
    assert any("logs daemonset/cilium" in line for line in where)


def test_an_api_that_does_not_answer_is_no_network(stand_in: StandIn) -> None:
    stand_in.stop()
    with pytest.raises(ClusterError, match=f"https://{stand_in.address} does not answer"):
        connect(stand_in).wait_until_connected(3, Patience(10, 5))


def test_a_drain_closes_the_node_and_evicts_its_pods(stand_in: StandIn) -> None:
    stand_in.pods["fsn1-general-1"] = ["web-1", "web-2"]
    connect(stand_in).drain("fsn1-general-1", Patience(60, 5))
    assert stand_in.cordoned == {"fsn1-general-1": True}
    assert stand_in.pods["fsn1-general-1"] == []


def test_a_pod_that_a_budget_holds_stops_the_drain_with_its_name(stand_in: StandIn) -> None:
    stand_in.pods["fsn1-general-1"] = ["web-1"]
    stand_in.held = {"web-1"}
    with pytest.raises(ClusterError, match=r"default/web-1 \(held by a disruption budget\)"):
        connect(stand_in).drain("fsn1-general-1", Patience(30, 5))
    assert stand_in.cordoned == {"fsn1-general-1": True}


def test_a_node_is_opened_again(stand_in: StandIn) -> None:
    connect(stand_in).cordon("fsn1-general-1", unschedulable=False)
    assert stand_in.cordoned == {"fsn1-general-1": False}


def test_an_old_node_that_is_gone_already_is_forgotten(stand_in: StandIn) -> None:
    connect(stand_in).forget(["fsn1-server-9"], Patience(10, 1))
    assert "DELETE /api/v1/nodes/fsn1-server-9" in stand_in.asked


def test_an_old_node_that_stays_is_an_error(stand_in: StandIn) -> None:
    with pytest.raises(ClusterError, match="the old Node fsn1-server-1 is still there"):
        connect(stand_in).forget(["fsn1-server-1"], Patience(10, 1))


@pytest.mark.parametrize(
    ("owner", "annotations", "phase", "goes"),
    [
        ("ReplicaSet", {}, "Running", True),
        (None, {}, "Running", True),
        ("DaemonSet", {}, "Running", False),
        (None, {"kubernetes.io/config.mirror": "x"}, "Running", False),
        ("Job", {}, "Succeeded", False),
        ("Job", {}, "Failed", False),
        ("Job", {}, "Pending", True),
    ],
)
def test_pods_of_daemonsets_static_pods_and_finished_ones_stay(
    owner: str | None, annotations: dict[str, str], phase: str, goes: bool
) -> None:
    owners = [client.V1OwnerReference(api_version="v1", kind=owner, name="x", uid="u")] if owner else None
    metadata = client.V1ObjectMeta(name="web", owner_references=owners, annotations=annotations or None)
    assert _evictable(client.V1Pod(metadata=metadata, status=client.V1PodStatus(phase=phase))) is goes
