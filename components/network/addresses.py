"""The address plan: which subnet and which address belong to what, from a region's index and a machine's number.

Pure functions of plain data. A machine's number is both the suffix of its name and its host address, so that
adding, removing or reordering pools and machines moves nothing else.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

NETWORK = IPv4Network("10.0.0.0/8")
"""Range of the Hetzner Network; its first address is Hetzner's gateway and is never assigned."""

DMZ = IPv4Network("10.0.0.0/24")
"""Shared by all regions: one ingress and one API load balancer each."""

MAX_INDEX = 9
"""Indices run from 1: region N owns 10.N.0.0/16, its pods 10.(32+10·N).0.0/16, its services the next /16."""

MACHINES_PER_SUBNET = 254
"""Host addresses of a /24."""

NETWORK_ATTACHMENTS = 100
"""Servers and load balancers that one Hetzner Network takes (docs.hetzner.com, Networks FAQ)."""

NETWORK_SUBNETS = 50
"""Subnets that one Hetzner Network takes (docs.hetzner.com, Networks FAQ)."""

SPREAD_GROUP_SIZE = 10
"""Servers that one placement group of type ``spread`` takes (docs.hetzner.com, Placement Groups)."""


class Subnet(StrEnum):
    """A region's subnets, in the words of the address plan."""

    SERVERS = "servers"
    AGENTS = "agents"
    DATA = "data"
    AUTOSCALED = "autoscaled"
    VSWITCH = "vswitch"


_THIRD_OCTET = {Subnet.SERVERS: 1, Subnet.AGENTS: 2, Subnet.DATA: 3, Subnet.AUTOSCALED: 4, Subnet.VSWITCH: 8}

_LOAD_BALANCERS = {1: (2, 4), 2: (3, 5)}
"""Hosts in the DMZ (ingress, API) as the drawing has them; region N from 3 on has 2·N and 2·N+1."""


class AddressError(ValueError):
    """An index, a number or a list of numbers lies outside the address plan."""


@dataclass(frozen=True)
class AddressPlan:
    """All ranges and well-known addresses of the region with this index (1 to 9)."""

    index: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= MAX_INDEX:
            raise AddressError(f"index {self.index} is outside 1 to {MAX_INDEX}")

    @property
    def region(self) -> IPv4Network:
        """Everything of the region inside the Network."""
        return IPv4Network(f"10.{self.index}.0.0/16")

    @property
    def pods(self) -> IPv4Network:
        """Pod addresses (10.42.0.0/16 for the first region, k3s's default)."""
        return IPv4Network(f"10.{32 + 10 * self.index}.0.0/16")

    @property
    def services(self) -> IPv4Network:
        """Service addresses (10.43.0.0/16 for the first region, k3s's default)."""
        return IPv4Network(f"10.{33 + 10 * self.index}.0.0/16")

    @property
    def ingress_load_balancer(self) -> IPv4Address:
        """10.0.0.2 for the first region: 10.0.0.1 is Hetzner's gateway."""
        return DMZ[_LOAD_BALANCERS.get(self.index, (2 * self.index, 0))[0]]

    @property
    def api_load_balancer(self) -> IPv4Address:
        """10.0.0.4 for the first region; private only."""
        return DMZ[_LOAD_BALANCERS.get(self.index, (0, 2 * self.index + 1))[1]]

    def subnet(self, subnet: Subnet) -> IPv4Network:
        """The /24 of this use."""
        return IPv4Network(f"10.{self.index}.{_THIRD_OCTET[subnet]}.0/24")

    def machine(self, subnet: Subnet, number: int) -> IPv4Address:
        """Address of machine ``number`` (1 to 254; from 2 on a vSwitch, whose first address is its gateway).

        Raises:
            AddressError: the number has no address in the subnet.
        """
        lowest = lowest_number(subnet)
        if not lowest <= number <= MACHINES_PER_SUBNET:
            raise AddressError(
                f"number {number} has no address in {self.subnet(subnet)}: use {lowest} to {MACHINES_PER_SUBNET}"
            )
        return self.subnet(subnet)[number]

    @property
    def postgres(self) -> IPv4Address:
        """PostgreSQL (the primary, or the replica in a standby region)."""
        return self.machine(Subnet.DATA, 1)

    @property
    def redis(self) -> IPv4Address:
        """Redis (the primary, or the replica in a standby region)."""
        return self.machine(Subnet.DATA, 2)


def lowest_number(subnet: Subnet) -> int:
    """The lowest machine number of a subnet: 2 on a vSwitch, 1 elsewhere."""
    return 2 if subnet is Subnet.VSWITCH else 1


_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


def parse_numbers(text: str) -> tuple[int, ...]:
    """Machine numbers of a list such as ``"1-2,4"``, ascending.

    Raises:
        AddressError: the text is not such a list, a range runs backwards, or a number stands in it twice.
    """
    numbers: list[int] = []
    for part in text.replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise AddressError(f'{part!r} is not a number or a range; write for example "1-2,4"')
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise AddressError(f'the range {part!r} runs backwards; write "{last}-{first}"')
        if last - first >= MACHINES_PER_SUBNET:
            raise AddressError(f"the range {part!r} is larger than a subnet ({MACHINES_PER_SUBNET} addresses)")
        numbers.extend(range(first, last + 1))
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise AddressError(f"{', '.join(map(str, twice))} named twice")
    return tuple(sorted(numbers))


def format_numbers(numbers: Iterable[int]) -> str:
    """The shortest list that `parse_numbers` reads back."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def spread_group(number: int) -> int:
    """Which placement group of its pool holds machine ``number``: 1 for 1–10, 2 for 11–20, …

    By number and not by position, so that a new machine moves no other.
    """
    return (number - 1) // SPREAD_GROUP_SIZE + 1


def claimed_twice(claims: Mapping[str, Sequence[int]]) -> dict[int, list[str]]:
    """Numbers that more than one pool claims, with the pools; ``claims`` holds the pools of one subnet."""
    owners: dict[int, list[str]] = {}
    for pool, numbers in claims.items():
        for number in numbers:
            owners.setdefault(number, []).append(pool)
    return {number: pools for number, pools in sorted(owners.items()) if len(pools) > 1}


def overlapping(ranges: Mapping[str, IPv4Network]) -> list[tuple[str, str]]:
    """Pairs of names whose ranges overlap."""
    names = list(ranges)
    return [
        (first, second)
        for position, first in enumerate(names)
        for second in names[position + 1 :]
        if ranges[first].overlaps(ranges[second])
    ]
