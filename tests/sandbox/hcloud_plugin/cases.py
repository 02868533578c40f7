"""Every type of resource: how it is made, changed, drifts away, and how many requests that takes."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .conftest import LOCATION, Properties, Resource, Stack, public_key


@dataclass(frozen=True)
class Case:
    """A type.

    Args:
        kind: Its name.
        given: Makes what it needs, and returns its inputs.
        changed: Inputs of a later deployment.
        drift: Changes it behind the engine's back.
        create: Requests to create it.
        delete: Requests to delete it.
        replaces: Which of `changed` replaces it.
        import_id: How it is imported.
        not_imported: Inputs that an import cannot know, and whose absence replaces it.
        read: Requests to read it.
    """

    kind: str
    given: Callable[[Stack], Properties]
    changed: Callable[[Properties], Properties]
    drift: Callable[[Stack, Resource], Any]
    create: int
    delete: int
    replaces: tuple[str, ...] = ()
    import_id: Callable[[Resource], str] = field(default=lambda resource: resource.id)
    not_imported: tuple[str, ...] = ()
    read: int = 1

    def __str__(self) -> str:
        return self.kind


def fixed(**inputs: Any) -> Callable[[Stack], Properties]:
    return lambda _: dict(inputs)


def with_(**more: Any) -> Callable[[Properties], Properties]:
    return lambda inputs: inputs | more


@cache
def certificate() -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return made.public_bytes(pem).decode(), key.private_bytes(pem, *form).decode()


def _certificate(stack: Stack) -> Properties:
    content, key = certificate()
    return {"name": "tls", "certificate": content, "privateKey": key}


def _firewall(stack: Stack) -> Properties:
    everybody = ["0.0.0.0/0", "::/0"]
    return {
        "name": "wall",
        "labels": {"a": "1"},
        "rules": [
            {"direction": "in", "protocol": "tcp", "port": "22", "sourceIps": everybody},
            {"direction": "in", "protocol": "icmp", "sourceIps": everybody, "description": ""},
        ],
    }


def _balancer(stack: Stack) -> Resource:
    return stack.create("LoadBalancer", name="lb", loadBalancerType="lb11", **LOCATION)


def _attached_balancer(stack: Stack) -> tuple[Resource, Resource]:
    _, subnet = stack.network()
    balancer = _balancer(stack)
    stack.create("LoadBalancerNetwork", loadBalancerId=balancer.number, subnetId=subnet.id, ip="10.0.1.2")
    return balancer, subnet


def _server(stack: Stack) -> Properties:
    _, subnet = stack.network()
    key = stack.create("SshKey", name="key", publicKey=public_key())
    wall = stack.create("Firewall", **_firewall(stack))
    other = stack.create("Firewall", name="other")
    group = stack.create("PlacementGroup", name="spread", type="spread")
    return {
        "name": "web",
        "serverType": "cx33",
        "image": "debian-13",
        "labels": {"role": "web"},
        "sshKeys": [key.id],
        "userData": "#cloud-config\n",
        "networks": [{"subnetId": subnet.id, "ip": "10.0.1.9", "aliasIps": []}],
        # A set: the API tells it in its own order.
        "firewallIds": [other.number, wall.number],
        "placementGroupId": group.number,
        "publicNets": [{"ipv4Enabled": True, "ipv6Enabled": False}],
        "deleteProtection": False,
        **LOCATION,
    }


def _server_network(stack: Stack) -> Properties:
    network, _ = stack.network()
    return {"serverId": stack.server().number, "networkId": network.number, "ip": "10.0.1.7"}


def _volume_attachment(stack: Stack) -> Properties:
    volume = stack.create("Volume", name="data", size=10, **LOCATION)
    return {"volumeId": volume.number, "serverId": stack.server().number}


def _second_server(stack: Stack, resource: Resource) -> None:
    volume = stack.client.volumes.get_by_id(resource.number)
    volume.detach().wait_until_finished()
    other = stack.server("other")
    volume.attach(stack.client.servers.get_by_id(other.number)).wait_until_finished()


def _relabel(kind: str) -> Callable[[Stack, Resource], Any]:
    def drift(stack: Stack, resource: Resource) -> None:
        getattr(stack.client, kind).get_by_id(resource.number).update(labels={"by": "hand"})

    return drift


def _route(stack: Stack) -> Properties:
    network, _ = stack.network()
    return {"networkId": network.number, "destination": "10.100.0.0/16", "gateway": "10.0.1.1"}


def _other_gateway(stack: Stack, resource: Resource) -> None:
    from hcloud.networks.domain import NetworkRoute

    network = stack.client.networks.get_by_id(resource.inputs["networkId"])
    network.delete_route(NetworkRoute("10.100.0.0/16", "10.0.1.1")).wait_until_finished()
    network.add_route(NetworkRoute("10.100.0.0/16", "10.0.1.5")).wait_until_finished()


def _other_zone(stack: Stack, resource: Resource) -> None:
    """As no client can: the subnet becomes one of another type."""

    def change() -> None:
        for project in stack.clouds.clouds.hetzner.projects:
            for network in project.all("networks"):
                for subnet in network["subnets"]:
                    subnet["type"] = "vswitch"

    stack.clouds.call(change)


def _move_in_network(stack: Stack, resource: Resource) -> None:
    server = stack.client.servers.get_by_id(resource.outputs["serverId"])
    network = stack.client.networks.get_by_id(resource.outputs["networkId"])
    server.detach_from_network(network).wait_until_finished()
    server.attach_to_network(network, ip="10.0.1.77").wait_until_finished()


def _slower_checks(stack: Stack, resource: Resource) -> None:
    balancer = stack.client.load_balancers.get_by_id(int(resource.outputs["loadBalancerId"]))
    (service,) = balancer.services
    service.health_check.interval = 60
    balancer.update_service(service).wait_until_finished()


def _apart(stack: Stack, resource: Resource) -> None:
    """A target that uses public addresses instead."""
    from hcloud.load_balancers.domain import LoadBalancerTarget, LoadBalancerTargetLabelSelector

    balancer = stack.client.load_balancers.get_by_id(resource.outputs["loadBalancerId"])
    selector = LoadBalancerTargetLabelSelector(resource.outputs["labelSelector"])
    balancer.remove_target(LoadBalancerTarget("label_selector", label_selector=selector)).wait_until_finished()
    target = LoadBalancerTarget("label_selector", label_selector=selector, use_private_ip=False)
    balancer.add_target(target).wait_until_finished()


def _hide(stack: Stack, resource: Resource) -> None:
    balancer = stack.client.load_balancers.get_by_id(resource.outputs["loadBalancerId"])
    balancer.disable_public_interface().wait_until_finished()


def _open_port(stack: Stack, resource: Resource) -> None:
    from hcloud.firewalls.domain import FirewallRule

    rule = FirewallRule(direction="in", protocol="tcp", port="80", source_ips=["0.0.0.0/0"])
    for action in stack.client.firewalls.get_by_id(resource.number).set_rules([rule]):
        action.wait_until_finished()


def _unapply(stack: Stack, resource: Resource) -> None:
    from hcloud.firewalls.domain import FirewallResource, FirewallResourceLabelSelector

    gone = FirewallResource("label_selector", label_selector=FirewallResourceLabelSelector("a=1"))
    for action in stack.client.firewalls.get_by_id(resource.number).remove_from_resources([gone]):
        action.wait_until_finished()


def _protect(kind: str) -> Callable[[Stack, Resource], Any]:
    return lambda stack, resource: getattr(stack.client, kind).get_by_id(resource.number).change_protection(delete=True)


def _target(stack: Stack) -> Properties:
    balancer, _ = _attached_balancer(stack)
    given: Properties = {"type": "label_selector", "labelSelector": "role=web", "usePrivateIp": True}
    return {"loadBalancerId": balancer.number, **given}


def _service(stack: Stack) -> Properties:
    check = {"protocol": "tcp", "port": 30080, "interval": 10, "timeout": 5, "retries": 3}
    ports = {"protocol": "tcp", "listenPort": 80, "destinationPort": 30080, "proxyprotocol": True}
    return {"loadBalancerId": _balancer(stack).id, **ports, "healthCheck": check}


def _place(stack: Stack) -> Properties:
    _, subnet = stack.network()
    return {"loadBalancerId": _balancer(stack).number, "subnetId": subnet.id, "ip": "10.0.1.2"}


def _subnet(stack: Stack) -> Properties:
    network = stack.create("Network", name="net", ipRange="10.0.0.0/8")
    given = {"type": "cloud", "networkZone": "eu-central", "ipRange": "10.0.1.0/24"}
    return {"networkId": network.number, **given}


def _attachment(stack: Stack) -> Properties:
    wall = stack.create("Firewall", name="wall")
    return {"firewallId": wall.number, "labelSelectors": ["b=1", "a=1"]}


CASES = [
    Case(
        *("Network", fixed(name="net", ipRange="10.0.0.0/8", labels={"a": "1"}), with_(name="renamed")),
        *(_protect("networks"), 2, 1),
    ),
    Case(
        *("NetworkSubnet", _subnet, with_(ipRange="10.0.9.0/24"), _other_zone, 3, 3),
        replaces=("ipRange",),
    ),
    Case(
        *("NetworkRoute", _route, with_(gateway="10.0.1.9"), _other_gateway, 3, 3),
        replaces=("gateway",),
    ),
    Case("Firewall", _firewall, lambda inputs: inputs | {"rules": inputs["rules"][:1]}, _open_port, 3, 2),
    Case(
        *("FirewallAttachment", _attachment, with_(labelSelectors=["a=1"]), _unapply, 3, 2),
    ),
    Case(
        *("SshKey", fixed(name="key", publicKey=public_key(), labels={}), with_(labels={"a": "1"})),
        *(_relabel("ssh_keys"), 1, 1),
    ),
    Case(
        *("PlacementGroup", fixed(name="pg", type="spread"), with_(name="other"), _relabel("placement_groups"), 2, 1),
    ),
    Case(
        *("UploadedCertificate", _certificate, with_(labels={"a": "1"}), _relabel("certificates"), 2, 1),
        not_imported=("privateKey",),
    ),
    Case(
        *("PrimaryIp", fixed(name="ip", type="ipv4", location="fsn1", deleteProtection=True), with_(autoDelete=False)),
        *(lambda stack, it: stack.client.primary_ips.get_by_id(it.number).change_protection(delete=False), 3, 1),
    ),
    Case(
        *("Volume", fixed(name="data", size=10, location="fsn1"), with_(size=20), _relabel("volumes"), 3, 2),
    ),
    Case(
        *("VolumeAttachment", _volume_attachment, with_(automount=True), _second_server, 4, 3),
        replaces=("automount",),
        read=2,
    ),
    Case(
        *("Server", _server, with_(labels={"role": "db"}, firewallIds=[]), _relabel("servers"), 10, 2),
        not_imported=("sshKeys", "userData"),
    ),
    Case(
        *("ServerNetwork", _server_network, with_(aliasIps=["10.0.1.8"]), _move_in_network, 3, 2),
    ),
    Case(
        "LoadBalancer",
        fixed(name="lb", loadBalancerType="lb11", location="fsn1", deleteProtection=True),
        with_(algorithm={"type": "least_connections"}, loadBalancerType="lb21"),
        lambda stack, it: stack.client.load_balancers.get_by_id(it.number).change_protection(delete=False),
        *(4, 3),
    ),
    Case(
        *("LoadBalancerNetwork", _place, with_(enablePublicInterface=False), _hide, 3, 3),
        not_imported=("subnetId",),
    ),
    Case(
        *("LoadBalancerService", _service, with_(destinationPort=30081, proxyprotocol=False), _slower_checks, 3, 3),
    ),
    Case(
        *("LoadBalancerTarget", _target, with_(labelSelector="role=db"), _apart, 3, 3),
        replaces=("labelSelector",),
        import_id=lambda it: f"{it.inputs['loadBalancerId']}__label_selector__{it.inputs['labelSelector']}",
    ),
]
