"""Reading rule expressions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.edge.expressions import fields, syntax_problem, uses_regex


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("true", []),
        ('(http.host eq "a.b.c") and ip.src in {192.0.2.0/24 2001:db8::/32}', ["http.host", "ip.src"]),
        ("ip.src in $cf.anonymizer", ["ip.src"]),
        ('starts_with(lower(http.request.uri.path), "/api")', ["http.request.uri.path"]),
        ('http.request.headers["x-y"][0] eq "z" or not ssl', ["http.request.headers", "ssl"]),
        ('http.host eq r#"a "quoted" ip.src"# and http.host ne ""', ["http.host"]),
        ('http.user_agent eq "\\"ip.src"', ["http.user_agent"]),
    ],
)
def test_fields_are_what_stands_outside_of_strings(expression: str, expected: list[str]) -> None:
    assert fields(expression) == expected


@given(st.text(alphabet="abc.~ matches(){}[]", max_size=30))
def test_a_string_literal_hides_everything(text: str) -> None:
    expression = f'http.host eq "{text}"'
    assert fields(expression) == ["http.host"]
    assert not uses_regex(expression)
    assert syntax_problem(expression) is None


@pytest.mark.parametrize("expression", ['a.b matches "x"', 'a.b ~ "x"', '(a.b)matches"x"', 'a.b\nmatches\n"x"'])
def test_both_spellings_of_the_regex_operator_count(expression: str) -> None:
    assert uses_regex(expression)


def test_a_field_whose_name_contains_the_operator_is_none() -> None:
    assert not uses_regex("http.matches.count gt 1 and http.rematches eq 2")


@pytest.mark.parametrize("expression", ["  ", "(", ")", "(a.b]", 'a.b eq "', "x" * 4097])
def test_what_cannot_be_an_expression_is_said(expression: str) -> None:
    assert syntax_problem(expression)
