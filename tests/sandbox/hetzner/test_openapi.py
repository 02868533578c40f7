"""Answers are held to Hetzner's document, and the holding is held to bad answers."""

import pytest

from .openapi import DOCUMENT, OpenApi, refusal_problems

needs_document = pytest.mark.skipif(
    not DOCUMENT.exists(), reason=f"{DOCUMENT.name} is not there: the shapes of answers are not checked"
)

LOCATION = {
    "id": 1,
    "name": "fsn1",
    "description": "Falkenstein DC Park 1",
    "country": "DE",
    "city": "Falkenstein",
    "latitude": 50.4,
    "longitude": 12.3,
    "network_zone": "eu-central",
}


@needs_document
def test_a_right_answer_has_no_problem() -> None:
    assert list(OpenApi().problems("GET", "/locations/1", 200, {"location": LOCATION})) == []


@needs_document
@pytest.mark.parametrize(
    ("location", "said"),
    [
        ({**LOCATION, "id": "1"}, "'1' is not of type 'integer'"),
        ({**LOCATION, "name": None}, "None is not of type 'string'"),
        ({**LOCATION, "moon": 1}, "'moon' was unexpected"),
        ({key: value for key, value in LOCATION.items() if key != "city"}, "'city' is a required property"),
    ],
)
def test_a_wrong_answer_is_caught(location: object, said: str) -> None:
    problems = list(OpenApi().problems("GET", "/locations/1", 200, {"location": location}))
    assert len(problems) == 1
    assert said in problems[0]


@needs_document
@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/moons", 200), ("PATCH", "/locations/1", 200), ("GET", "/locations/1", 201)]
)
def test_answers_that_nobody_promised_are_caught(method: str, path: str, status: int) -> None:
    assert len(list(OpenApi().problems(method, path, status, {"location": LOCATION}))) == 1


@pytest.mark.parametrize(
    "content",
    [
        None,
        {"message": "no"},
        {"error": {"code": "conflict", "message": ""}},
        {"error": {"code": "invalid_input", "message": "no", "details": None}},
        {"error": {"code": "uniqueness_error", "message": "no", "details": {"fields": [{"name": "name"}]}}},
    ],
)
def test_malformed_refusals_are_caught(content: object) -> None:
    assert list(refusal_problems(content)) != []


def test_a_well_formed_refusal_has_no_problem() -> None:
    details = {"fields": [{"name": "labels.a", "messages": ["is malformed"]}]}
    error = {"code": "invalid_input", "message": "no", "details": details}
    assert list(refusal_problems({"error": error})) == []
