"""DNS records from plain data."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.edge import api_records, check_names, load_balancer_records, tunnel_records
from components.edge.records import Record, certificate_hostnames, fully_qualified

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOSTNAMES = st.lists(st.one_of(st.just("@"), st.just("*"), LABEL), min_size=1, max_size=8, unique=True)


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("@", "example.com"),
        ("example.com", "example.com"),
        ("*", "*.example.com"),
        ("www", "www.example.com"),
        ("www.example.com", "www.example.com"),
        ("badexample.com", "badexample.com.example.com"),
    ],
)
def test_names_are_given_as_cloudflare_gives_them_back(hostname: str, name: str) -> None:
    assert fully_qualified(hostname, "example.com") == name


def test_records_of_a_name_with_both_families() -> None:
    made = load_balancer_records(["www"], "example.com", "fsn1", {"ipv4": "192.0.2.1", "ipv6": "2001:db8::1"})
    comment = "Ingress load balancer of fsn1"
    assert made == [
        Record("www.example.com", "www.example.com", "A", "192.0.2.1", proxied=True, ttl=1, comment=comment),
        Record("www.example.com-ipv6", "www.example.com", "AAAA", "2001:db8::1", proxied=True, ttl=1, comment=comment),
    ]


def test_a_tunnel_needs_one_record_a_name_at_the_key_of_the_address() -> None:
    (record,) = tunnel_records(["*"], "example.com", "nbg1", "x.cfargotunnel.com")
    (address,) = load_balancer_records(["*"], "example.com", "nbg1", {"ipv4": "192.0.2.1"})
    assert (record.type, record.content, record.key) == ("CNAME", "x.cfargotunnel.com", address.key)


def test_api_names_are_keyed_by_machine_number() -> None:
    made = api_records({"k8s-fsn1": {"1": "203.0.113.1", "3": "203.0.113.3"}}, "example.com")
    assert [(r.key, r.name, r.content, r.proxied, r.ttl) for r in made] == [
        ("k8s-fsn1.example.com-1", "k8s-fsn1.example.com", "203.0.113.1", False, 300),
        ("k8s-fsn1.example.com-3", "k8s-fsn1.example.com", "203.0.113.3", False, 300),
    ]


@given(HOSTNAMES, st.randoms())
def test_keys_are_unique_and_independent_of_order(hostnames: list[str], random: Random) -> None:
    origin = {"ipv4": "192.0.2.1", "ipv6": "2001:db8::1"}
    made = load_balancer_records(hostnames, "example.com", "fsn1", origin)  # type: ignore[arg-type]
    assert len({record.key for record in made}) == len(made) == 2 * len(hostnames)
    shuffled = random.sample(hostnames, len(hostnames))
    again = load_balancer_records(shuffled, "example.com", "fsn1", origin)  # type: ignore[arg-type]
    assert set(made) == set(again)


@given(HOSTNAMES)
def test_good_names_are_accepted_and_comments_fit_every_plan(hostnames: list[str]) -> None:
    assert check_names(hostnames, "example.com") == []
    made = load_balancer_records(hostnames, "example.com", "fsn1", {"ipv4": "192.0.2.1"})
    assert all(len(record.comment) <= 100 for record in made)


@pytest.mark.parametrize(
    ("hostnames", "keys"),
    [
        (["www", "www.example.com"], ["hostnames[1]"]),
        (["WWW"], ["hostnames[0]"]),
        (["a_b"], ["hostnames[0]"]),
        (["a*"], ["hostnames[0]"]),
        (["a.*"], ["hostnames[0]"]),
        (["x" * 64], ["hostnames[0]"]),
        ([".".join(["x" * 60] * 4)], ["hostnames[0]"]),
        ([""], ["hostnames[0]"]),
        ([], ["hostnames"]),
        (["-a", "b-", "ok"], ["hostnames[0]", "hostnames[1]"]),
    ],
)
def test_bad_names_are_refused_each_with_its_key(hostnames: list[str], keys: list[str]) -> None:
    assert [problem.key for problem in check_names(hostnames, "example.com")] == keys


def test_an_api_name_is_no_wildcard_and_no_other_name() -> None:
    problems = check_names(["www", "k8s"], "example.com", ["*", "k8s"])
    assert [problem.key for problem in problems] == ["api_names.*", "api_names.k8s"]


@pytest.mark.parametrize("zone", ["example", "Example.com", "exa mple.com", ""])
def test_a_zone_is_a_domain_name(zone: str) -> None:
    assert "zone" in [problem.key for problem in check_names(["@"], zone)]


def test_a_certificate_holds_what_its_wildcard_does_not_reach() -> None:
    assert certificate_hostnames(["@", "*", "www", "a.b", "*.c"], "example.com") == [
        "example.com",
        "*.example.com",
        "*.c.example.com",
        "a.b.example.com",
    ]
