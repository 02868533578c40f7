"""The network layer as the engine would receive it: what waits for what, where secrets stand, and its gate."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_random as random
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from components.cluster import Patience, connected, kubeconfig
from components.cluster_network import ClusterNetwork
from components.cluster_network.values import CHARTS
from components.component import ArgumentError
from components.problem import ProblemsError
from sandbox import inprocess
from sandbox.deployment import Deployment, DeploymentFailed, Resource
from sandbox.plugins.values import plain
from tests.cluster_api import ClusterApi
from tests.unit.cluster.test_readiness import NAME, authority

RELEASE = "kubernetes:helm.sh/v3:Release"
SECRET = "kubernetes:core/v1:Secret"


def arguments(**changes: Any) -> Any:
    return {
        "cluster": "fsn1",
        "index": 1,
        "mtu": 1400,
        "nodes": 6,
        "kubeconfig": pulumi.Output.secret("kubeconfig"),
        "hcloud_token": pulumi.Output.secret("the-token"),
        "network_id": pulumi.Output.from_input(4711),
        "charts": {chart: {"repository": "https://charts.example.com", "version": "1.2.3"} for chart in CHARTS},
        "robot_user": "#ws+example",
        "robot_password": pulumi.Output.secret("the-password"),
        **changes,
    }


def run(program: Callable[[], None]) -> Deployment:
    return inprocess.run(program, project="test", stack="test", preview=False, skipped=frozenset({"kubernetes"}))


@pytest.fixture(scope="module")
def deployed() -> Deployment:
    return run(lambda: ClusterNetwork("network", arguments()) and None)


def name(urn: str) -> str:
    return urn.rpartition("::")[2]


def waits_for(deployment: Deployment, resource: Resource) -> set[str]:
    """Everything that comes before a resource, by name."""
    by_urn = {entry.urn: entry for entry in deployment.resources}
    found: set[str] = set()
    left = list(resource.dependencies)
    while left:
        urn = left.pop()
        if urn not in found:
            found.add(urn)
            left += by_urn[urn].dependencies
    return {name(urn) for urn in found}


def contents(deployment: Deployment, secret: str) -> dict[str, str]:
    (state,) = [state for state in deployment.states if state.type == SECRET and name(state.urn) == secret]
    return plain(state.outputs)["stringData"]


def test_cilium_and_the_cloud_controller_wait_for_their_secrets_and_not_for_each_other(deployed: Deployment) -> None:
    cilium = waits_for(deployed, deployed.named("network-cilium"))
    controller = waits_for(deployed, deployed.named("network-hcloud-cloud-controller-manager"))
    assert {
        "network-kube-system-hubble-server-certs-secret",
        "network-kube-system-hubble-relay-client-certs-secret",
    } <= cilium
    assert "network-kube-system-hcloud-secret" in controller
    assert "network-hcloud-cloud-controller-manager" not in cilium
    assert "network-cilium" not in controller


def test_neither_release_is_awaited_since_neither_ends_well_alone(deployed: Deployment) -> None:
    assert [release.inputs["skipAwait"] for release in deployed.by_type(RELEASE)] == [True, True]


def test_one_gate_waits_for_both_and_every_policy_for_the_gate(deployed: Deployment) -> None:
    gate = deployed.named("network-connected")
    assert {"network-cilium", "network-hcloud-cloud-controller-manager"} <= waits_for(deployed, gate)
    policies = [
        entry
        for entry in deployed.resources
        if entry.inputs.get("kind", entry.type).rpartition(":")[2]
        in ("NetworkPolicy", "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
    ]
    assert len(policies) == 10
    for policy in policies:
        assert "network-connected" in waits_for(deployed, policy), policy.name


def test_a_layer_above_waits_for_the_policies() -> None:
    def program() -> None:
        network = ClusterNetwork("network", arguments())
        random.RandomId("above", byte_length=4, opts=pulumi.ResourceOptions(depends_on=network.ready_resources))

    made = run(program)
    waiting = waits_for(made, made.named("above"))
    assert "network-deny-metadata-cilium-clusterwide-network-policy" in waiting
    assert "network-kube-system-default-deny-network-policy" in waiting


def test_access_to_the_clouds_stands_in_one_secret(deployed: Deployment) -> None:
    assert contents(deployed, "network-kube-system-hcloud-secret") == {
        "token": "the-token",
        "network": "4711",
        "robot-user": "#ws+example",
        "robot-password": "the-password",
    }


def test_secrets_stand_in_secrets_alone(deployed: Deployment) -> None:
    for resource in deployed.resources:
        said = str(resource.inputs)
        for secret in ("the-token", "the-password", "PRIVATE KEY"):
            assert secret not in said, resource.name
    for release in deployed.by_type(RELEASE):
        assert "[secret]" not in str(release.inputs), release.name


def test_without_dedicated_machines_robot_is_not_asked() -> None:
    made = run(lambda: ClusterNetwork("network", arguments(mtu=1450, robot_user=None, robot_password=None)) and None)
    assert contents(made, "network-kube-system-hcloud-secret").keys() == {"token", "network"}
    assert "robot" not in made.named("network-hcloud-cloud-controller-manager").inputs["values"]


@pytest.mark.parametrize(
    ("secret", "dns_name", "use"),
    [
        ("hubble-server-certs", "*.default.hubble-grpc.cilium.io", ExtendedKeyUsageOID.SERVER_AUTH),
        ("hubble-relay-client-certs", "*.hubble-relay.cilium.io", ExtendedKeyUsageOID.CLIENT_AUTH),
    ],
)
def test_hubbles_certificates_are_of_one_ca_with_ciliums_own_names(
    deployed: Deployment, secret: str, dns_name: str, use: x509.ObjectIdentifier
) -> None:
    files = contents(deployed, f"network-kube-system-{secret}-secret")
    assert files.keys() == {"tls.crt", "tls.key", "ca.crt"}
    certificate = x509.load_pem_x509_certificate(files["tls.crt"].encode())
    ca = x509.load_pem_x509_certificate(files["ca.crt"].encode())
    certificate.verify_directly_issued_by(ca)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [dns_name]
    assert use in certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [each.value for each in ca.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["fsn1-hubble-ca"]
    assert deployed.named(f"network-kube-system-{secret}-secret").inputs["type"] == "kubernetes.io/tls"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"routing": "native"}, "routing"),
        ({"robot_password": None}, "robot_password"),
        ({"mtu": 1450}, "mtu"),
        ({"charts": {}}, "charts.cilium"),
    ],
)
def test_what_does_not_go_together_registers_nothing(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(DeploymentFailed, match=f"ClusterNetwork 'network':\n  - {key} = ") as failed:
        run(lambda: ClusterNetwork("network", arguments(**changes)) and None)
    assert failed.value.deployment is not None
    assert failed.value.deployment.by_type("hetzner-platform:index:ClusterNetwork") == []


def test_unknown_arguments_are_refused_by_name() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'routing'"):
        run(lambda: ClusterNetwork("network", arguments(rooting="tunnel")) and None)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ClusterApi]:
    """A cluster of three Nodes."""
    stand_in = ClusterApi([f"fsn1-server-{number}" for number in (1, 2, 3)], "fsn1", tmp_path)
    certificate, key = authority()
    stand_in.start(certificate, key, NAME)
    stand_in.definitions["cilium.io/v2"] = ["ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies"]
    endpoint = kubeconfig.Endpoint(stand_in.address, NAME)
    stand_in.config = kubeconfig.render("fsn1", endpoint, certificate, certificate, key)  # type: ignore[attr-defined]
    yield stand_in
    stand_in.stop()


def gated(api: ClusterApi, patience: Patience) -> Deployment:
    def program() -> None:
        config = pulumi.Output.secret(api.config)  # type: ignore[attr-defined]
        hook = connected("network", config, 3, patience)
        binding = pulumi.ResourceHookBinding(before_create=[hook])
        random.RandomId("network-connected", byte_length=4, opts=pulumi.ResourceOptions(hooks=binding))

    return inprocess.run(program, project="test", stack="test", preview=False)


def test_the_gate_opens_when_the_network_is_there(api: ClusterApi) -> None:
    assert [name(state.urn) for state in gated(api, Patience(5, 0.01)).states] == ["network-connected"]
    assert api.asked[0] == "GET /api/v1/nodes"


def test_a_gate_that_stays_shut_creates_nothing_and_names_the_node(api: ClusterApi) -> None:
    api.uninitialized = {"fsn1-server-2"}
    with pytest.raises(DeploymentFailed, match="not yet known to the cloud controller: fsn1-server-2") as failed:
        gated(api, Patience(0.05, 0.01))
    assert failed.value.deployment is not None
    assert failed.value.deployment.by_type("hetzner-platform:index:ClusterNetwork") == []
    # The next deployment asks again.
    api.uninitialized = set()
    assert len(gated(api, Patience(5, 0.01)).states) == 1


def test_problems_are_a_run_error_that_the_engine_shows_without_a_traceback() -> None:
    assert issubclass(ProblemsError, pulumi.RunError)
