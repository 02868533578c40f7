"""What the load balancers listen on, and when a target counts as healthy."""

from components.load_balancer.services import API, HTTP, HTTPS


def test_the_ingress_passes_80_and_443_with_the_visitors_address() -> None:
    assert [(each.listen_port, each.destination_port, each.proxy_protocol) for each in (HTTP, HTTPS)] == [
        (80, 30080, True),
        (443, 30443, True),
    ]
    assert [(each.health_check["protocol"], each.health_check["port"]) for each in (HTTP, HTTPS)] == [
        ("tcp", 30080),
        ("tcp", 30443),
    ]


def test_a_server_is_healthy_when_readyz_answers_200_over_tls_and_nothing_else_counts() -> None:
    assert (API.listen_port, API.destination_port, API.proxy_protocol) == (6443, 6443, False)
    assert API.health_check["http"] == {"path": "/readyz", "tls": True, "status_codes": ["200"]}
    assert (API.health_check["protocol"], API.health_check["port"]) == ("http", 6443)
