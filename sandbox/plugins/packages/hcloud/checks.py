"""What the provider refuses before it asks the API."""

from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any, Final

from ...check import Failure
from ...values import Properties, Unknown
from .networks import network_of
from .resource import entries

USER_DATA_LIMIT: Final = 32 * 1024
"""Bytes of user_data that the Hetzner Cloud API takes."""


def failures(kind: str, inputs: Properties) -> Iterator[Failure]:
    """What is wrong with the inputs of a type, whose own types are right."""
    if "datacenter" in inputs:
        yield Failure("datacenter", "was removed from the Hetzner Cloud API: give location instead")
    if kind in _CHECKS:
        yield from _CHECKS[kind](inputs)


def _server(inputs: Properties) -> Iterator[Failure]:
    user_data = inputs.get("userData")
    if isinstance(user_data, str) and (size := len(user_data.encode())) > USER_DATA_LIMIT:
        yield Failure("userData", f"is {size} bytes long; at most {USER_DATA_LIMIT} are allowed")
    protections = [inputs.get(name, False) for name in ("deleteProtection", "rebuildProtection")]
    if protections[0] != protections[1] and not any(isinstance(value, Unknown) for value in protections):
        yield Failure("rebuildProtection", "must be the same as deleteProtection")
    for name in ("iso", "rescue"):
        if inputs.get(name):
            yield Failure(name, "is not emulated by the sandbox")
    yield from _networks(entries(inputs, "networks"))


def _networks(networks: list[Any]) -> Iterator[Failure]:
    seen: set[int] = set()
    for index, net in enumerate(networks):
        path = f"networks[{index}]"
        if "networkId" not in net and "subnetId" not in net:
            yield Failure(path, "must specify either networkId or subnetId")
        if any(isinstance(net.get(name), Unknown) for name in ("networkId", "subnetId")) or not net.keys() & {
            "networkId",
            "subnetId",
        }:
            continue
        if (id := network_of(net)) in seen:
            yield Failure(path, f"server is only allowed to be attached to each network once: {id}")
        seen.add(id)
        range, ip = str(net.get("subnetId", "")).partition("-")[2], net.get("ip")
        if range and isinstance(ip, str) and ip_address(ip) not in ip_network(range):
            yield Failure(f"{path}.ip", f"server IP ({ip}) is outside subnet IP range ({range})")


def _primary_ip(inputs: Properties) -> Iterator[Failure]:
    if "assigneeId" in inputs and "assigneeType" not in inputs:
        yield Failure("assigneeType", "must be given together with assigneeId")


def _target(inputs: Properties) -> Iterator[Failure]:
    if "ip" in inputs and "usePrivateIp" in inputs:
        yield Failure("usePrivateIp", "conflicts with ip")


def _load_balancer(inputs: Properties) -> Iterator[Failure]:
    if inputs.get("targets"):
        yield Failure("targets", "inline targets are deprecated: use LoadBalancerTarget")


def _placement_group(inputs: Properties) -> Iterator[Failure]:
    if isinstance(kind := inputs.get("type"), str) and kind != "spread":
        yield Failure("type", f"{kind} is not a valid placement group type")


def _attachment(inputs: Properties) -> Iterator[Failure]:
    if not inputs.get("serverIds") and not inputs.get("labelSelectors"):
        yield Failure("serverIds", "give serverIds or labelSelectors")


_CHECKS: Final[dict[str, Callable[[Properties], Iterator[Failure]]]] = {
    "FirewallAttachment": _attachment,
    "LoadBalancer": _load_balancer,
    "LoadBalancerTarget": _target,
    "PlacementGroup": _placement_group,
    "PrimaryIp": _primary_ip,
    "Server": _server,
}
