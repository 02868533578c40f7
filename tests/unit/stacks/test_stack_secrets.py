"""Secrets that are JSON by namespace: the sandbox's dummies have the form, and any other is told before a deployment, unseen."""

import json
from typing import Any

import pytest

from sandbox.scratch import dummies, dummy
from stacks.stack_secrets import DOCUMENTS, possible_secrets
from tests.unit.stacks.edited import PLATFORM, PROD, Edited

AWS, STORE = "hetzner-platform:awsCredentials", "hetzner-platform:objectStoreCredentials"

CHOICES: dict[str, tuple[str, dict[str, Any]]] = {
    AWS: ("secrets", {"engine": "aws", "aws": {"region": "eu-central-1"}}),
    STORE: ("object_store", {"kind": "hetzner", "endpoint": "https://fsn1.your-objectstorage.com", "location": "fsn1"}),
}
"""What of config/platform.yaml needs the secret."""

NAMESPACES = {
    AWS: ["accounts-production", "accounts-staging", "gateway-production", "gateway-staging", "ml-production"],
    STORE: ["accounts-production", "ml-production"],
}
"""Of the committed tenants: all of them, and those with buckets."""

FIELDS = {AWS: ["access_key_id", "secret_access_key"], STORE: ["access_key", "secret_key"]}
PAIR = {"access_key_id": "s3cr3t", "secret_access_key": "s3cr3t"}


def chosen(edited: Edited, key: str) -> Edited:
    """The committed configuration with the choice that needs the secret."""
    block, content = CHOICES[key]
    return edited.put(PLATFORM, (block,), content)


def told(edited: Edited, key: str, text: str) -> list[str]:
    """What is said of a secret's text; of nothing else, and without showing any of it."""
    edited.secrets = {key: text}
    said = edited.said()
    assert {(file, at, value) for file, at, value, _, _ in said} == {(PROD, key, None)}
    assert all(remedy.endswith(f", and run: pulumi config set --secret {key} -s prod") for *_, remedy in said)
    assert "s3cr3t" not in str(edited.refused())
    return [problem for *_, problem, _ in said]


@pytest.mark.parametrize("key", DOCUMENTS)
def test_the_dummy_of_a_document_has_its_form_and_says_what_it_is(key: str, edited: Edited) -> None:
    content = json.loads(dummies(edited.directory, "prod")[key])
    assert content == {namespace: dict.fromkeys(FIELDS[key], dummy(key)) for namespace in NAMESPACES[key]}
    chosen(edited, key).read("prod")


def test_every_other_dummy_is_plain_text(edited: Edited) -> None:
    made = dummies(edited.directory, "prod")
    assert list(made) == list(possible_secrets("prod"))
    assert {key for key, value in made.items() if value != dummy(key)} == {AWS, STORE}


def test_dummies_need_no_tenants_that_can_be_read(edited: Edited) -> None:
    edited.write("config/tenants.yaml", "accounts: [")
    assert json.loads(dummies(edited.directory, "prod")[AWS]) == {}


@pytest.mark.parametrize("key", DOCUMENTS)
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("s3cr3t", "is no JSON"),
        ('{"accounts-production": {"s3cr3t": ', "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('"s3cr3t"', "is JSON, but holds nothing by namespace"),
        ('["s3cr3t"]', "is JSON, but holds nothing by namespace"),
        ("null", "is JSON, but holds nothing by namespace"),
    ],
)
def test_a_text_without_the_form_is_refused(key: str, text: str, problem: str, edited: Edited) -> None:
    assert told(chosen(edited, key), key, text) == [problem]


def test_all_that_is_missing_or_unknown_is_told_at_once(edited: Edited) -> None:
    content = {
        "accounts-production": {"access_key_id": "s3cr3t"},
        "accounts-staging": {**PAIR, "s3cr3t-region": "s3cr3t", "s3cr3t-token": "s3cr3t"},
        "gateway-production": {"access_key_id": " ", "secret_access_key": 7, "access_key": "s3cr3t"},
        "gateway-staging": "s3cr3t",
        "s3cr3t-production": PAIR,
    }
    known = "known are access_key_id and secret_access_key"
    assert told(chosen(edited, AWS), AWS, json.dumps(content)) == [
        "holds no secret_access_key for accounts-production",
        f"holds 2 unknown fields for accounts-staging; {known}",
        "holds no access_key_id for gateway-production",
        "holds no secret_access_key for gateway-production",
        f"holds 1 unknown field for gateway-production; {known}",
        "holds no fields for gateway-staging",
        "holds nothing for ml-production",
    ]


def test_the_remedy_is_an_example_of_the_namespace(edited: Edited) -> None:
    content = {"accounts-production": {"access_key": "k", "secret_key": "s"}}
    chosen(edited, STORE).secrets = {STORE: json.dumps(content)}
    example = '{"ml-production": {"access_key": "...", "secret_key": "..."}}'
    remedy = f"write JSON such as {example}, and run: pulumi config set --secret {STORE} -s prod"
    assert edited.said() == [(PROD, STORE, None, "holds nothing for ml-production", remedy)]


def test_a_namespace_may_have_its_keys_before_it_is_there(edited: Edited) -> None:
    content = dict.fromkeys([*NAMESPACES[AWS], "orders-production"], PAIR)
    chosen(edited, AWS).secrets = {AWS: json.dumps(content)}
    edited.read("prod")


def test_nobody_reads_a_document_that_the_configuration_does_not_need(edited: Edited) -> None:
    edited.secrets = {AWS: "s3cr3t", STORE: "s3cr3t"}
    edited.read("prod")


def test_a_document_in_clear_is_refused_and_its_form_told_as_well(edited: Edited) -> None:
    chosen(edited, AWS).plain = {AWS}
    edited.secrets = {AWS: "s3cr3t"}
    assert [problem for *_, problem, _ in edited.said()] == ["is stored in clear", "is no JSON"]
