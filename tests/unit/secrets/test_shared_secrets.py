"""The secrets on which both regions must agree."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.problem import ProblemsError
from components.secrets import SHARED_SECRETS, SharedSecrets, check_generations
from tests.unit.edge.recording import Recording, record

NAMES = {
    "data_ca",
    "mesh_trust_anchor",
    "origin_pull_ca",
    "replication",
    "rewind",
    "application",
    "archive_cipher",
    "vault_seal_key",
}
RENEWABLE = ("PrivateKey", "RandomPassword", "RandomBytes")


def secrets(generations: dict[str, int] | None = None, *, preview: bool = False) -> Recording:
    def program() -> dict[str, Any]:
        made = SharedSecrets("shared", {} if generations is None else {"generations": generations})
        exports: dict[str, Any] = dict(made.values)
        for name, authority in made.authorities.items():
            exports[name] = authority.private_key
            exports[f"{name}_certificate"] = authority.certificate
        return exports

    return record(program, preview=preview)


@pytest.fixture(scope="module")
def deployed() -> Recording:
    return secrets()


def test_all_of_them_are_there_and_secret(deployed: Recording) -> None:
    assert deployed.secret_exports == NAMES
    certificates = {"data_ca_certificate", "mesh_trust_anchor_certificate", "origin_pull_ca_certificate"}
    assert deployed.exports.keys() == NAMES | certificates
    assert len(set(deployed.exports.values())) == len(deployed.exports)


def test_no_key_stands_in_plain_inputs(deployed: Recording) -> None:
    for resource in deployed.resources.values():
        assert "private key of" not in str(resource.inputs)
        assert "privateKeyPem" not in resource.inputs or "privateKeyPem" in resource.secret_inputs


def test_authorities_are_authorities_for_ten_years(deployed: Recording) -> None:
    roots = deployed.of("SelfSignedCert")
    assert len(roots) == 3
    for root in roots.values():
        assert root.inputs["isCaCertificate"] is True
        assert root.inputs["validityPeriodHours"] == 87_600
    assert roots["shared-mesh-trust-anchor-certificate"].inputs["subject"] == {
        "commonName": "root.linkerd.cluster.local"
    }
    assert {key.inputs["algorithm"] for key in deployed.of("PrivateKey").values()} == {"ECDSA"}


def test_passwords_need_no_quoting_and_the_seal_takes_32_bytes(deployed: Recording) -> None:
    passwords = deployed.of("RandomPassword")
    assert len(passwords) == 4
    assert all(password.inputs["special"] is False for password in passwords.values())
    assert all(password.inputs["length"] >= 40 for password in passwords.values())
    assert deployed.of("RandomBytes")["shared-vault-seal-key"].inputs["length"] == 32


def test_the_first_generation_sets_the_trigger(deployed: Recording) -> None:
    triggers = [r.replacement_trigger for kind in RENEWABLE for r in deployed.of(kind).values()]
    assert triggers == [1] * len(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_raising_a_generation_renews_that_secret_alone(deployed: Recording, name: str) -> None:
    renewed = secrets({name: 2})
    changed = [key for key, resource in deployed.resources.items() if resource != renewed.resources[key]]
    (key,) = changed
    assert key.split("/")[1].removesuffix("-key") == f"shared-{name.replace('_', '-')}".removesuffix("-key")
    assert renewed.resources[key].replacement_trigger == 2


def test_the_preview_registers_what_the_deployment_does(deployed: Recording) -> None:
    assert secrets(preview=True).resources.keys() == deployed.resources.keys()


def test_what_cannot_be_renewed_registers_nothing() -> None:
    def program() -> dict[str, Any]:
        with pytest.raises(ProblemsError, match="did you mean replication"):
            SharedSecrets("shared", {"generations": {"replicaton": 2}})
        return {}

    assert record(program).resources == {}


@pytest.mark.parametrize("generation", [0, -1, True, "2", 1.5, None])
def test_a_generation_is_a_number_from_1_on(generation: Any) -> None:
    (problem,) = check_generations({"rewind": generation}, SHARED_SECRETS)
    assert (problem.key, problem.value) == ("generations.rewind", generation)


@given(st.dictionaries(st.sampled_from(SHARED_SECRETS), st.integers(1, 10**6)))
def test_numbers_from_1_on_are_accepted(generations: dict[str, int]) -> None:
    assert check_generations(generations, SHARED_SECRETS) == []
