"""Attacks on a real Traefik with our settings, where one is on PATH; each is skipped with the reason elsewhere."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.ingress import IDENTITY_HEADERS
from sandbox.toolchain import find_tool
from tests import upstream

from .attack import BACKEND_PORT, BANK, SHOP, STRANGER, VISITOR, Refused, World
from .dump import Object
from .objects import route

FORGED = {
    **dict.fromkeys(IDENTITY_HEADERS, "root"),
    "x-auth-request-user": "root",
    "X_Auth_Request_User": "root",
    "Remote-User": "root",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    traefik = shutil.which("traefik")
    if traefik is None:
        pytest.skip("traefik is not on PATH: its modules cannot be built from the Go proxy, so nothing here brings it")
    definitions = sorted(upstream.required("traefik/crds").glob("*.traefik.io.yaml"))
    binaries: dict[str, Path] = {}
    for name in ("etcd", "kube-apiserver"):
        tool = find_tool(name)
        if tool is None:
            pytest.skip(f"{name} is neither on PATH nor in the cache: `make toolchain` gets it")
        binaries[name] = tool.path
    started = World(tmp_path_factory.mktemp("attack"), binaries, Path(traefik), definitions)
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(autouse=True)
def forgotten(world: World) -> None:
    """Each test looks at its own requests."""
    for backend in (world.shop, world.bank, world.authentication):
        backend.seen.clear()
        backend.status, backend.answer = 200, {}


def custom(kind: str, namespace: str, name: str, **spec: Any) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def test_cloudflare_is_served(world: World) -> None:
    assert world.ask("shop.example.com").status == 200
    assert len(world.shop.seen) == 1


@pytest.mark.parametrize("certificate", [None, "foreign"])
@pytest.mark.parametrize("host", ["shop.example.com", "bank.example.com", "nobody.example.com"])
def test_without_our_certificate_no_host_answers(world: World, host: str, certificate: str | None) -> None:
    """The last of them is nobody's: the default answers it."""
    with pytest.raises(Refused):
        world.ask(host, certificate=certificate)
    assert world.shop.seen == world.bank.seen == world.authentication.seen == []


def test_a_host_that_is_nobodys_is_not_found(world: World) -> None:
    assert world.ask("nobody.example.com").status == 404


def test_a_name_outside_the_certificate_is_refused_in_the_handshake(world: World) -> None:
    with pytest.raises(Refused):
        world.ask("shop.example.com", name="shop.example.org")


def test_a_name_that_is_served_opens_no_other_hosts_options(world: World) -> None:
    """SNI of one host, Host header of another: the same options hold for both."""
    assert world.ask("bank.example.com", name="shop.example.com").status == 200
    with pytest.raises(Refused):
        world.ask("bank.example.com", name="shop.example.com", certificate=None)


def test_forged_identities_reach_nobody(world: World) -> None:
    assert world.ask("shop.example.com", headers=FORGED).status == 200
    (seen,) = world.shop.seen
    assert set(seen) & {name.lower() for name in FORGED} == set()


def test_an_identity_is_what_the_service_says(world: World) -> None:
    world.authentication.answer = {"X-Auth-Request-User": "visitor"}
    assert world.ask("bank.example.com", headers=FORGED).status == 200
    (asked,), (seen,) = world.authentication.seen, world.bank.seen
    assert set(asked) & {name.lower() for name in FORGED} == set()
    assert {name: value for name, value in seen.items() if name.startswith("x-auth") or "_" in name} == {
        "x-auth-request-user": "visitor"
    }


def test_who_is_not_let_in_does_not_reach_the_tenant(world: World) -> None:
    world.authentication.status = 401
    assert world.ask("bank.example.com", headers=FORGED).status == 401
    assert world.bank.seen == []


@pytest.mark.parametrize("host", ["shop.example.com", "nobody.example.com"])
def test_plain_http_is_only_redirected(world: World, host: str) -> None:
    answer = world.ask(host, tls=False, port="web")
    assert (answer.status in (301, 308), answer.headers["location"]) == (True, f"https://{host}/")
    assert world.shop.seen == []


def test_plain_http_is_not_served_where_tls_is(world: World) -> None:
    with contextlib.suppress(Refused):
        assert world.ask("shop.example.com", tls=False).status >= 400
    assert world.shop.seen == []


def test_the_visitor_is_whom_the_load_balancer_tells_of(world: World) -> None:
    world.ask("shop.example.com", headers={"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Host": "evil.example.org"})
    (seen,) = world.shop.seen
    assert (seen["x-forwarded-for"], seen["x-forwarded-host"]) == (VISITOR, "shop.example.com")


def test_nobody_else_is_believed_about_where_a_connection_comes_from(world: World) -> None:
    with pytest.raises(Refused):
        world.ask("shop.example.com", sender=STRANGER)
    world.ask("shop.example.com", sender=STRANGER, says=None)
    (seen,) = world.shop.seen
    assert seen["x-forwarded-for"] == STRANGER


def test_a_tenant_cannot_route_to_anothers_service(world: World) -> None:
    stolen = route("bank-production", "stolen.example.com", name="stolen")
    stolen["spec"]["routes"][0]["services"] = [
        {"name": "web", "namespace": "shop-production", "port": BACKEND_PORT},
    ]
    world.create(stolen)
    marker(world, "after-stolen")
    assert world.ask("stolen.example.com").status == 404
    assert world.shop.seen == []


@pytest.mark.parametrize("name", ["api@internal", "prometheus@internal"])
def test_a_tenant_cannot_route_to_what_is_inside_traefik(world: World, name: str) -> None:
    host = f"{name.partition('@')[0]}.example.com"
    inside = route("bank-production", host, name=f"inside-{name.partition('@')[0]}")
    inside["spec"]["routes"][0]["services"] = [{"name": name, "kind": "TraefikService"}]
    world.create(inside)
    marker(world, f"after-{name.partition('@')[0]}")
    assert world.ask(host).status == 404


def test_tenants_options_named_default_open_nothing(world: World) -> None:
    for namespace in ("bank-production", "shop-production"):
        client_authentication = {"clientAuthType": "NoClientCert"}
        world.create(custom("TLSOption", namespace, "default", clientAuth=client_authentication))
        world.create(custom("TLSStore", namespace, "default"))
    marker(world, "after-default")
    for host in ("shop.example.com", "nobody.example.com"):
        with pytest.raises(Refused):
            world.ask(host, certificate=None)
    assert world.ask("shop.example.com").status == 200


def marker(world: World, name: str) -> None:
    """A route that is served once everything before it has been read."""
    made = route("shop-production", f"{name}.example.com", name=name)
    made["spec"]["routes"][0]["services"] = [{"name": "web", "port": BACKEND_PORT}]
    world.create(made)
    world.wait(f"{name}.example.com", 200)
    world.shop.seen.clear()


def test_backends_are_told_apart(world: World) -> None:
    """Else what reaches a tenant could have been meant for another."""
    assert SHOP in world.ask("shop.example.com").body
    assert BANK in world.ask("bank.example.com").body
