"""The map of private addresses."""

from pathlib import Path

from sandbox.machines.addresses import Addresses


def test_an_address_is_found_in_its_network_only(tmp_path: Path) -> None:
    addresses = Addresses(9, tmp_path)
    addresses.set(1, "10.0.0.4", "127.9.0.1")
    assert addresses.find(1, "10.0.0.4") == "127.9.0.1"
    assert addresses.find(2, "10.0.0.4") is None
    assert addresses.find(None, "10.0.0.4") is None
    assert (tmp_path / "1/10.0.0.4").read_text() == "127.9.0.1\n"


def test_public_addresses_lead_to_themselves(tmp_path: Path) -> None:
    assert Addresses(9, tmp_path).find(None, "127.9.0.1") == "127.9.0.1"


def test_what_is_forgotten_leads_nowhere(tmp_path: Path) -> None:
    addresses = Addresses(9, tmp_path)
    addresses.set(1, "10.0.0.4", "127.9.0.1")
    addresses.set(1, "10.0.0.5", "127.9.0.2")
    addresses.forget("127.9.0.1")
    assert addresses.all() == {(1, "10.0.0.5"): "127.9.0.2"}
    assert not (tmp_path / "1/10.0.0.4").exists()


def test_addresses_of_its_own_are_never_given_twice_and_avoid_the_fronts(tmp_path: Path) -> None:
    addresses = Addresses(9, tmp_path)
    given = [addresses.allocate() for _ in range(2000)]
    assert len(set(given)) == 2000
    assert given[0] == "127.9.128.1"
    assert not [each for each in given if each.split(".")[2] == "255" or each.endswith((".0", ".255"))]


def test_an_address_that_is_given_back_comes_last(tmp_path: Path) -> None:
    addresses = Addresses(9, tmp_path)
    first = addresses.allocate()
    addresses.release(first)
    assert addresses.allocate() != first
