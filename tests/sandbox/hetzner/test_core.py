"""What holds for every kind: who may ask, what is refused, lists, limits, actions, faults, and states that are put back."""

import base64
import contextlib
import json
import socket
from datetime import datetime
from typing import Any

import httpx
import pytest
from hcloud import APIException, Client
from hcloud.actions import ActionFailedException

from sandbox.hetzner import AddressPool, Catalogue, Settings

from .emulator import READ_ONLY, TOKEN, Emulator

SERVER = {"server_type": "cpx22", "image": "debian-13", "location": "fsn1"}


def public_key(number: int) -> str:
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes([number]) * 32
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} test"


def add_groups(emulator: Emulator, count: int) -> list[dict[str, Any]]:
    return [
        emulator.made(
            "/placement_groups",
            {"name": f"group-{number}", "type": "spread", "labels": {"number": str(number), "odd": str(number % 2)}},
        )
        for number in range(count)
    ]


# -- who may ask


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[1:]}", f"bearer  {TOKEN}"],
)
def test_nobody_gets_in_without_a_token_of_the_project(emulator: Emulator, header: str | None) -> None:
    with httpx.Client(verify=False) as client:
        answer = client.get(f"{emulator.url}/servers", headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_a_token_sees_its_own_project_only(emulator: Emulator) -> None:
    other = emulator.call(lambda: emulator.cloud.add_project("other", "o" * 64))
    group = add_groups(emulator, 1)[0]
    assert emulator.ask("GET", "/placement_groups", token=other.token).json()["placement_groups"] == []
    answer = emulator.ask("DELETE", f"/placement_groups/{group['id']}", token=other.token)
    assert answer.status_code == 404
    assert emulator.ask("GET", f"/placement_groups/{group['id']}").status_code == 200


def test_a_read_only_token_reads_and_writes_nothing(emulator: Emulator) -> None:
    group = add_groups(emulator, 1)[0]
    assert emulator.ask("GET", f"/placement_groups/{group['id']}", token=READ_ONLY).status_code == 200
    for method, path in (
        ("POST", "/placement_groups"),
        ("PUT", f"/placement_groups/{group['id']}"),
        ("DELETE", f"/placement_groups/{group['id']}"),
    ):
        assert emulator.refused(method, path, {}, token=READ_ONLY)[:2] == (403, "token_readonly")
    assert emulator.ask("GET", "/placement_groups").json()["placement_groups"] == [group]


def test_a_revoked_token_is_nobodys(emulator: Emulator) -> None:
    emulator.call(lambda: emulator.cloud.revoke(READ_ONLY))
    assert emulator.refused("GET", "/servers", token=READ_ONLY)[:2] == (401, "unauthorized")


# -- paths and bodies


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/moons",
        "/servers/",
        "/servers//actions",
        "/servers/abc",
        "/servers/1",
        "/servers/-1",
        "/servers/١",
        "/servers/99999999999999999999999",
        "/servers/1/moons",
        "/servers/1/actions/poweron/now",
        "/servers/%2e%2e/networks",
        "/servers/..%2fnetworks",
        "/servers/%00",
        "/placement_groups/actions",
        "/locations/1/actions",
        "/pricing/1",
        "/isos",
        "/floating_ips",
    ],
)
def test_what_nobody_serves_is_not_found(emulator: Emulator, path: str) -> None:
    assert emulator.refused("GET", path)[:2] == (404, "not_found")


def test_paths_of_another_version_are_not_found(emulator: Emulator) -> None:
    emulator.url = emulator.url.removesuffix("/v1")
    assert emulator.refused("GET", "/v2/servers")[:2] == (404, "not_found")
    assert emulator.refused("GET", "/")[:2] == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/servers", "GET, POST"),
        ("DELETE", "/servers", "GET, POST"),
        ("POST", "/locations", "GET"),
        ("POST", "/images", "GET"),
        ("POST", "/pricing", "GET"),
        ("POST", "/actions", "GET"),
        ("PUT", "/servers/actions", "GET"),
        ("DELETE", "/locations/1", "GET"),
        ("HEAD", "/servers", "GET, POST"),
        ("OPTIONS", "/servers", "GET, POST"),
    ],
)
def test_a_wrong_method_is_not_allowed(emulator: Emulator, method: str, path: str, allowed: str) -> None:
    answer = emulator.ask(method, path)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed
    assert method == "HEAD" or answer.json()["error"]["code"] == "method_not_allowed"


def test_an_action_is_posted(emulator: Emulator) -> None:
    server = emulator.made("/servers", {"name": "a", **SERVER})
    assert emulator.refused("GET", f"/servers/{server['id']}/actions/poweroff")[:2] == (405, "method_not_allowed")
    assert emulator.refused("POST", f"/servers/{server['id']}/actions/fly", {})[:2] == (404, "not_found")


def test_datacenters_are_gone(emulator: Emulator) -> None:
    for path in ("/datacenters", "/datacenters/1"):
        assert emulator.refused("GET", path)[:2] == (410, "deprecated_api_endpoint")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"name"',
        b"\xff\xfe\xfd",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b"[" * 100_000,
        b'{"name": ' + b"9" * 5000 + b"}",
    ],
)
def test_malformed_json_is_refused(emulator: Emulator, body: bytes) -> None:
    answer = emulator.ask("POST", "/placement_groups", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "json_error")


def test_a_body_that_is_not_what_its_encoding_says_is_refused(emulator: Emulator) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"}
    # The connection is closed behind the answer, which may be lost with it.
    with contextlib.suppress(httpx.TransportError):
        httpx.post(f"{emulator.url}/placement_groups", content=b"no gzip", headers=headers)
    assert [each.status for each in emulator.world.requests.entries()] == [400]


def test_a_huge_body_is_refused(emulator: Emulator) -> None:
    body = json.dumps({"name": "x" * (1024 * 1024 + 1)}).encode()
    assert emulator.ask("POST", "/placement_groups", content=body).status_code == 413
    assert emulator.ask("GET", "/placement_groups").json()["placement_groups"] == []


def test_what_is_no_http_is_refused_and_the_next_one_served(emulator: Emulator) -> None:
    host, port = emulator.url.removeprefix("http://").removesuffix("/v1").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert connection.recv(12).endswith(b" 400")
    assert emulator.ask("GET", "/servers").status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name", "type"}),
        ({"name": "a", "type": "spread", "moon": 1}, {"moon"}),
        ({"name": 1, "type": "spread"}, {"name"}),
        ({"name": None, "type": "spread"}, {"name"}),
        ({"name": True, "type": "spread"}, {"name"}),
        ({"name": "", "type": "spread"}, {"name"}),
        ({"name": "x" * 256, "type": "spread"}, {"name"}),
        ({"name": "a\nb", "type": "spread"}, {"name"}),
        ({"name": "a", "type": "cluster"}, {"type"}),
        ({"name": "a", "type": ["spread"]}, {"type"}),
        ({"name": "a", "type": "spread", "labels": []}, {"labels"}),
    ],
)
def test_a_wrong_body_is_refused_by_field(emulator: Emulator, body: Any, fields: set[str]) -> None:
    status, code, named = emulator.refused("POST", "/placement_groups", body)
    assert (status, code, set(named)) == (422, "invalid_input", fields)


@pytest.mark.parametrize(
    ("labels", "fine"),
    [
        ({"a": "b"}, True),
        ({"a": ""}, True),
        ({"example.com/a_b.c-d": "1.2_3-4"}, True),
        ({"a" * 63: "b" * 63}, True),
        ({f"{'a.' * 126}a/name": "x"}, True),
        ({"a" * 64: "b"}, False),
        ({"a": "b" * 64}, False),
        ({"": "b"}, False),
        ({"-a": "b"}, False),
        ({"a-": "b"}, False),
        ({"a b": "c"}, False),
        ({"a": "b c"}, False),
        ({"a": "-b"}, False),
        ({"a": 1}, False),
        ({"a": None}, False),
        ({"/a": "b"}, False),
        ({"a/b/c": "d"}, False),
        ({"EXAMPLE.com/a": "b"}, False),
        ({"hetzner.cloud/a": "b"}, False),
        ({"x.hetzner.cloud/a": "b"}, False),
        ({f"{'a' * 254}/name": "x"}, False),
        ({"../../etc/passwd": "x"}, False),
    ],
)
def test_labels(emulator: Emulator, labels: dict[str, Any], fine: bool) -> None:
    answer = emulator.ask("POST", "/placement_groups", {"name": "a", "type": "spread", "labels": labels})
    assert answer.status_code == (201 if fine else 422), answer.text


def test_names_are_unique_within_a_kind(emulator: Emulator) -> None:
    first, second = add_groups(emulator, 2)
    body = {"name": first["name"], "type": "spread"}
    assert emulator.refused("POST", "/placement_groups", body) == (409, "uniqueness_error", ["name"])
    path = f"/placement_groups/{second['id']}"
    assert emulator.refused("PUT", path, {"name": first["name"]}) == (409, "uniqueness_error", ["name"])
    assert emulator.ask("PUT", path, {"name": second["name"]}).status_code == 200
    emulator.made("/ssh_keys", {"name": first["name"], "public_key": public_key(1)})


def test_put_replaces_labels_and_changes_nothing_else(emulator: Emulator) -> None:
    group = add_groups(emulator, 1)[0]
    path = f"/placement_groups/{group['id']}"
    changed = emulator.ask("PUT", path, {"labels": {"new": "one"}}).json()["placement_group"]
    assert changed == {**group, "labels": {"new": "one"}}
    assert emulator.refused("PUT", path, {"type": "spread"}) == (422, "invalid_input", ["type"])
    assert emulator.refused("PUT", path, {"labels": None}) == (422, "invalid_input", ["labels"])
    assert emulator.ask("GET", path).json()["placement_group"] == changed


def test_ids_ascend_and_are_never_used_again(emulator: Emulator) -> None:
    groups = add_groups(emulator, 3)
    ids = [group["id"] for group in groups]
    assert ids == sorted(set(ids))
    for id in ids:
        answer = emulator.ask("DELETE", f"/placement_groups/{id}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert "Content-Type" not in answer.headers
    assert emulator.made("/placement_groups", {"name": "again", "type": "spread"})["id"] > ids[-1]


def test_times_are_rfc_3339_in_utc(emulator: Emulator) -> None:
    created = add_groups(emulator, 1)[0]["created"]
    assert created.endswith("+00:00")
    assert datetime.fromisoformat(created).tzinfo is not None


# -- SSH keys


def test_ssh_keys(emulator: Emulator) -> None:
    key = emulator.client.ssh_keys.create("mine", public_key(1), labels={"a": "b"})
    assert key.data_model.fingerprint is not None
    assert len(key.data_model.fingerprint.split(":")) == 16
    assert emulator.client.ssh_keys.get_by_fingerprint(key.data_model.fingerprint) == key
    again = {"name": "other", "public_key": public_key(1)}
    assert emulator.refused("POST", "/ssh_keys", again) == (409, "uniqueness_error", ["public_key"])
    for bad in ("", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA", public_key(1)[:30]):
        body = {"name": "bad", "public_key": bad}
        assert emulator.refused("POST", "/ssh_keys", body) == (422, "invalid_input", ["public_key"])
    assert key.delete()
    assert emulator.client.ssh_keys.get_all() == []


# -- lists


def test_a_list_comes_in_pages(emulator: Emulator) -> None:
    groups = add_groups(emulator, 30)
    answer = emulator.ask("GET", "/placement_groups")
    assert [each["id"] for each in answer.json()["placement_groups"]] == [group["id"] for group in groups[:25]]
    pagination = {"page": 1, "per_page": 25, "previous_page": None, "next_page": 2, "last_page": 2, "total_entries": 30}
    assert answer.json()["meta"]["pagination"] == pagination
    links = {each["rel"]: each["url"] for each in answer.links.values()}
    assert set(links) == {"next", "last"}
    following = emulator.ask("GET", links["next"].removeprefix(emulator.url))
    assert [each["id"] for each in following.json()["placement_groups"]] == [group["id"] for group in groups[25:]]
    assert following.json()["meta"]["pagination"]["previous_page"] == 1
    assert set(following.links) == {"prev", "last"}
    assert len(emulator.client.placement_groups.get_all()) == 30


def test_links_keep_what_was_asked_for(emulator: Emulator) -> None:
    add_groups(emulator, 6)
    answer = emulator.ask("GET", "/placement_groups?per_page=2&label_selector=odd%3D1&sort=id:desc")
    assert [each["labels"]["number"] for each in answer.json()["placement_groups"]] == ["5", "3"]
    following = emulator.ask("GET", answer.links["next"]["url"].removeprefix(emulator.url))
    assert [each["labels"]["number"] for each in following.json()["placement_groups"]] == ["1"]


def test_a_page_beyond_the_last_is_empty(emulator: Emulator) -> None:
    add_groups(emulator, 1)
    answer = emulator.ask("GET", "/placement_groups?page=9").json()
    assert answer["placement_groups"] == []
    assert answer["meta"]["pagination"]["next_page"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("per_page=51", "per_page"),
        ("per_page=0", "per_page"),
        ("per_page=-1", "per_page"),
        ("per_page=many", "per_page"),
        ("page=0", "page"),
        ("page=1.5", "page"),
        ("page=" + "0" * 3000 + "1", "page"),
        ("page=" + "9" * 3000, "page"),
        ("page=٣", "page"),
        ("sort=moon", "sort"),
        ("sort=id:up", "sort"),
        ("sort=labels:asc", "sort"),
        ("sort=name&sort=moon:desc", "sort"),
        ("type=cluster", "type"),
        ("label_selector=a%20in", "label_selector"),
        ("label_selector=a%3D%3D%3Db", "label_selector"),
        ("label_selector=a,", "label_selector"),
        ("label_selector=,a", "label_selector"),
        ("label_selector=a%20in%20(b", "label_selector"),
        ("label_selector=a%20in%20b", "label_selector"),
        ("label_selector=a%20in%20(b%3Dc)", "label_selector"),
        ("label_selector=!!a", "label_selector"),
        ("label_selector=../../x", "label_selector"),
        ("label_selector=%00", "label_selector"),
        ("label_selector=" + "(" * 3000, "label_selector"),
    ],
)
def test_malformed_queries_are_refused(emulator: Emulator, query: str, field: str) -> None:
    add_groups(emulator, 1)
    assert emulator.refused("GET", f"/placement_groups?{query}") == (422, "invalid_input", [field])


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("", "0123"),
        ("odd", "0123"),
        ("moon", ""),
        ("!moon", "0123"),
        ("!odd", ""),
        ("odd=1", "13"),
        ("odd==1", "13"),
        ("odd!=1", "02"),
        ("moon!=1", "0123"),
        ("number in (0,3)", "03"),
        ("number in ( 0 , 3 )", "03"),
        ("number notin (0,3)", "12"),
        ("odd=1,number!=3", "1"),
        ("odd=1, number in (1,2)", "1"),
        ("odd=", ""),
    ],
)
def test_label_selectors(emulator: Emulator, selector: str, found: str) -> None:
    add_groups(emulator, 4)
    groups = emulator.client.placement_groups.get_all(label_selector=selector)
    assert "".join(group.data_model.labels["number"] for group in groups) == found  # type: ignore[index]


def test_lists_are_ordered_by_several_fields(emulator: Emulator) -> None:
    names = ["b", "a", "c"]
    for number, name in enumerate(names):
        emulator.made("/ssh_keys", {"name": name, "public_key": public_key(number)})

    def order(query: str) -> list[str]:
        return [each["name"] for each in emulator.ask("GET", f"/ssh_keys?{query}").json()["ssh_keys"]]

    assert order("sort=name") == ["a", "b", "c"]
    assert order("sort=name:desc") == ["c", "b", "a"]
    assert order("sort=id:desc") == ["c", "a", "b"]
    assert order("sort=name:asc&sort=id:desc") == ["a", "b", "c"]
    assert order("name=a") == ["a"]
    assert order("name=a&name=b") == ["b", "a"]
    assert order("name=A") == []


# -- the rate limit


def test_the_limit_is_told_and_kept_and_refills_with_the_clock(catalogue: Catalogue) -> None:
    with Emulator(catalogue, settings=Settings(addresses=AddressPool(250))) as emulator:
        first = emulator.ask("GET", "/locations")
        assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("3600", "3599")
        left = emulator.cloud.projects[0].limit
        emulator.call(lambda: [left.take() for _ in range(3600)])
        refused = emulator.ask("GET", "/locations")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert refused.headers["RateLimit-Remaining"] == "0"
        full = int(refused.headers["RateLimit-Reset"]) - emulator.world.clock.now().timestamp()
        assert 3590 < full <= 3600
        emulator.jump(2)
        assert [emulator.ask("GET", "/locations").status_code for _ in range(2)] == [200, 200]
        emulator.jump(7200)
        assert emulator.ask("GET", "/locations").headers["RateLimit-Remaining"] == "3599"


def test_the_limit_is_one_of_each_project(catalogue: Catalogue) -> None:
    with Emulator(catalogue, settings=Settings(addresses=AddressPool(250))) as emulator:
        other = emulator.call(lambda: emulator.cloud.add_project("other", "o" * 64))
        emulator.call(lambda: [other.limit.take() for _ in range(3600)])
        assert emulator.refused("GET", "/locations", token=other.token)[:2] == (429, "rate_limit_exceeded")
        assert emulator.ask("GET", "/locations").status_code == 200
        assert emulator.refused("GET", "/locations", token="nobody")[:2] == (401, "unauthorized")


# -- actions


def test_actions_are_found_everywhere(emulator: Emulator) -> None:
    answer = emulator.ask("POST", "/servers", {"name": "a", **SERVER}).json()
    server, action = answer["server"], answer["action"]
    assert action["status"] == "running"
    done = emulator.ask("GET", f"/actions/{action['id']}").json()["action"]
    assert (done["status"], done["progress"], done["error"]) == ("success", 100, None)
    assert done["finished"] >= done["started"]
    for path in (
        f"/servers/actions/{action['id']}",
        f"/servers/{server['id']}/actions/{action['id']}",
    ):
        assert emulator.ask("GET", path).json()["action"] == done
    assert done in emulator.ask("GET", f"/servers/{server['id']}/actions").json()["actions"]
    assert emulator.ask("GET", f"/servers/actions?id={action['id']}").json()["actions"] == [done]
    assert emulator.ask("GET", f"/actions?id={action['id']}&id=1").json()["actions"] == [done]
    assert emulator.ask("GET", "/networks/actions").json()["actions"] == []
    assert emulator.refused("GET", f"/networks/actions/{action['id']}")[:2] == (404, "not_found")
    network = emulator.made("/networks", {"name": "n", "ip_range": "10.0.0.0/16"})
    assert emulator.refused("GET", f"/networks/{network['id']}/actions/{action['id']}")[:2] == (404, "not_found")


def test_actions_are_ordered_and_filtered(emulator: Emulator) -> None:
    server = emulator.made("/servers", {"name": "a", **SERVER})
    path = f"/servers/{server['id']}/actions"
    commands = [each["command"] for each in emulator.ask("GET", f"{path}?sort=command:desc").json()["actions"]]
    assert commands == ["start_server", "create_server"]
    assert emulator.ask("GET", f"{path}?status=error").json()["actions"] == []
    assert len(emulator.ask("GET", f"{path}?status=error&status=success").json()["actions"]) == 2
    assert emulator.refused("GET", f"{path}?status=late") == (422, "invalid_input", ["status"])
    assert emulator.refused("GET", f"{path}?sort=progress") == (422, "invalid_input", ["sort"])


@pytest.mark.parametrize("query", ["", "?id=", "?id=abc", "?status=running", "?" + "&".join(["id=1"] * 26)])
def test_all_actions_are_asked_for_by_id(emulator: Emulator, query: str) -> None:
    assert emulator.refused("GET", f"/actions{query}") == (422, "invalid_input", ["id"])


def test_an_action_takes_its_time(catalogue: Catalogue) -> None:
    with Emulator(catalogue, latencies={"create_server": 8, "start_server": 9}) as emulator:
        answer = emulator.ask("POST", "/servers", {"name": "a", **SERVER}).json()
        path, actions = f"/servers/{answer['server']['id']}", [answer["action"], *answer["next_actions"]]

        def states() -> tuple[str, ...]:
            told = emulator.ask("GET", "/actions?" + "&".join(f"id={each['id']}" for each in actions)).json()["actions"]
            return (emulator.ask("GET", path).json()["server"]["status"], *(each["status"] for each in told))

        assert states() == ("initializing", "running", "running")
        assert emulator.ask("GET", path).json()["server"]["locked"] is True
        for method, at in (("DELETE", path), ("POST", f"{path}/actions/poweroff"), ("POST", f"{path}/actions/reboot")):
            assert emulator.refused(method, at)[:2] == (423, "locked")
        emulator.jump(8)
        assert states() == ("starting", "success", "running")
        emulator.jump(8)
        assert states() == ("starting", "success", "running")
        emulator.jump(1)
        assert states() == ("running", "success", "success")
        assert emulator.ask("GET", path).json()["server"]["locked"] is False
        assert emulator.machines.of(answer["server"]["id"]) == ["power_on"]


def test_a_qualified_latency_wins(catalogue: Catalogue) -> None:
    with Emulator(catalogue, latencies={"create_server": 8, "create_server/dedicated": 12}) as emulator:
        servers = [
            emulator.made("/servers", {"name": type, **SERVER, "server_type": type}) for type in ("cpx22", "ccx13")
        ]
        emulator.jump(8)
        paths = [f"/servers/{server['id']}" for server in servers]
        assert [emulator.ask("GET", path).json()["server"]["status"] for path in paths] == ["running", "initializing"]


def test_parallel_changes_of_a_network_conflict(catalogue: Catalogue) -> None:
    with Emulator(catalogue, latencies={"add_subnet": 5}) as emulator:
        network = emulator.made("/networks", {"name": "n", "ip_range": "10.0.0.0/16"})
        subnet = {"type": "cloud", "network_zone": "eu-central"}
        path = f"/networks/{network['id']}/actions"
        assert emulator.ask("POST", f"{path}/add_subnet", subnet).status_code == 201
        assert emulator.refused("POST", f"{path}/add_subnet", subnet)[:2] == (409, "conflict")
        assert emulator.refused("POST", f"{path}/change_ip_range", {"ip_range": "10.0.0.0/8"})[:2] == (409, "conflict")
        emulator.jump(5)
        assert emulator.ask("POST", f"{path}/add_subnet", subnet).status_code == 201


# -- faults


def fault(emulator: Emulator, kind: str, **rule: Any) -> None:
    emulator.call(lambda: emulator.world.faults.add(kind=kind, **rule))


def test_an_action_that_fails_says_why_and_leads_back(emulator: Emulator) -> None:
    client = emulator.client
    server = client.servers.get_by_id(emulator.made("/servers", {"name": "a", **SERVER})["id"])
    fault(emulator, "action_error", path="^stop_server$", times=1, code="server_error", message="a cable is loose")
    with pytest.raises(ActionFailedException, match="a cable is loose"):
        server.power_off().wait_until_finished()
    server.reload()
    assert server.status == "running"
    server.power_off().wait_until_finished()
    server.reload()
    assert server.status == "off"


def test_what_follows_a_failed_action_fails_too(emulator: Emulator) -> None:
    fault(emulator, "action_error", path="^create_server$", times=1)
    answer = emulator.ask("POST", "/servers", {"name": "a", **SERVER}).json()
    ids = [answer["action"]["id"], answer["next_actions"][0]["id"]]
    told = emulator.ask("GET", f"/actions?id={ids[0]}&id={ids[1]}").json()["actions"]
    assert [(each["status"], each["error"] is not None) for each in told] == [("error", True), ("error", True)]
    path = f"/servers/{answer['server']['id']}"
    server = emulator.ask("GET", path).json()["server"]
    assert (server["status"], server["locked"]) == ("off", False)
    assert emulator.machines.told == []
    assert emulator.ask("DELETE", path).status_code == 200


def test_a_stuck_action_locks_until_the_emulator_is_restarted(emulator: Emulator) -> None:
    fault(emulator, "action_stuck", path="^create_server$", times=1)
    answer = emulator.ask("POST", "/servers", {"name": "a", **SERVER}).json()
    emulator.jump(100_000)
    path = f"/servers/{answer['server']['id']}"
    assert emulator.ask("GET", f"/actions/{answer['action']['id']}").json()["action"]["status"] == "running"
    assert emulator.ask("GET", path).json()["server"]["status"] == "initializing"
    assert emulator.refused("DELETE", path)[:2] == (423, "locked")
    emulator.call(lambda: emulator.cloud.load(emulator.cloud.dump()))
    assert emulator.ask("GET", path).json()["server"]["status"] == "running"
    assert emulator.ask("DELETE", path).status_code == 200


def test_a_slow_action_ends_later(emulator: Emulator) -> None:
    fault(emulator, "action_slow", path="^start_server$", times=1, seconds=60)
    server = emulator.made("/servers", {"name": "a", **SERVER})
    path = f"/servers/{server['id']}"
    assert emulator.ask("GET", path).json()["server"]["status"] == "starting"
    emulator.jump(60)
    assert emulator.ask("GET", path).json()["server"]["status"] == "running"


def test_a_type_that_is_out_of_stock_is_unavailable(emulator: Emulator) -> None:
    fault(emulator, "unavailable", path="^cpx22/fsn1$", times=1)
    body = {"name": "a", **SERVER}
    assert emulator.refused("POST", "/servers", {**body, "name": "-"})[:2] == (422, "invalid_input")
    assert emulator.refused("POST", "/servers", body)[:2] == (412, "resource_unavailable")
    assert emulator.ask("GET", "/servers").json()["servers"] == []
    assert emulator.ask("POST", "/servers", body).status_code == 201


def test_the_price_list_says_what_is_in_stock(catalogue: Catalogue) -> None:
    with Emulator(catalogue, settings=Settings(in_stock=False, addresses=AddressPool(250))) as emulator:
        body = {"name": "a", **SERVER, "server_type": "cx23"}
        assert emulator.refused("POST", "/servers", body)[:2] == (412, "resource_unavailable")
        shown = emulator.ask("GET", "/server_types?name=cx23").json()["server_types"][0]
        assert [each["available"] for each in shown["locations"]] == [False, False, False]


def test_small_pages_reach_everything(emulator: Emulator) -> None:
    add_groups(emulator, 4)
    fault(emulator, "page_size", size=1)
    answer = emulator.ask("GET", "/placement_groups?per_page=50").json()
    assert (len(answer["placement_groups"]), answer["meta"]["pagination"]["last_page"]) == (1, 4)
    assert len(emulator.client.placement_groups.get_all()) == 4


def test_lists_lag_behind(emulator: Emulator) -> None:
    fault(emulator, "stale", seconds=5)
    group = add_groups(emulator, 1)[0]
    assert emulator.ask("GET", "/placement_groups").json()["placement_groups"] == []
    assert emulator.ask("GET", f"/placement_groups/{group['id']}").status_code == 200
    emulator.jump(5)
    assert emulator.ask("GET", "/placement_groups").json()["placement_groups"] == [group]


def test_an_injected_status_has_no_effect_and_the_official_client_tries_again(emulator: Emulator) -> None:
    fault(emulator, "status", status=409, method="POST", path="/placement_groups$", times=1)
    made = Client(TOKEN, api_endpoint=emulator.url, poll_interval=0.005, poll_max_retries=3)
    assert made.placement_groups.create("a", "spread").placement_group.name == "a"
    sent = [each.status for each in emulator.world.requests.entries(method="POST")]
    assert sent == [409, 201]


def test_an_answer_lost_after_the_effect_leaves_the_object(emulator: Emulator) -> None:
    fault(emulator, "drop_after", method="POST", path="/placement_groups$", times=1)
    with pytest.raises(Exception, match=r"(?i)disconnected|reset|peer"):
        emulator.ask("POST", "/placement_groups", {"name": "a", "type": "spread"})
    assert [each["name"] for each in emulator.ask("GET", "/placement_groups").json()["placement_groups"]] == ["a"]
    with pytest.raises(APIException) as refused:
        emulator.client.placement_groups.create("a", "spread")
    assert refused.value.code == "uniqueness_error"


# -- states


def test_a_state_that_is_put_back_is_the_same(emulator: Emulator) -> None:
    network = emulator.made("/networks", {"name": "n", "ip_range": "10.0.0.0/16"})
    subnet = {"type": "cloud", "network_zone": "eu-central", "ip_range": "10.0.1.0/24"}
    emulator.ask("POST", f"/networks/{network['id']}/actions/add_subnet", subnet)
    server = emulator.made("/servers", {"name": "a", **SERVER, "networks": [network["id"]], "labels": {"a": "b"}})
    add_groups(emulator, 2)
    paths = ("/servers", "/networks", "/primary_ips", "/placement_groups", f"/servers/{server['id']}/actions")
    before = [emulator.ask("GET", path).json() for path in paths]
    state = emulator.call(lambda: json.loads(json.dumps(emulator.cloud.dump())))
    later = emulator.made("/servers", {"name": "later", **SERVER})
    emulator.ask("DELETE", f"/servers/{server['id']}")
    emulator.call(lambda: emulator.cloud.load(state))
    assert [emulator.ask("GET", path).json() for path in paths] == before
    assert emulator.machines.of(later["id"])[-1] == "delete"
    assert emulator.machines.servers[server["id"]].labels == {"a": "b"}
    assert (
        emulator.made("/placement_groups", {"name": "new", "type": "spread"})["id"]
        > before[3]["placement_groups"][-1]["id"]
    )


def test_actions_on_their_way_are_over_after_a_restart(catalogue: Catalogue) -> None:
    with Emulator(catalogue) as emulator:
        ids = {
            name: emulator.made("/servers", {"name": name, **SERVER, "start_after_create": name != "new-off"})["id"]
            for name in ("stopping", "starting", "deleting", "migrating", "new-off")
        }
        for name in ("starting", "migrating"):
            emulator.ask("POST", f"/servers/{ids[name]}/actions/poweroff")
        slow = ("stop_server", "start_server", "delete_server", "change_server_type", "create_server")
        emulator.call(lambda: emulator.world.latencies.table.update(dict.fromkeys(slow, 60.0)))
        emulator.ask("POST", f"/servers/{ids['stopping']}/actions/poweroff")
        emulator.ask("POST", f"/servers/{ids['starting']}/actions/poweron")
        emulator.ask("DELETE", f"/servers/{ids['deleting']}")
        body = {"server_type": "cpx32", "upgrade_disk": False}
        emulator.ask("POST", f"/servers/{ids['migrating']}/actions/change_type", body)
        emulator.made("/servers", {"name": "new", **SERVER})
        emulator.call(lambda: emulator.cloud.load(emulator.cloud.dump()))
        servers = {each["name"]: each for each in emulator.ask("GET", "/servers").json()["servers"]}
        assert {name: each["status"] for name, each in servers.items()} == {
            "stopping": "off",
            "starting": "running",
            "migrating": "running",
            "new-off": "off",
            "new": "running",
        }
        assert servers["migrating"]["server_type"]["name"] == "cpx32"
        assert not any(each["locked"] for each in servers.values())
        told = list(emulator.machines.told)
        emulator.jump(60)
        assert emulator.machines.told == told, "actions from before the restart still had effects"
