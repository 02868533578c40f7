"""Who may reach a machine from outside: administrators, at the ports that are named, and ping."""

import pytest

from components.network.firewall import KUBERNETES_API, SSH, inbound

ADMINISTRATORS = ["203.0.113.0/24", "2001:db8::/32"]


@pytest.mark.parametrize(("ports", "opened"), [((SSH,), {"22"}), ((SSH, KUBERNETES_API), {"22", "6443"}), ((), set())])
def test_only_the_named_ports_are_open_and_to_administrators_alone(ports: tuple[int, ...], opened: set[str]) -> None:
    rules = inbound(ADMINISTRATORS, *ports)
    tcp = [rule for rule in rules if rule["protocol"] == "tcp"]
    assert {rule["port"] for rule in tcp} == opened
    assert all(rule["source_ips"] == sorted(ADMINISTRATORS) for rule in tcp)
    assert [rule["protocol"] for rule in rules if rule not in tcp] == ["icmp"]
    assert {rule["direction"] for rule in rules} == {"in"}


def test_the_order_of_networks_changes_nothing() -> None:
    assert inbound(ADMINISTRATORS, SSH) == inbound(ADMINISTRATORS[::-1], SSH)
