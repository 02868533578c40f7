"""What a plan does not allow is said before anything is deployed, all of it at once."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.edge import check_plan, find_plan, load_plans
from components.edge.plans import DdosLimits, _check_ddos
from components.problem import ProblemsError


def rule(number: int = 1, **changes: Any) -> Any:
    return {"description": f"Rule {number}", "expression": 'http.host eq "a.example.com"', "action": "block", **changes}


def limit(number: int = 1, **changes: Any) -> Any:
    return {
        "description": f"Limit {number}",
        "expression": 'http.request.uri.path eq "/login"',
        "period": 10,
        "requests": 5,
        "timeout": 10,
        **changes,
    }


@pytest.mark.parametrize(("plan", "allowed"), [("free", 5), ("pro", 20), ("business", 100)])
def test_the_last_custom_rule_that_fits_is_accepted_and_the_next_one_refused(plan: str, allowed: int) -> None:
    assert check_plan(plan, custom_rules=[rule(n) for n in range(allowed)]) == []
    (problem,) = check_plan(plan, custom_rules=[rule(n) for n in range(allowed + 1)])
    assert (problem.key, problem.value) == ("custom_rules", f"{allowed + 1} rules")
    assert f"allows {allowed} rules" in problem.problem


@pytest.mark.parametrize(("plan", "allowed"), [("free", 1), ("pro", 2), ("business", 5)])
def test_the_last_rate_limit_that_fits_is_accepted_and_the_next_one_refused(plan: str, allowed: int) -> None:
    assert check_plan(plan, rate_limits=[limit(n) for n in range(allowed)]) == []
    (problem,) = check_plan(plan, rate_limits=[limit(n) for n in range(allowed + 1)])
    assert problem.key == "rate_limits"


@pytest.mark.parametrize(("plan", "allowed"), [("free", 200), ("pro", 3500), ("business", 3500)])
def test_dns_records_are_counted(plan: str, allowed: int) -> None:
    assert check_plan(plan, dns_records=allowed) == []
    (problem,) = check_plan(plan, dns_records=allowed + 1)
    assert problem.key == "hostnames"


def test_the_remedy_names_the_plan_that_would_do() -> None:
    (problem,) = check_plan("free", custom_rules=[rule(n) for n in range(21)])
    assert problem.remedy == "remove 16, or set plan to business"
    (problem,) = check_plan("business", custom_rules=[rule(n) for n in range(101)])
    assert problem.remedy == "remove 1"


@pytest.mark.parametrize("expression", ['http.host matches "a.*"', 'http.host ~ "a.*"', 'not (http.host matches r"a")'])
def test_regular_expressions_need_business(expression: str) -> None:
    for plan in ("free", "pro"):
        (problem,) = check_plan(plan, custom_rules=[rule(expression=expression)])
        assert problem.key == "custom_rules[0].expression"
        assert "business" in problem.remedy
    assert check_plan("business", custom_rules=[rule(expression=expression)]) == []


def test_an_operator_inside_a_string_is_no_operator() -> None:
    harmless = 'http.request.uri.query contains "a matches ~ cf.waf.score"'
    assert check_plan("free", custom_rules=[rule(expression=harmless)]) == []


@pytest.mark.parametrize(
    ("plan", "field"),
    [("free", "http.host"), ("pro", "http.request.method"), ("pro", "ip.src"), ("business", "ip.src.country")],
)
def test_a_rate_limit_reads_only_the_fields_of_its_plan(plan: str, field: str) -> None:
    (problem,) = check_plan(plan, rate_limits=[limit(expression=f'{field} eq "x"')])
    assert field in problem.problem
    assert all(allowed in problem.remedy for allowed in find_plan(plan).rate_limits.fields)


@pytest.mark.parametrize(
    ("plan", "field", "refused"),
    [
        ("business", "cf.bot_management.score", True),
        ("free", "cf.bot_management.verified_bot", False),
        ("pro", "cf.waf.score.class", True),
        ("business", "cf.waf.score.class", False),
        ("business", "http.request.body.raw", True),
    ],
)
def test_custom_rules_read_what_the_plan_has(plan: str, field: str, refused: bool) -> None:
    assert bool(check_plan(plan, custom_rules=[rule(expression=f'{field} eq "x"')])) is refused


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"period": 60}, "rate_limits[0].period"),
        ({"timeout": 60}, "rate_limits[0].timeout"),
        ({"requests": 0}, "rate_limits[0].requests"),
        ({"action": "log"}, "rate_limits[0].action"),
        ({"action": "managed_challenge"}, "rate_limits[0].timeout"),
        ({"count_by": "visitor"}, "rate_limits[0].count_by"),
        ({"expression": ""}, "rate_limits[0].expression"),
        ({"description": "…"}, "rate_limits[0].description"),
        ({"timout": 10}, "rate_limits[0].timout"),
    ],
)
def test_every_value_of_a_rate_limit_is_checked(changes: dict[str, Any], key: str) -> None:
    (problem,) = check_plan("free", rate_limits=[limit(**changes)])
    assert problem.key == key


def test_a_challenge_lasts_until_it_is_solved() -> None:
    assert check_plan("free", rate_limits=[limit(action="managed_challenge", timeout=0)]) == []


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"action": "log"}, "custom_rules[0].action"),
        ({"expression": '(http.host eq "a"'}, "custom_rules[0].expression"),
        ({"expression": 'http.host eq "a'}, "custom_rules[0].expression"),
        ({"expression": "http.host in {1]"}, "custom_rules[0].expression"),
        ({"expression": "a" * 4097}, "custom_rules[0].expression"),
        ({"action": "skip", "skip_phases": ["ddos_l7"]}, "custom_rules[0].skip_phases"),
    ],
)
def test_every_value_of_a_custom_rule_is_checked(changes: dict[str, Any], key: str) -> None:
    (problem,) = check_plan("pro", custom_rules=[rule(**changes)])
    assert problem.key == key


def test_a_missing_key_is_named() -> None:
    (problem,) = check_plan("pro", custom_rules=[{"description": "x", "expression": "true"}])  # type: ignore[list-item]
    assert (problem.key, problem.problem) == ("custom_rules[0].action", "is missing")


def test_two_rules_with_one_description_would_share_a_reference() -> None:
    problems = check_plan("pro", custom_rules=[rule(description="Block it"), rule(description="block: it")])
    assert [problem.key for problem in problems] == ["custom_rules[0].description", "custom_rules[1].description"]


def test_owasp_is_not_in_the_free_plan() -> None:
    (problem,) = check_plan("free", managed_rulesets=["free", "owasp"])
    assert (problem.key, problem.value) == ("managed_rulesets[1]", "owasp")
    assert check_plan("pro", managed_rulesets=["owasp"]) == []


@pytest.mark.parametrize(
    ("override", "key"),
    [({"action": "log"}, "ddos.action"), ({"sensitivity_level": "high"}, "ddos.sensitivity_level"), ({}, "ddos")],
)
def test_the_ddos_override_takes_what_the_plan_offers(override: Any, key: str) -> None:
    (problem,) = check_plan("business", ddos=override)
    assert problem.key == key


def test_a_plan_without_overrides_would_be_respected() -> None:
    none = DdosLimits(overrides=0, actions=["block"], sensitivity_levels=["low"])
    (problem,) = _check_ddos("free", none, {"action": "block"})
    assert problem.remedy == "remove ddos"


@pytest.mark.parametrize("plan", ["free", "pro", "business"])
def test_every_plan_may_override_the_ddos_ruleset(plan: str) -> None:
    assert check_plan(plan, ddos={"sensitivity_level": "low", "action": "managed_challenge"}) == []


def test_all_problems_come_together() -> None:
    problems = check_plan(
        "free",
        custom_rules=[rule(1, action="log"), rule(2, expression='http.host ~ "x"')],
        rate_limits=[limit(1, period=60), limit(2, timeout=600)],
        managed_rulesets=["owasp"],
        ddos={"action": "log"},
        dns_records=201,
    )
    assert [problem.key for problem in problems] == [
        "rate_limits",
        "hostnames",
        "custom_rules[0].action",
        "custom_rules[1].expression",
        "rate_limits[0].period",
        "rate_limits[1].timeout",
        "managed_rulesets[0]",
        "ddos.action",
    ]


def test_an_unknown_plan_is_the_only_problem() -> None:
    (problem,) = check_plan("gold", rate_limits=[limit(period=1)])
    assert problem.key == "plan"
    with pytest.raises(ProblemsError, match="free, pro, business"):
        find_plan("gold")


@given(number=st.integers(0, 130), plan=st.sampled_from(["free", "pro", "business"]))
def test_a_larger_plan_refuses_nothing_that_a_smaller_one_accepts(number: int, plan: str) -> None:
    rules = [rule(n) for n in range(number)]
    order = list(load_plans().plans)
    if not check_plan(plan, custom_rules=rules):
        for larger in order[order.index(plan) :]:
            assert check_plan(larger, custom_rules=rules) == []


@pytest.mark.parametrize("plan", ["free", "pro", "business"])
def test_every_managed_ruleset_of_a_plan_has_an_id(plan: str) -> None:
    plans = load_plans()
    assert set(plans.plans[plan].managed_rulesets) <= plans.managed_rulesets.keys()
    assert all(len(ruleset) == 32 and int(ruleset, 16) for ruleset in plans.managed_rulesets.values())


def test_checking_a_configuration_does_not_import_the_sdk() -> None:
    program = "import sys, components.edge as edge; edge.check_plan('pro'); print('pulumi_cloudflare' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
