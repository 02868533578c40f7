"""Data sources."""

from typing import Any

import pytest

from sandbox.plugins.package import ProviderError

from .conftest import LOCATION, Stack, public_key


def ask(stack: Stack, function: str, **arguments: Any) -> dict[str, Any]:
    return stack.package.invoke(f"hcloud:index/{function}:{function}", arguments)


def test_lists_are_asked_with_their_label_selector_page_by_page(stack: Stack) -> None:
    for number in range(3):
        stack.create("SshKey", name=f"key-{number}", publicKey=public_key(), labels={"odd": str(number % 2)})
    found = ask(stack, "getSshKeys", withSelector="odd=0")
    assert sorted(key["name"] for key in found["sshKeys"]) == ["key-0", "key-2"]
    stack.fault(kind="page_size", size=1)
    calls = stack.asked(lambda: ask(stack, "getSshKeys"))
    assert calls == ["GET /ssh_keys"] * 3
    assert len(ask(stack, "getSshKeys")["sshKeys"]) == 3


def test_servers_are_told_with_their_labels_and_protection(stack: Stack) -> None:
    stack.server("one", labels={"role": "web"})
    stack.server("two", deleteProtection=True, rebuildProtection=True)
    servers = {each["name"]: each for each in ask(stack, "getServers")["servers"]}
    assert (servers["one"]["labels"], servers["two"]["labels"]) == ({"role": "web"}, {})
    assert (servers["one"]["deleteProtection"], servers["two"]["deleteProtection"]) == (False, True)
    assert [each["name"] for each in ask(stack, "getServers", withSelector="role")["servers"]] == ["one"]
    assert ask(stack, "getServers", withStatuses=["off"])["servers"] == []


def test_one_object_is_found_by_name_id_or_selector(stack: Stack) -> None:
    network = stack.create("Network", name="net", ipRange="10.0.0.0/8", labels={"a": "1"})
    for arguments in ({"name": "net"}, {"id": network.number}, {"withSelector": "a=1"}):
        found = ask(stack, "getNetwork", **arguments)
        assert (found["id"], found["ipRange"]) == (network.number, "10.0.0.0/8")


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        ("getNetwork", {"name": "moon"}, "no networks found with name=moon"),
        ("getNetwork", {"withSelector": "a"}, "2 networks found"),
        ("getNetwork", {"id": 42}, "no networks found with id=42"),
        ("getNetworks", {"withSelector": "a b"}, "invalid_input"),
        ("getNetworks", {"selector": "a"}, "selector"),
        ("getZones", {}, "does not know the function|unknown"),
        ("getServerType", {"name": "moon"}, "no server type found"),
    ],
)
def test_what_is_not_found_or_ambiguous_is_an_error(
    stack: Stack, function: str, arguments: dict[str, Any], said: str
) -> None:
    for number in range(2):
        stack.create("Network", name=f"net-{number}", ipRange="10.0.0.0/8", labels={"a": "1"})
    with pytest.raises(ProviderError, match=said):
        ask(stack, function, **arguments)


def test_server_types_are_told_with_their_locations(stack: Stack) -> None:
    types = {each["name"]: each for each in ask(stack, "getServerTypes")["serverTypes"]}
    assert types["cx33"]["cores"] == ask(stack, "getServerType", name="cx33")["cores"]
    assert LOCATION["location"] in {each["name"] for each in types["cx33"]["locations"]}
