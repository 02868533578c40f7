"""What the plugins replace, rename and renew is what the real providers do."""

import base64
import datetime
import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_hcloud as hcloud
import pulumi_random as random
import pytest
from hcloud import Client

from sandbox import inprocess
from sandbox.clouds import Access
from sandbox.deployment import DeploymentFailed
from sandbox.plugins.package import Package, ProviderError, Surroundings, Target
from sandbox.plugins.packages import open_package
from sandbox.plugins.values import UNKNOWN, Secret, annotate, decode, encode, masked, plain
from sandbox.toolchain import checksum
from sandbox.toolchain.releases import ReleaseError

Open = Callable[[str], Package]
SERVER = Target("hcloud:index/server:Server", "web")
SECRET = Target("kubernetes:core/v1:Secret", "keys")
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def replaced(package: Package, target: Target, old: dict[str, Any], new: dict[str, Any]) -> tuple[list[str], bool]:
    change = package.diff(target, old, new, old)
    return list(change.replaces), change.delete_before_replace


@pytest.mark.parametrize("name", ["image", "location", "userData", "sshKeys"])
def test_a_server_is_replaced_when_what_it_booted_with_changes(name: str) -> None:
    old, new = {"name": "web", name: "one"}, {"name": "web", name: "two"}
    # Its name was given and stays, so the bridge deletes first.
    assert replaced(open_package("hcloud"), SERVER, old, new) == ([name], True)


@pytest.mark.parametrize("name", ["name", "labels", "serverType", "networks", "publicNets", "placementGroupId"])
def test_a_server_changes_in_place_otherwise(name: str) -> None:
    change = open_package("hcloud").diff(SERVER, {name: "one"}, {name: "two"}, {})
    assert change.changed == (name,)
    assert change.replaces == ()


def test_an_invented_name_is_replaced_create_first() -> None:
    package = open_package("hcloud")
    old = package.check(SERVER, {"serverType": "cx33", "image": "one"}).inputs
    new = package.check(SERVER, {"serverType": "cx33", "image": "two"}, old).inputs
    assert old["name"] == new["name"]
    assert str(old["name"]).startswith("web-")
    assert replaced(package, SERVER, old, new) == (["image"], False)


@pytest.mark.parametrize(
    ("kind", "name", "replaces"),
    [
        ("networkSubnet:NetworkSubnet", "ipRange", True),
        ("loadBalancerNetwork:LoadBalancerNetwork", "ip", True),
        ("loadBalancerTarget:LoadBalancerTarget", "labelSelector", True),
        ("loadBalancerService:LoadBalancerService", "healthCheck", False),
        ("loadBalancer:LoadBalancer", "loadBalancerType", False),
        ("primaryIp:PrimaryIp", "location", True),
        ("serverNetwork:ServerNetwork", "aliasIps", False),
        ("sshKey:SshKey", "publicKey", True),
        ("firewall:Firewall", "rules", False),
    ],
)
def test_hetzners_other_resources(kind: str, name: str, replaces: bool) -> None:
    found, _ = replaced(open_package("hcloud"), Target(f"hcloud:index/{kind}", "it"), {name: "one"}, {name: "two"})
    assert bool(found) is replaces


def test_exactly_one_of_a_group_must_be_given() -> None:
    package = open_package("hcloud")
    target = Target("hcloud:index/loadBalancerNetwork:LoadBalancerNetwork", "it")
    for given in ({}, {"networkId": 1, "subnetId": "1-10.0.0.0/24"}):
        (failure,) = package.check(target, {"loadBalancerId": 1, **given}).failures
        assert "exactly one of networkId, subnetId" in str(failure)
    assert package.check(target, {"loadBalancerId": 1, "networkId": 1}).failures == []


def test_user_data_over_32_kib_is_refused() -> None:
    package = open_package("hcloud")
    given = {"serverType": "cx33", "userData": "x" * (32 * 1024)}
    assert package.check(SERVER, given).failures == []
    (failure,) = package.check(SERVER, given | {"userData": "x" * (32 * 1024 + 1)}).failures
    assert "userData: is 32769 bytes long" in str(failure)


def test_a_protected_object_is_not_deleted(provider: Open) -> None:
    package = provider("hcloud")
    target = Target("hcloud:index/network:Network", "net")
    made = package.create(target, {"name": "net", "ipRange": "10.0.0.0/8", "deleteProtection": True}, preview=False)
    with pytest.raises(ProviderError, match="protected"):
        package.delete(target, made.id, made.outputs)
    unprotected = made.outputs | {"deleteProtection": False}
    package.update(target, made.id, made.outputs, unprotected, made.outputs, preview=False)
    package.delete(target, made.id, unprotected)
    assert package.read(target, made.id, {}, unprotected) is None


def test_a_preview_makes_nothing(provider: Open, hetzner: Client) -> None:
    made = provider("hcloud").create(SERVER, {"name": "web", "serverType": "cx33"}, preview=True)
    assert (made.id, hetzner.servers.get_all()) == ("", [])


def test_a_certificate_is_renewed_when_its_time_has_come() -> None:
    moment = [START]
    package = open_package("tls", Surroundings(now=lambda: moment[0]))
    key = package.create(Target("tls:index/privateKey:PrivateKey", "key"), {"algorithm": "ED25519"}, preview=False)
    target = Target("tls:index/selfSignedCert:SelfSignedCert", "root")
    inputs: dict[str, Any] = {
        "privateKeyPem": key.outputs["privateKeyPem"],
        "allowedUses": ["cert_signing"],
        "validityPeriodHours": 100,
        "earlyRenewalHours": 10,
    }
    made = package.create(target, inputs, preview=False)
    assert package.diff(target, inputs, inputs, made.outputs).replaces == ()
    moment[0] += datetime.timedelta(hours=89)
    assert package.diff(target, inputs, inputs, made.outputs).replaces == ()
    moment[0] += datetime.timedelta(hours=1)
    assert package.diff(target, inputs, inputs, made.outputs).replaces == ("readyForRenewal",)
    refreshed = package.read(target, made.id, inputs, made.outputs)
    assert refreshed is not None
    assert refreshed.outputs["readyForRenewal"] is True


def test_secrets_of_kubernetes_are_replaced_when_their_data_changes() -> None:
    package = open_package("kubernetes")
    old = package.check(SECRET, {"metadata": {"name": "keys"}, "stringData": {"a": "1"}}).inputs
    new = package.check(SECRET, {"metadata": {"name": "keys"}, "stringData": {"a": "2"}}).inputs
    assert replaced(package, SECRET, old, new) == (["stringData"], True)
    package.configure({"enableSecretMutable": True})
    assert replaced(package, SECRET, old, new) == ([], False)


def test_an_object_of_another_name_is_another_object() -> None:
    package = open_package("kubernetes")
    old, new = ({"metadata": {"name": name, "labels": {}}} for name in ("one", "two"))
    assert replaced(package, SECRET, old, new) == (["metadata"], False)
    assert replaced(package, SECRET, old, {"metadata": {"name": "one", "labels": {"a": "b"}}}) == ([], False)


def test_a_name_that_kubernetes_was_given_by_the_provider_stays() -> None:
    package = open_package("kubernetes")
    first = package.check(SECRET, {}).inputs
    assert package.check(SECRET, {"stringData": {"a": "1"}}, first).inputs["metadata"] == first["metadata"]


def test_releases_and_custom_resources_are_checked_too() -> None:
    package = open_package("kubernetes")
    release = Target("kubernetes:helm.sh/v3:Release", "cilium")
    checked = package.check(release, {"chart": "cilium", "name": "cilium", "namespace": "kube-system", "valuess": {}})
    assert [str(failure) for failure in checked.failures] == ["valuess: unknown property, did you mean 'values'?"]
    with pytest.raises(ProviderError, match="has no kubeconfig"):
        package.create(release, {"chart": "cilium", "name": "cilium", "namespace": "kube-system"}, preview=False)
    issuer = Target("kubernetes:cert-manager.io/v1:Issuer", "internal")
    given: dict[str, Any] = {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "internal"}}
    assert package.check(issuer, given | {"spec": {"anything": True}}).failures == []
    assert [str(failure) for failure in package.check(issuer, {"kind": "Issuer"}).failures] == [
        "apiVersion: is required and missing"
    ]
    (unknown,) = package.check(Target("kubernetes:core/v1:Sekret", "x"), given).failures
    assert "kubernetes:core/v1:Sekret" in str(unknown)


def test_the_token_of_a_tunnel_carries_the_tunnels_own_secret(provider: Open) -> None:
    package, account = provider("cloudflare"), "0" * 32
    target = Target("cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared", "tunnel")
    made = package.create(target, {"accountId": account, "name": "t", "tunnelSecret": "c2VjcmV0"}, preview=False)
    function = "cloudflare:index/getZeroTrustTunnelCloudflaredToken:getZeroTrustTunnelCloudflaredToken"
    answer = package.invoke(function, {"accountId": account, "tunnelId": made.id})
    token = json.loads(base64.b64decode(str(answer["token"])))
    assert token == {"a": account, "t": made.id, "s": "c2VjcmV0"}
    with pytest.raises(ProviderError, match="not found"):
        package.invoke(function, {"accountId": "1" * 32, "tunnelId": made.id})


def test_secrecy_follows_names_as_the_engine_does_it() -> None:
    inputs: dict[str, Any] = {"a": Secret("x"), "list": [1, Secret(2)], "nested": {"b": Secret("y"), "c": 1}}
    outputs = annotate(plain(inputs) | {"computed": 1}, inputs)
    assert masked(outputs) == {
        "a": "[secret]",
        "list": "[secret]",
        "nested": {"b": "[secret]", "c": 1},
        "computed": 1,
    }


def test_values_survive_the_wire() -> None:
    given: dict[str, Any] = {"u": UNKNOWN, "s": Secret({"k": [1, 2.5]}), "n": None, "t": True, "l": [UNKNOWN, "x"]}
    assert decode(encode(given)) == given
    assert "k" not in repr(given["s"])


def test_two_stacks_in_one_process_know_nothing_of_each_other() -> None:
    def program() -> None:
        stack = pulumi.get_stack()
        options = pulumi.ResourceOptions(provider=random.Provider("random"))
        random.RandomId(f"id-{stack}", byte_length=4, opts=options)
        pulumi.export(f"of-{stack}", pulumi.Config("test").require("word"))

    for stack in ("one", "two"):
        deployment = inprocess.run(program, project="test", stack=stack, config={"test:word": stack})
        assert deployment.outputs == {f"of-{stack}": stack}
        assert {resource.urn.split("::")[0] for resource in deployment.resources} == {f"urn:pulumi:{stack}"}
        assert len(deployment.resources) == 3


def test_a_preview_tells_all_failures_at_once() -> None:
    def program() -> None:
        provider = hcloud.Provider("hcloud", token="t" * 63)
        options = pulumi.ResourceOptions(provider=provider)
        bad: Any = {"ip": "10.1.1.1", "alias_ipss": []}
        network = hcloud.Network("net", ip_range="10.0.0.0/8", labels={"a": 1}, opts=options)  # type: ignore[dict-item]
        hcloud.Server("web", server_type="cx33", networks=[bad], placement_group_id=network.id.apply(int), opts=options)

    with pytest.raises(DeploymentFailed) as failed:
        inprocess.run(program, project="test", stack="dev")
    message = str(failed.value)
    assert "must be exactly 64 characters long, not 63" in message
    assert "labels.a: must be a string, not a number" in message
    assert "networks[0].alias_ipss: unknown property, did you mean 'aliasIps'?" in message


def test_two_resources_of_one_name_and_type_are_refused() -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(provider=random.Provider("random"))
        for _ in range(2):
            random.RandomId("twin", byte_length=4, opts=options)

    with pytest.raises(DeploymentFailed, match="Duplicate resource URN"):
        inprocess.run(program, project="test", stack="dev")


def test_down_refuses_what_is_protected_and_then_deletes_nothing(access: Access, hetzner: Client) -> None:
    def program() -> None:
        provider = hcloud.Provider("hcloud", token=access.token, endpoint=access.hetzner)
        for name, protect in (("kept", True), ("free", False)):
            options = pulumi.ResourceOptions(provider=provider, protect=protect)
            hcloud.PlacementGroup(name, name=name, type="spread", opts=options)

    deployment = inprocess.run(program, project="test", stack="dev", preview=False)
    with pytest.raises(DeploymentFailed, match="kept: is protected"):
        inprocess.down(deployment)
    assert len(hetzner.placement_groups.get_all()) == 2
    inprocess.down(inprocess.unprotect(deployment))
    assert hetzner.placement_groups.get_all() == []


def test_a_release_that_the_checksums_do_not_name_is_not_used() -> None:
    listing = f"{'a' * 64}  pulumi-v3.259.0-linux-x64.tar.gz\n"
    assert checksum("pulumi-v3.259.0-linux-x64.tar.gz", listing) == "a" * 64
    with pytest.raises(ReleaseError, match="do not name"):
        checksum("pulumi-v3.259.0-linux-arm64.tar.gz", listing)
