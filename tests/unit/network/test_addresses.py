"""The address plan: the drawing's addresses, and that no change moves what is there."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.naming import InvalidNameError, check_name, machine_name
from components.network import AddressError, AddressPlan, Subnet, format_numbers, parse_numbers
from components.network.addresses import (
    DMZ,
    MAX_INDEX,
    NETWORK,
    claimed_twice,
    lowest_number,
    overlapping,
    spread_group,
)

numbers = st.sets(st.integers(1, 254), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("index", "ingress", "api", "pods", "services"),
    [
        (1, "10.0.0.2", "10.0.0.4", "10.42.0.0/16", "10.43.0.0/16"),
        (2, "10.0.0.3", "10.0.0.5", "10.52.0.0/16", "10.53.0.0/16"),
        (3, "10.0.0.6", "10.0.0.7", "10.62.0.0/16", "10.63.0.0/16"),
    ],
)
def test_a_region_has_the_plans_addresses(index: int, ingress: str, api: str, pods: str, services: str) -> None:
    plan = AddressPlan(index)
    assert str(plan.ingress_load_balancer) == ingress
    assert str(plan.api_load_balancer) == api
    assert (str(plan.pods), str(plan.services)) == (pods, services)
    assert str(plan.machine(Subnet.SERVERS, 3)) == f"10.{index}.1.3"
    assert str(plan.machine(Subnet.AGENTS, 1)) == f"10.{index}.2.1"
    assert str(plan.postgres) == f"10.{index}.3.1"
    assert str(plan.redis) == f"10.{index}.3.2"
    assert str(plan.subnet(Subnet.AUTOSCALED)) == f"10.{index}.4.0/24"
    assert str(plan.machine(Subnet.VSWITCH, 2)) == f"10.{index}.8.2"


def test_nothing_of_any_two_regions_overlaps() -> None:
    ranges = {}
    for index in range(1, MAX_INDEX + 1):
        plan = AddressPlan(index)
        ranges |= {f"{index} machines": plan.region, f"{index} pods": plan.pods, f"{index} services": plan.services}
    assert overlapping(ranges | {"dmz": DMZ}) == []


def test_every_address_belongs_to_one_machine_of_one_region_and_none_is_the_gateways() -> None:
    given = [
        AddressPlan(index).machine(subnet, number)
        for index in range(1, MAX_INDEX + 1)
        for subnet in Subnet
        for number in range(lowest_number(subnet), 255)
    ]
    balancers = [
        address
        for index in range(1, MAX_INDEX + 1)
        for address in (AddressPlan(index).ingress_load_balancer, AddressPlan(index).api_load_balancer)
    ]
    assert len({*given, *balancers}) == len(given) + len(balancers)
    assert NETWORK[1] not in {*given, *balancers}
    assert all(address in DMZ for address in balancers)
    # A vSwitch's first address is its gateway.
    assert lowest_number(Subnet.VSWITCH) == 2
    assert not {AddressPlan(index).subnet(Subnet.VSWITCH)[1] for index in range(1, MAX_INDEX + 1)} & set(given)


@given(st.lists(st.sampled_from([1, 2, 3, 4, 7, 12, 254]), unique=True, min_size=1).flatmap(st.permutations))
def test_the_order_in_which_machines_are_written_changes_nothing(chosen: list[int]) -> None:
    assert parse_numbers(",".join(map(str, chosen))) == tuple(sorted(chosen))


def test_overlapping_ranges_are_found() -> None:
    assert overlapping({"a": AddressPlan(1).region, "b": AddressPlan(1).subnet(Subnet.DATA)}) == [("a", "b")]


def test_no_two_load_balancers_share_an_address_and_none_has_the_gateways() -> None:
    plans = [AddressPlan(index) for index in range(1, MAX_INDEX + 1)]
    addresses = [address for plan in plans for address in (plan.ingress_load_balancer, plan.api_load_balancer)]
    assert len(set(addresses)) == len(addresses)
    assert IPv4Address("10.0.0.1") not in addresses


@pytest.mark.parametrize("index", [0, 10, -1])
def test_an_index_outside_the_plan_is_refused(index: int) -> None:
    with pytest.raises(AddressError, match="outside 1 to 9"):
        AddressPlan(index)


@pytest.mark.parametrize(("subnet", "number"), [(Subnet.SERVERS, 0), (Subnet.AGENTS, 255), (Subnet.VSWITCH, 1)])
def test_a_number_without_an_address_is_refused(subnet: Subnet, number: int) -> None:
    with pytest.raises(AddressError, match="has no address"):
        AddressPlan(1).machine(subnet, number)


@given(numbers)
def test_a_list_of_numbers_reads_back(chosen: set[int]) -> None:
    assert set(parse_numbers(format_numbers(chosen))) == chosen


@pytest.mark.parametrize("text", ["", "a", "1-", "1,,2", "3-1", "1,1", "1-3,2", "1_3", "-1", "1-9999"])
def test_a_wrong_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_numbers(text)


@given(numbers, st.integers(1, 254))
def test_a_new_machine_moves_no_other(chosen: set[int], new: int) -> None:
    """Name, address and placement group are functions of the machine's own number."""

    def place(number: int) -> tuple[str, str, int]:
        address = str(AddressPlan(1).machine(Subnet.AGENTS, number))
        return machine_name("fsn1", "general", number), address, spread_group(number)

    before = {number: place(number) for number in parse_numbers(format_numbers(chosen))}
    after = {number: place(number) for number in parse_numbers(format_numbers(chosen | {new}))}
    assert {number: after[number] for number in before} == before


@given(numbers)
def test_no_placement_group_holds_more_than_ten(chosen: set[int]) -> None:
    groups = [spread_group(number) for number in chosen]
    assert max(groups.count(group) for group in groups) <= 10


def test_a_number_claimed_by_two_pools_is_found() -> None:
    assert claimed_twice({"a": [1, 2], "b": [2, 3], "c": [4]}) == {2: ["a", "b"]}


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a.b", "x" * 64])
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        check_name(name)


def test_the_generation_shows_in_the_name_from_the_second_on() -> None:
    assert machine_name("fsn1", "general", 2) == "fsn1-general-2"
    assert machine_name("fsn1", "general", 2, 3) == "fsn1-general-2-g3"
