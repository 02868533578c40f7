"""A region as a cloud would give it to the machines: user_data from the program's own builder, with CAs made here."""

import datetime
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import IPv4Address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.cluster import cloud_init, pki, tokens, user_data
from components.cluster.machines import SERVERS, Machine
from components.network import AddressPlan, Subnet
from components.network.addresses import NETWORK
from sandbox.machines.facts import Attachment, BalancerFacts, ServerFacts, ServiceFacts, TargetFacts

RELEASE = cloud_init.Release("v1.36.4+k3s1", "a" * 64, "b" * 64)
PEM = serialization.Encoding.PEM
READYZ = {
    "protocol": "http",
    "port": 6443,
    "interval": 15,
    "timeout": 10,
    "retries": 3,
    "http": {"path": "/readyz", "domain": "", "response": "", "status_codes": ["200"], "tls": True},
}


class Ca:
    """A certificate and its key; signed by another one, or by itself."""

    def __init__(self, name: str, signer: "Ca | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(signer.certificate.subject if signer else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(signer.key if signer else self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(
            PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()


@dataclass
class Region:
    """One region: its secrets, and what the cloud tells the machines about its servers and its load balancer.

    Args:
        octet: N of the loopback network; each region of a test has its own part of it.
    """

    octet: int
    index: int = 1
    name: str = "fsn1"
    network: int = 7
    root: Ca = field(default_factory=lambda: Ca("root"))
    servers: tuple[int, ...] = (1, 2, 3)
    tls_names: tuple[str, ...] = ()
    ids: Any = field(default_factory=lambda: itertools.count(101))

    @property
    def plan(self) -> AddressPlan:
        return AddressPlan(self.index)

    @cached_property
    def authorities(self) -> dict[str, Ca]:
        return {path: Ca(f"{self.name}-{purpose}-ca", self.root) for path, purpose in pki.AUTHORITIES.items()}

    @cached_property
    def secrets(self) -> user_data.Secrets:
        return user_data.Secrets(
            root_certificate=self.root.pem,
            agent_token=tokens.agent_token(self.root.pem, "agents-open-this"),
            server_token=tokens.server_token(self.root.pem, "servers-open-this"),
            agent_password="agents-open-this",
            authorities={
                path: {"certificate": ca.pem + self.root.pem, "key": ca.key_pem}
                for path, ca in self.authorities.items()
            },
            service_account_key=Ca("service-account").key_pem,
        )

    @property
    def api_address(self) -> IPv4Address:
        return self.plan.api_load_balancer

    def pool(self, name: str, labels: Mapping[str, str] | None = None, taints: tuple[str, ...] = ()) -> user_data.Pool:
        return user_data.Pool(self.name, self.index, RELEASE, self.api_address, labels or {}, taints, name)

    # -- what the cloud tells

    def server(
        self, number: int, *, generation: int = 1, initialized: bool = False, id: int | None = None
    ) -> ServerFacts:
        """A control-plane server with a public address."""
        machine = Machine(SERVERS, number, "cx33", generation)
        names = [f"api.{self.name}.example.com", "127.0.0.1", str(self.api_address), *self.tls_names]
        names += [str(self.plan.machine(Subnet.SERVERS, each)) for each in self.servers]
        text = user_data.server(self.pool(SERVERS), machine, self.servers, names, self.secrets, initialized=initialized)
        return self._facts(machine, text, Subnet.SERVERS, "server", f"127.{self.octet}.{self.index}.{number}", id)

    def agent(self, number: int, *, pool: str = "general", public: bool = False, **settings: Any) -> ServerFacts:
        """An agent, without a public address unless told."""
        machine = Machine(pool, number, "cx43")
        text = user_data.agent(self.pool(pool, **settings), machine, self.secrets)
        address = f"127.{self.octet}.{self.index}.{100 + number}" if public else None
        return self._facts(machine, text, Subnet.AGENTS, "agent", address)

    def robot(self, number: int, **settings: Any) -> tuple[str, str, Attachment]:
        """A dedicated machine: its name, its join bundle, and where it is attached."""
        machine = Machine("gpu", number, "GEX44")
        vswitch = user_data.vswitch(self.plan, NETWORK, 4000, 1400, ["203.0.113.0/24"])
        text = user_data.robot(self.pool("gpu", **settings), machine, vswitch, self.secrets)
        place = Attachment(self.network, str(self.plan.machine(Subnet.VSWITCH, number)))
        return machine.name(self.name), text, place

    def balancer(self, *servers: ServerFacts) -> BalancerFacts:
        """The load balancer of the API, in front of these servers."""
        return BalancerFacts(
            id=900 + self.index,
            public_ipv4=f"127.{self.octet}.{self.index}.200",
            attachments=(Attachment(self.network, str(self.api_address)),),
            services=(ServiceFacts("tcp", 6443, 6443, False, READYZ),),
            targets=tuple(TargetFacts(server.id, server.attachments[0].ip) for server in servers),
        )

    def _facts(
        self, machine: Machine, text: str, subnet: Subnet, role: str, public: str | None, id: int | None = None
    ) -> ServerFacts:
        return ServerFacts(
            id=id if id is not None else next(self.ids),
            name=machine.name(self.name),
            user_data=text,
            public_ipv4=public,
            attachments=(
                Attachment(self.network, str(self.plan.machine(subnet, machine.number)), "86:00:00:00:00:01"),
            ),
            labels={"cluster": self.name, "role": role, "pool": machine.pool},
            location="fsn1",
            server_type=machine.type,
        )


def edited(server: ServerFacts, old: str, new: str) -> ServerFacts:
    """A server whose user_data has another text in one place."""
    assert server.user_data.count(old) == 1, f"{server.user_data.count(old)} times {old}"
    return replace(server, user_data=server.user_data.replace(old, new))
