"""The hcloud provider: every resource through the official client, at the endpoint that it is configured for.

It adopts and retries nothing that the real provider does not.
"""

import threading
from collections.abc import Mapping
from typing import ClassVar, Final

from ...check import Failure
from ...package import EVERYTHING, Created, Kind, Package, ProviderError, Read, Target, kind
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
        names = schema_of(target.token).inputs
        if not inputs:
            # An import: everything that the cloud tells and that a program could have said.
            told = {
                name: value for name, value in found.items() if name in names and value not in (None, "", [], {}, 0)
            }
            return Read(found, told)
        return Read(found, {name: _as_given(given, found.get(name, given)) for name, given in inputs.items()})

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


def _as_given(given: object, found: object) -> object:
    """What the cloud tells, in the form in which the program said it."""
    if isinstance(given, dict) and isinstance(found, dict):
        if set(given) <= set(found):
            return {name: _as_given(given[name], found[name]) for name in given} if _is_shape(given, found) else found
        return found
    if isinstance(given, list) and isinstance(found, list) and len(given) == len(found):
        return [_as_given(one, other) for one, other in zip(given, found, strict=True)]
    if isinstance(given, str) and isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if isinstance(given, int) and isinstance(found, str) and found.isdigit() and not isinstance(given, bool):
        return int(found)
    return found


def _is_shape(given: dict[object, object], found: dict[object, object]) -> bool:
    """Whether both are objects of the SDK, whose missing fields mean nothing; labels are told whole."""
    return any(isinstance(value, dict | list | bool | int) for value in found.values()) or set(given) == set(found)


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
