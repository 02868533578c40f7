"""The identity provider of config/access.yaml reaches the servers' configuration, and what is no provider is refused."""

from pathlib import Path
from typing import Any

import pytest

from sandbox.deployment import Deployment
from tests.graph.conftest import Runner, clouds, runner  # noqa: F401 - fixtures
from tests.unit.stacks.edited import ACCESS, Edited

PROVIDER = {"issuer": "https://login.example.com/realms/platform", "client_id": "kubernetes"}


def configurations(made: Deployment) -> dict[str, str]:
    """Of each machine: what stands for its user_data, secrets aside."""
    servers = [each for each in made.resources if each.type == "hcloud:index/server:Server"]
    return {each.inputs["name"]: each.inputs["labels"]["config"] for each in servers}


def test_servers_take_it_up_and_agents_do_not(runner: Runner) -> None:  # noqa: F811
    before = configurations(runner.run("prod"))

    def provider(document: Any) -> None:
        document["oidc"] = PROVIDER

    after = configurations(runner.edit("config/access.yaml", provider).run("prod"))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"fsn1-server-1", "fsn1-server-2", "fsn1-server-3"}
    assert set(before) > changed, "agents too"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"issuer": "http://login.example.com"}, "oidc.issuer"),
        ({"issuer": "https://login.example.com?realm=a"}, "oidc.issuer"),
        ({"client_id": ""}, "oidc.client_id"),
        ({"groups_claim": "my groups"}, "oidc.groups_claim"),
        ({"certificate_authority": "/etc/ssl/ca.pem"}, "oidc.certificate_authority"),
        ({"groups_prefix": "oidc:"}, "oidc.groups_prefix"),
    ],
)
def test_what_is_no_provider_is_refused_by_its_key(change: dict[str, str], key: str, tmp_path: Path) -> None:
    edited = Edited(tmp_path).put(ACCESS, ("oidc",), {**PROVIDER, **change})
    assert [(file, found) for file, found, *_ in edited.said("prod")] == [(ACCESS, key)]
