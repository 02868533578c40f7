"""Answers are held to Hetzner's document, and the holding is held to bad answers."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox.clouds import Access
from sandbox.hetzner.servers import Servers

from .emulator import Emulator
from .openapi import DOCUMENT, OpenApi, refusal_problems
from .watch import Watch

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


def _broken(show: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    return lambda *args: show(*args) | {"moon": 1}


@needs_document
def test_a_wrong_answer_is_caught_wherever_it_is_given(
    access: Access, emulator: Emulator, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = emulator.made("/placement_groups", {"name": "spread", "type": "spread"})
    assert watch.problems() == []
    kind = type(emulator.cloud.kinds["placement_groups"])
    monkeypatch.setattr(kind, "show", _broken(kind.show))
    emulator.ask("GET", f"/placement_groups/{made['id']}")
    headers = {"Authorization": f"Bearer {access.token}"}
    body = {"name": "spread", "type": "spread"}
    httpx.post(f"{access.hetzner}/placement_groups", json=body, headers=headers).raise_for_status()
    problems = watch.problems()
    assert [each.partition(":")[0] for each in problems] == [
        "GET /placement_groups/{id} 200",
        "POST /placement_groups 201",
    ]
    assert all("'moon' was unexpected" in each for each in problems)


def test_an_error_of_the_emulator_is_caught(access: Access, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Servers, "all", lambda *_: 1 / 0)
    headers = {"Authorization": f"Bearer {access.token}"}
    assert httpx.get(f"{access.hetzner}/servers", headers=headers).status_code == 500
    (problem,) = watch.problems()
    assert problem.startswith("GET /v1/servers 500: ")
