"""The hcloud provider: every resource through the official client, at the endpoint that it is configured for.

It adopts and retries nothing that the real provider does not: the calls are those of terraform-provider-hcloud 1.68.
Known to be otherwise:

- A server or a placement group that is gone already is deleted without an error; the real one fails until a refresh.
- When the load balancer of a service cannot be read, that is an error; the real one forgets the service.
- What is tried more than five times waits 16 s at most; the real one goes on doubling.
"""

import threading
from collections.abc import Mapping
from typing import ClassVar, Final

from ...check import Failure
from ...drift import imported, inputs_as_given
from ...package import EVERYTHING, Change, Created, Kind, Package, ProviderError, Read, Target, kind
from ...schema import schema_of
from ...values import Properties
from .api import Api, Pause, seconds
from .checks import failures as refusals
from .firewall import Firewall, FirewallAttachment
from .load_balancer import (
    LoadBalancer,
    LoadBalancerNetwork,
    LoadBalancerService,
    LoadBalancerTarget,
    id_of_target,
)
from .lookups import look_up
from .objects import Network, PlacementGroup, PrimaryIp, SshKey, UploadedCertificate, Volume
from .parts import NetworkRoute, NetworkSubnet, ServerNetwork, VolumeAttachment
from .resource import Resource
from .server import Server
from .sets import in_order

TOKEN_LENGTH: Final = 64
"""Characters of an API token; the real provider refuses any other length."""

ENDPOINT: Final = "https://api.hetzner.cloud/v1"

_RESOURCES: Final[Mapping[str, Resource]] = {
    type(each).__name__: each
    for each in (
        Firewall(),
        FirewallAttachment(),
        LoadBalancer(),
        LoadBalancerNetwork(),
        LoadBalancerService(),
        LoadBalancerTarget(),
        Network(),
        NetworkRoute(),
        NetworkSubnet(),
        PlacementGroup(),
        PrimaryIp(),
        Server(),
        ServerNetwork(),
        SshKey(),
        UploadedCertificate(),
        Volume(),
        VolumeAttachment(),
    )
}

_COMPUTED: Final[Mapping[str, tuple[str, ...]]] = {
    "Firewall": ("applyTos", "labels"),
    "LoadBalancer": ("algorithm", "ipv4Id", "ipv6Id", "labels", "location", "networkZone"),
    "LoadBalancerNetwork": ("enablePublicInterface", "ip", "networkId"),
    "LoadBalancerService": ("destinationPort", "healthCheck", "http", "listenPort", "proxyprotocol"),
    "LoadBalancerTarget": ("usePrivateIp",),
    "PrimaryIp": ("assigneeId", "assigneeType", "location"),
    "Server": ("firewallIds", "image", "location", "networks", "publicNets"),
    "ServerNetwork": ("ip", "networkId"),
    "Volume": ("location", "serverId"),
}
"""Optional and computed, as the Terraform provider declares them: what a program does not say is no difference."""

_HASHED: Final = ("userData",)
"""Outputs that hold a hash: the inputs alone tell what was said."""


def _token(name: str) -> str:
    return f"hcloud:index/{name[0].lower()}{name[1:]}:{name}"


class Hcloud(Package):
    """``pulumi_hcloud``."""

    name = "hcloud"
    autonamed = True
    # What the Terraform provider declares ForceNew. The bridge deletes first where a name was given and stays (`named`),
    # but not for resources of the plugin framework (SshKey, PrimaryIp) nor for nameless ones.
    kinds: ClassVar[Mapping[str, Kind]] = {
        _token("Firewall"): kind(named=True),
        _token("FirewallAttachment"): kind("firewallId"),
        _token("LoadBalancer"): kind(
            *("location", "networkZone", "ipv4Id", "ipv6Id"), named=True, one_of=(("location", "networkZone"),)
        ),
        _token("LoadBalancerNetwork"): kind(
            "loadBalancerId", "networkId", "subnetId", "ip", one_of=(("networkId", "subnetId"),)
        ),
        _token("LoadBalancerService"): kind("loadBalancerId", "protocol", "listenPort"),
        _token("LoadBalancerTarget"): kind(
            *("loadBalancerId", "serverId", "labelSelector", "ip"), one_of=(("serverId", "labelSelector", "ip"),)
        ),
        _token("Network"): kind("ipRange", named=True),
        _token("NetworkRoute"): kind(EVERYTHING),
        _token("NetworkSubnet"): kind(EVERYTHING),
        _token("PlacementGroup"): kind(named=True),
        _token("PrimaryIp"): kind("type", "location", one_of=(("location", "assigneeId"),)),
        _token("Server"): kind("image", "location", "userData", "sshKeys", named=True),
        _token("ServerNetwork"): kind(EVERYTHING, "!aliasIps", one_of=(("networkId", "subnetId"),)),
        _token("SshKey"): kind("publicKey"),
        _token("UploadedCertificate"): kind("certificate", "privateKey", named=True),
        _token("Volume"): kind("location", named=True),
        _token("VolumeAttachment"): kind(EVERYTHING),
    }

    _api: Api | None = None
    pause: Pause | None = None
    """How to wait, before it is configured; really unless told."""

    # -- its configuration

    def check_config(self, inputs: Properties) -> list[Failure]:
        failures = super().check_config(inputs)
        token = inputs.get("token")
        if token is None:
            failures.append(Failure("token", "is required: pulumi config set --secret hcloud:token <token>"))
        elif isinstance(token, str) and len(token) != TOKEN_LENGTH:
            failures.append(Failure("token", f"must be exactly {TOKEN_LENGTH} characters long, not {len(token)}"))
        if isinstance(interval := inputs.get("pollInterval"), str):
            try:
                seconds(interval)
            except ValueError as error:
                failures.append(Failure("pollInterval", str(error)))
        return failures

    def configure(self, inputs: Properties) -> None:
        super().configure(inputs)
        self._api = Api(
            str(inputs["token"]),
            str(inputs.get("endpoint") or ENDPOINT),
            self._cancelled,
            poll=seconds(str(inputs.get("pollInterval") or "500ms")),
            constant=inputs.get("pollFunction") == "constant",
            pause=self.pause,
        )

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # pyright: ignore[reportArgumentType]  its own arguments, passed through
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        self._cancelled.set()

    @property
    def api(self) -> Api:
        """The API, once the provider is configured."""
        if self._api is None:
            raise ProviderError("the hcloud provider is not configured")
        return self._api

    # -- resources

    def check_more(self, target: Target, inputs: Properties) -> list[Failure]:
        name = _name(target)
        if name not in _RESOURCES:
            return [Failure("", f"the sandbox's hcloud plugin does not make {target.token}")]
        return list(refusals(name, inputs))

    def make(self, target: Target, inputs: Properties) -> Created:
        made = self._resource(target).make(self.api, inputs)
        return Created(made.id, _without_empty(in_order(inputs, made.outputs)))

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Read | None:
        known = outputs | inputs
        found = self._resource(target).read(self.api, id, known)
        if found is None:
            return None
        found = in_order(known, found)
        told = self._told(target, inputs, found) if inputs else imported(found, schema_of(target.token).inputs)
        # A target is imported under another id than the one that it has from then on.
        renamed = id_of_target(found) if _name(target) == "LoadBalancerTarget" else None
        return Read(_without_empty(outputs | found), told, renamed)

    def diff(self, target: Target, old: Properties, new: Properties, outputs: Properties) -> Change:
        return super().diff(target, self._stated(target, old, new, outputs), new, outputs)

    def update(
        self, target: Target, id: str, old: Properties, new: Properties, outputs: Properties, *, preview: bool
    ) -> Properties:
        if preview:
            return super().update(target, id, old, new, outputs, preview=True)
        before = self._stated(target, old, new, outputs)
        found = in_order(new, self._resource(target).update(self.api, id, before, new))
        kept = {name: value for name, value in outputs.items() if name not in old}
        return _without_empty(kept | new | found)

    def delete(self, target: Target, id: str, outputs: Properties) -> None:
        self._resource(target).delete(self.api, id, outputs)

    def _told(self, target: Target, inputs: Properties, found: Properties) -> Properties:
        """Inputs that would make the resource what the cloud tells that it is."""
        computed = _COMPUTED.get(_name(target), ())
        names = {name for name in schema_of(target.token).inputs if name not in computed and name not in inputs}
        given = {name: value for name, value in found.items() if name not in _HASHED}
        return inputs_as_given(inputs, given) | imported(given, names)

    def _stated(self, target: Target, old: Properties, new: Properties, outputs: Properties) -> Properties:
        """The state to compare new inputs with: what was last told of the resource.

        What a program leaves to the cloud is left out, whatever an import told of it.
        """
        told = self._told(target, old, outputs) if outputs else old
        computed = _COMPUTED.get(_name(target), ())
        return {name: value for name, value in told.items() if name in new or name not in computed}

    def call(self, token: str, arguments: Properties) -> Properties:
        found = look_up(self.api, token, arguments)
        return super().call(token, arguments) if found is None else found

    def _resource(self, target: Target) -> Resource:
        if (name := _name(target)) not in _RESOURCES:
            raise ProviderError(f"the sandbox's hcloud plugin does not make {target.token}")
        return _RESOURCES[name]


def _name(target: Target) -> str:
    return target.token.rpartition(":")[2]


def _without_empty(properties: Properties) -> Properties:
    return {name: value for name, value in properties.items() if value is not None}


PACKAGE = Hcloud
