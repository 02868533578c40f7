"""The rules of each phase, from plain data."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.edge import find_plan, load_plans
from components.edge.rules import custom_rules, ddos_rules, managed_rules, rate_limit_rules, rule_ref

CUSTOM: list[Any] = [
    {"description": "Let the status page through", "expression": 'http.host eq "status.example.com"', "action": "skip"},
    {
        "description": "Webhooks are no attacks",
        "expression": 'http.request.uri.path eq "/hooks"',
        "action": "skip",
        "skip_phases": ["http_request_firewall_managed"],
    },
    {"description": "Challenge Tor", "expression": 'ip.src.country eq "T1"', "action": "managed_challenge"},
]
LIMITS: list[Any] = [
    {
        "description": "Log in",
        "expression": 'http.request.uri.path eq "/login"',
        "period": 10,
        "requests": 5,
        "timeout": 10,
    },
    {
        "description": "API",
        "expression": 'starts_with(http.request.uri.path, "/api/")',
        "period": 60,
        "requests": 300,
        "timeout": 0,
        "action": "managed_challenge",
        "count_by": "visitor",
    },
]


def rendered(plan: str) -> str:
    plans = load_plans()
    phases = {
        "http_request_firewall_managed": managed_rules(
            {name: plans.managed_rulesets[name] for name in find_plan(plan).managed_rulesets}
        ),
        "http_request_firewall_custom": custom_rules(CUSTOM),
        "http_ratelimit": rate_limit_rules(LIMITS),
        "ddos_l7": ddos_rules(plans.ddos_ruleset, {"sensitivity_level": "medium", "action": "managed_challenge"}),
    }
    return json.dumps(phases, indent=2) + "\n"


@pytest.mark.parametrize("plan", ["free", "pro"])
def test_rules_are_as_reviewed(plan: str, golden: Callable[[str, str], None]) -> None:
    golden(f"edge/rules-{plan}.json", rendered(plan))


def test_a_rate_limit_always_counts_per_data_centre() -> None:
    assert all(rule["ratelimit"]["characteristics"][0] == "cf.colo.id" for rule in rate_limit_rules(LIMITS))  # type: ignore[typeddict-item]


def test_moving_a_rule_keeps_its_reference() -> None:
    assert {rule["ref"] for rule in custom_rules(CUSTOM)} == {rule["ref"] for rule in custom_rules(CUSTOM[::-1])}  # type: ignore[typeddict-item]


@given(st.text())
def test_a_reference_is_made_of_harmless_characters(description: str) -> None:
    assert set(rule_ref(description)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
