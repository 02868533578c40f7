"""The hcloud provider: every resource through the official client, at the endpoint that it is configured for.

It adopts and retries nothing that the real provider does not.
"""

import threading
from collections.abc import Mapping
from typing import ClassVar, Final

from ...check import Failure
from ...drift import imported, inputs_as_given
from ...package import EVERYTHING, Change, Created, Kind, Package, ProviderError, Read, Target, kind
from ...schema import schema_of
from ...values import Properties, Unknown
from .api import Api, seconds
from .lookups import look_up
from .objects import OBJECTS
from .parts import PARTS
from .resource import Resource
from .server import Server

USER_DATA_LIMIT: Final = 32 * 1024
"""Bytes of user_data that the Hetzner Cloud API takes."""

TOKEN_LENGTH: Final = 64
"""Characters of an API token; the real provider refuses any other length."""

ENDPOINT: Final = "https://api.hetzner.cloud/v1"

_RESOURCES: Final[Mapping[str, Resource]] = {**OBJECTS, **PARTS, "Server": Server()}

_COMPUTED: Final[Mapping[str, tuple[str, ...]]] = {
    "LoadBalancer": ("algorithm", "ipv4Id", "ipv6Id", "location", "networkZone"),
    "LoadBalancerNetwork": ("enablePublicInterface", "ip", "networkId"),
    "LoadBalancerTarget": ("usePrivateIp",),
    "PrimaryIp": ("assigneeId", "assigneeType", "autoDelete"),
    "Server": ("firewallIds", "location", "networks", "placementGroupId"),
    "ServerNetwork": ("aliasIps", "ip", "networkId"),
    "Volume": ("location",),
}
"""Optional and computed, as the Terraform provider declares them."""


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
        _token("FloatingIp"): kind("type", "homeLocation", named=True),
        _token("LoadBalancer"): kind(
            *("location", "networkZone", "ipv4Id", "ipv6Id"), named=True, one_of=(("location", "networkZone"),)
        ),
        _token("LoadBalancerNetwork"): kind(
            "loadBalancerId", "networkId", "subnetId", "ip", one_of=(("networkId", "subnetId"),)
        ),
        _token("LoadBalancerService"): kind("loadBalancerId", "protocol", "listenPort"),
        _token("LoadBalancerTarget"): kind(EVERYTHING),
        _token("Network"): kind("ipRange", named=True),
        _token("NetworkRoute"): kind(EVERYTHING),
        _token("NetworkSubnet"): kind(EVERYTHING),
        _token("PlacementGroup"): kind(named=True),
        _token("PrimaryIp"): kind("type", "location", "datacenter", one_of=(("location", "assigneeId", "datacenter"),)),
        _token("Server"): kind("image", "location", "datacenter", "userData", "sshKeys", named=True),
        _token("ServerNetwork"): kind(EVERYTHING, "!aliasIps", one_of=(("networkId", "subnetId"),)),
        _token("SshKey"): kind("publicKey"),
        _token("UploadedCertificate"): kind("certificate", "privateKey", named=True),
        _token("Volume"): kind("location", "format", named=True),
        _token("VolumeAttachment"): kind("volumeId", "serverId"),
    }

    _api: Api | None = None

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
        poll = seconds(str(inputs.get("pollInterval") or "500ms"))
        self._api = Api(str(inputs["token"]), str(inputs.get("endpoint") or ENDPOINT), poll, self._cancelled)

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
        failures: list[Failure] = []
        if "datacenter" in inputs:
            failures.append(Failure("datacenter", "was removed from the Hetzner Cloud API: give location instead"))
        if target.token == _token("Server"):
            failures += _check_server(inputs)
        return failures

    def make(self, target: Target, inputs: Properties) -> Created:
        return self._resource(target).make(self.api, inputs)

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Read | None:
        found = self._resource(target).read(self.api, id, inputs, outputs)
        if found is None:
            return None
        told = inputs_as_given(inputs, found) if inputs else imported(found, schema_of(target.token).inputs)
        return Read(found, told)

    def diff(self, target: Target, old: Properties, new: Properties, outputs: Properties) -> Change:
        # What a program leaves to the cloud is no change, whatever an import told of it.
        computed = _COMPUTED.get(target.token.rpartition(":")[2], ())
        left = {name: value for name, value in old.items() if name in new or name not in computed}
        return super().diff(target, left, new, outputs)

    def update(
        self, target: Target, id: str, old: Properties, new: Properties, outputs: Properties, *, preview: bool
    ) -> Properties:
        if preview:
            return super().update(target, id, old, new, outputs, preview=True)
        return self._resource(target).update(self.api, id, old, new, outputs)

    def delete(self, target: Target, id: str, outputs: Properties) -> None:
        self._resource(target).delete(self.api, id, outputs)

    def call(self, token: str, arguments: Properties) -> Properties:
        found = look_up(self.api, token, arguments)
        return super().call(token, arguments) if found is None else found

    def _resource(self, target: Target) -> Resource:
        name = target.token.rpartition(":")[2]
        if name not in _RESOURCES:
            raise ProviderError(f"the sandbox's hcloud plugin does not make {target.token}")
        return _RESOURCES[name]


def _check_server(inputs: Properties) -> list[Failure]:
    failures: list[Failure] = []
    user_data = inputs.get("userData")
    if isinstance(user_data, str) and len(user_data.encode()) > USER_DATA_LIMIT:
        size = len(user_data.encode())
        failures.append(Failure("userData", f"is {size} bytes long; at most {USER_DATA_LIMIT} are allowed"))
    protections = [inputs.get(name, False) for name in ("deleteProtection", "rebuildProtection")]
    if protections[0] != protections[1] and not any(isinstance(value, Unknown) for value in protections):
        failures.append(Failure("rebuildProtection", "must be the same as deleteProtection"))
    return failures


PACKAGE = Hcloud
