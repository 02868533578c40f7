"""What a tenant's namespace reads its secrets with, what the engine is started with, and what is refused before anything is made."""

import base64
import functools
import json
from collections.abc import Callable
from typing import Any, TypedDict

import jsonschema
import pulumi
import pytest
import yaml

from components.layer import Layer, chart_values, merged, policies
from components.problem import ProblemsError
from components.secrets import MissingCredentialsError, SecretsManager, SecretStores, Vault, openbao, store
from components.secrets.secret_stores import check, operator_flows, vault_configuration
from sandbox import inprocess
from sandbox.deployment import Deployment, DeploymentFailed
from sandbox.plugins.values import Secret
from tests import upstream
from tests.rules import flow_names, rule_of
from tests.unit.certificates.test_certificates import strict
from tests.waiting import before

Golden = Callable[[str, str], None]

PEM = "-----BEGIN CERTIFICATE-----\nroots\n-----END CERTIFICATE-----\n"
KEY = base64.b64encode(bytes(32)).decode()
OPENBAO = Vault(openbao.ADDRESS, PEM)
AWS = SecretsManager(
    "eu-central-1",
    "hetzner-platform/",
    {"orders-production": {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "s"}},
)
NAMESPACE = "orders-production"


def deploy(**changes: Any) -> tuple[Deployment, SecretStores]:
    made: list[SecretStores] = []

    def program() -> None:
        pin = {"repository": "https://charts.example.com", "version": "1.0.0"}
        arguments: Any = {
            "charts": dict.fromkeys(("external-secrets", "reloader", "openbao", "vault"), pin),
            "authority": PEM,
            "seal": {"key": pulumi.Output.secret(KEY), "generation": 1},
            **changes,
        }
        made.append(SecretStores("secrets", arguments))

    deployment = inprocess.run(program, project="test", stack="test", preview=False, skipped=frozenset({"kubernetes"}))
    return deployment, made[0]


@pytest.fixture(scope="module")
def deployed() -> Deployment:
    return deploy()[0]


def kinds(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in manifests}


def test_what_a_namespace_is_given_is_as_reviewed(golden: Golden) -> None:
    given = store(OPENBAO, NAMESPACE, ["orders-developers"])
    golden("secrets/openbao-store.yaml", yaml.safe_dump_all(given, sort_keys=False))
    golden("secrets/aws-store.yaml", yaml.safe_dump_all(store(AWS, NAMESPACE), sort_keys=False))


def test_what_openbao_is_started_with_is_as_reviewed(golden: Golden) -> None:
    golden("secrets/openbao.json", json.dumps(openbao.configuration(3, 2, previous=True), indent=2) + "\n")
    golden("secrets/initialize.json", json.dumps(openbao.initialization(), indent=2) + "\n")


def test_the_namespaces_flows_are_as_reviewed(golden: Golden) -> None:
    of_engine, of_operator = policies("openbao", openbao.flows()), policies("external-secrets", operator_flows(OPENBAO))
    golden("secrets/policies.yaml", yaml.safe_dump_all([*of_engine, *of_operator], sort_keys=False))


@functools.cache
def specification(definition: str, version: str) -> Any:
    return strict(upstream.versions(definition)[version]["properties"]["spec"])


@pytest.mark.parametrize(
    ("manifest", "definition"),
    [
        (store(OPENBAO, NAMESPACE)[-1], "external-secrets/secretstores.external-secrets.io"),
        (
            store(Vault("https://vault.example.com"), NAMESPACE)[-1],
            "external-secrets/secretstores.external-secrets.io",
        ),
        (store(AWS, NAMESPACE)[-1], "external-secrets/secretstores.external-secrets.io"),
        (openbao.certificate("internal"), "cert-manager/certificates.cert-manager.io"),
    ],
    ids=["openbao", "vault elsewhere", "aws", "certificate"],
)
def test_custom_resources_fit_their_definitions(manifest: dict[str, Any], definition: str) -> None:
    schema = specification(definition, manifest["apiVersion"].partition("/")[2])
    # Without a look at the schema itself: that is Kubernetes' own, and would take seconds.
    fits = jsonschema.Draft202012Validator(schema)
    assert list(fits.iter_errors(manifest["spec"])) == []
    (error,) = fits.iter_errors({**manifest["spec"], "surplus": True})
    assert "surplus" in error.message


def test_the_operator_gets_tokens_of_the_reader_alone() -> None:
    given = kinds(store(OPENBAO, NAMESPACE, ["orders-developers"]))
    (rule,) = given["Role/external-secrets-token"]["rules"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["serviceaccounts/token"],
        "resourceNames": ["secrets-reader"],
        "verbs": ["create"],
    }
    (subject,) = given["RoleBinding/external-secrets-token"]["subjects"]
    assert (subject["kind"], subject["namespace"], subject["name"]) == (
        "ServiceAccount",
        "external-secrets",
        "external-secrets",
    )
    assert chart_values("external-secrets")["rbac"]["serviceAccountTokenCreate"] is False


def test_no_account_carries_a_token() -> None:
    given = [each for each in store(OPENBAO, NAMESPACE) if each["kind"] == "ServiceAccount"]
    assert [each["automountServiceAccountToken"] for each in given] == [False, False]


def test_nobody_writes_unless_a_group_is_named() -> None:
    assert "RoleBinding/secrets-writer" not in kinds(store(OPENBAO, NAMESPACE))
    binding = kinds(store(OPENBAO, NAMESPACE, ["orders-developers"]))["RoleBinding/secrets-writer"]
    assert [subject["name"] for subject in binding["subjects"]] == ["orders-developers"]


def test_the_same_key_names_a_secret_with_every_engine() -> None:
    """``<namespace>/<name>``: neither mount nor prefix stands in it."""
    assert kinds(store(OPENBAO, NAMESPACE))["SecretStore/tenant"]["spec"]["provider"]["vault"]["path"] == "tenants"
    assert (
        kinds(store(AWS, NAMESPACE))["SecretStore/tenant"]["spec"]["provider"]["aws"]["prefix"] == "hetzner-platform/"
    )


class Nothing(TypedDict):
    """Arguments of a layer that takes none."""


def test_credentials_for_aws_are_secret_in_the_state() -> None:
    def program() -> None:
        layer = Layer("Test", "test", {}, Nothing, None, ())
        for manifest in store(AWS, NAMESPACE):
            layer.manifest(manifest)

    made = inprocess.run(program, project="test", stack="test", preview=False, skipped=frozenset({"kubernetes"}))
    (state,) = [each for each in made.states if each.urn.endswith("secrets-reader-secret")]
    assert isinstance(state.outputs["stringData"], Secret)
    assert [each.urn for each in made.states if "AKIAEXAMPLE" in texts(each.outputs)] == [state.urn]


def test_a_namespace_without_credentials_of_its_own_has_no_store_at_aws() -> None:
    with pytest.raises(MissingCredentialsError, match="namespace billing-production has no credentials for AWS"):
        store(AWS, "billing-production")


def test_nothing_that_reaches_across_namespaces_is_looked_at() -> None:
    values = chart_values("external-secrets")
    across = [key for key in values if key.startswith("process")]
    assert sorted(across) == [
        "processClusterExternalSecret",
        "processClusterGenerator",
        "processClusterPushSecret",
        "processClusterStore",
        "processPushSecret",
    ]
    assert not any(values[key] for key in across)


def test_the_seal_key_stands_in_a_secret_and_nowhere_else(deployed: Deployment) -> None:
    key = base64.b64encode(bytes(32)).decode()
    holders = [state.urn.rpartition("::")[2] for state in deployed.states if key in texts(state.outputs)]
    assert holders == ["secrets-openbao-openbao-unseal-secret"]
    (state,) = [each for each in deployed.states if each.urn.endswith(holders[0])]
    assert isinstance(state.outputs["stringData"], Secret)


def texts(value: Any) -> list[str]:
    if isinstance(value, Secret):
        return texts(value.value)
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    return [text for each in value for text in texts(each)] if isinstance(value, list) else [str(value)]


def test_openbao_waits_for_its_certificate_its_key_and_what_it_initialises_with(deployed: Deployment) -> None:
    names = before(deployed.resources, "secrets-openbao")
    assert {
        "secrets-openbao-openbao-tls-certificate",
        "secrets-openbao-openbao-unseal-secret",
        "secrets-openbao-openbao-initialize-config-map",
    } <= names


def test_the_key_before_is_given_only_while_it_is_handed_over() -> None:
    seal = {"key": "new", "generation": 2, "previous": "old"}
    handed, _ = deploy(seal=seal)
    (state,) = [each for each in handed.states if each.urn.endswith("openbao-unseal-secret")]
    content = state.outputs["stringData"]
    assert (content.value if isinstance(content, Secret) else content) == {"current": "new", "previous": "old"}
    given = openbao.configuration(3, 2, previous=True)["seal"]["static"]
    assert (given["current_key_id"], given["previous_key_id"]) == ("generation-2", "generation-1")
    assert "previous_key" not in openbao.configuration(3, 2, previous=False)["seal"]["static"]


def test_the_charts_script_leaves_the_configuration_as_it_is() -> None:
    """It is a template of Helm's, and a script replaces these words in it."""
    for text in (
        json.dumps(openbao.configuration(3, 1, previous=True), indent=2),
        json.dumps(vault_configuration(3), indent=2),
    ):
        assert [
            word
            for word in ("{{", "HOST_IP", "POD_IP", "HOSTNAME", "API_ADDR", "RAFT_ADDR", "TRANSIT_ADDR")
            if word in text
        ] == []


def test_the_init_container_runs_the_servers_program() -> None:
    server = chart_values("openbao")["server"]
    image = server["image"]
    (container,) = server["extraInitContainers"]
    assert container["image"] == f"{image['registry']}/{image['repository']}:{image['tag']}"


def test_the_program_is_of_the_version_that_the_chart_brings() -> None:
    chart = upstream.document("openbao/Chart.yaml")
    assert chart["appVersion"].removeprefix("v") == chart_values("openbao")["server"]["image"]["tag"]


@pytest.mark.parametrize("chart", ["openbao", "vault", "reloader", "external-secrets"])
def test_values_fit_the_charts_schema(chart: str) -> None:
    schema, theirs = upstream.values_schema(chart), upstream.values(chart)
    overlay = {"server": {"ha": {"replicas": 3, "raft": {"config": "{}"}}}} if chart in ("openbao", "vault") else {}
    # Their $schema is the draft's name in other words.
    jsonschema.Draft7Validator(schema).validate(merged(merged(theirs, chart_values(chart)), overlay))


def test_every_name_that_the_servers_are_asked_by_stands_in_their_certificate() -> None:
    names = set(openbao.certificate("internal")["spec"]["dnsNames"])
    redirected = chart_values("openbao")["server"]["ha"]["apiAddr"].replace("$(BAO_K8S_POD_NAME)", "openbao-2")
    asked = [
        address.partition("://")[2].partition(":")[0] for address in (openbao.ADDRESS, redirected, *openbao.peers(3))
    ]
    assert len(asked) == 5
    for host in asked:
        assert host in names or f"*.{host.partition('.')[2]}" in names


def namespaced(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


@pytest.mark.parametrize(
    ("engine", "allowed"),
    [
        (OPENBAO, {"to": [namespaced("openbao")], "ports": [{"protocol": "TCP", "port": 8200}]}),
        (
            Vault("https://10.1.9.9:8200"),
            {"to": [{"ipBlock": {"cidr": "10.1.9.9/32"}}], "ports": [{"protocol": "TCP", "port": 8200}]},
        ),
        # The Service's number need not be the pod's.
        (Vault("https://vault.security.svc.cluster.local"), {"to": [namespaced("security")]}),
    ],
    ids=["in the cluster", "on an address", "another's in the cluster"],
)
def test_the_operator_reaches_its_engine_and_nothing_else(engine: Vault, allowed: dict[str, Any]) -> None:
    made = policies("external-secrets", operator_flows(engine))
    assert rule_of(made, "to-engine") == allowed
    assert flow_names(made) == {"dns", "to-api-server", "webhooks", "metrics", "to-engine"}


def test_aws_is_the_internet_without_what_is_private() -> None:
    (peer,) = rule_of(policies("external-secrets", operator_flows(AWS)), "to-engine")["to"]
    assert peer["ipBlock"]["cidr"] == "0.0.0.0/0"
    assert "10.0.0.0/8" in peer["ipBlock"]["except"]


def test_a_vault_that_is_there_already_is_only_spoken_to() -> None:
    made, stores = deploy(engine="vault", address="https://vault.example.com:8200", authority=PEM)
    releases = {each.name for each in made.resources if each.type.endswith(":Release")}
    assert releases == {"secrets-reloader", "secrets-external-secrets"}
    assert stores.engine == Vault("https://vault.example.com:8200", PEM)


def test_vault_can_be_run_here() -> None:
    made, stores = deploy(engine="vault")
    assert "secrets-vault" in {each.name for each in made.resources if each.type.endswith(":Release")}
    assert stores.engine == Vault("https://vault.vault.svc:8200", PEM)


SEAL: Any = {"key": KEY, "generation": 1}


@pytest.mark.parametrize(
    ("arguments", "key", "what"),
    [
        ({"engine": "etcd"}, "engine", "is no secrets engine"),
        ({}, "seal", "could not unseal itself"),
        ({"seal": {**SEAL, "generation": 0}}, "seal.generation", "is no generation"),
        ({"seal": {**SEAL, "previous": "old"}}, "seal.previous", "belongs to no generation"),
        ({"engine": "aws"}, "aws", "is missing"),
        ({"seal": SEAL, "address": "https://vault.example.com"}, "address", "has no effect: the engine is openbao"),
        ({"engine": "vault", "address": "http://vault.example.com"}, "address", "over TLS"),
        ({"seal": SEAL, "replicas": 2}, "replicas", "an even number"),
    ],
)
def test_what_would_leave_tenants_without_secrets_is_refused(arguments: Any, key: str, what: str) -> None:
    (problem,) = check({"charts": {}, **arguments})
    assert (problem.key, what in problem.problem) == (key, True)


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ({}, ["reloader", "external-secrets", "openbao"]),
        ({"engine": "vault"}, ["reloader", "external-secrets", "vault"]),
        ({"engine": "vault", "address": "https://vault.example.com"}, ["reloader", "external-secrets"]),
        ({"engine": "aws", "aws": {"region": "eu-central-1"}}, ["reloader", "external-secrets"]),
    ],
    ids=["openbao", "vault here", "vault elsewhere", "aws"],
)
def test_a_chart_that_is_installed_and_not_pinned_is_refused(arguments: Any, missing: list[str]) -> None:
    with pytest.raises(DeploymentFailed) as failure:
        deploy(charts={}, **arguments)
    told = [line.partition(" = ")[0].strip(" -") for line in str(failure.value).splitlines() if "is not pinned" in line]
    assert told == [f"charts.{chart}" for chart in missing]


def test_nothing_is_refused_of_what_is_right() -> None:
    assert check({"charts": {}, "seal": SEAL}) == []
    assert check({"charts": {}, "engine": "aws", "aws": {"region": "eu-central-1"}}) == []
    assert check({"charts": {}, "engine": "vault"}) == []


def test_an_unknown_engine_registers_nothing() -> None:
    with pytest.raises(ProblemsError, match="write one of openbao, vault, aws"):
        SecretStores("secrets", {"charts": {}, "engine": "etcd"})  # pyright: ignore[reportArgumentType]
