"""The way of a secret from the engine to a namespace: our objects on the real API server, the real engine behind them.

External Secrets itself does not run here: what it is allowed to ask is asked as its account.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from components.secrets import Vault, openbao, store
from tests.discovery import discovered

from .conftest import Cluster

TENANT, OTHER = "shop-production", "shop-staging"
OPERATOR = "system:serviceaccount:external-secrets:external-secrets"
Acting = Callable[[str, str], client.CoreV1Api]


@pytest.fixture(scope="module", autouse=True)
def tenants(cluster: Cluster) -> None:
    """Two namespaces with all that they are given, but for the store itself, whose kind is not served here."""
    kinds = discovered(cluster.core.api_client)
    for namespace in (TENANT, OTHER):
        cluster.core.create_namespace({"metadata": {"name": namespace}})
        for manifest in store(Vault(openbao.ADDRESS, "PEM"), namespace, [f"{namespace}-developers"]):
            if manifest["kind"] != "SecretStore":
                kind = kinds.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
                kinds.create(kind, body=manifest, namespace=namespace)


@pytest.fixture
def acting(cluster: Cluster) -> Iterator[Acting]:
    """The API, as somebody else sees it."""
    opened: list[client.ApiClient] = []

    def impersonating(user: str, group: str) -> client.CoreV1Api:
        made = config.new_client_from_config_dict(yaml.safe_load(cluster.plane.kubeconfig))
        made.set_default_header("Impersonate-User", user)
        made.set_default_header("Impersonate-Group", group)
        opened.append(made)
        return client.CoreV1Api(made)

    yield impersonating
    for each in opened:
        each.close()


def token(api: client.CoreV1Api, account: str, namespace: str) -> Any:
    body = {"spec": {"audiences": ["openbao"], "expirationSeconds": 600}}
    return api.create_namespaced_service_account_token(account, namespace, body)


def test_what_a_developer_writes_the_operator_reads_for_that_namespace_alone(cluster: Cluster, acting: Acting) -> None:
    developer, operator = acting("dev", f"{TENANT}-developers"), acting(OPERATOR, "system:serviceaccounts")
    jwt = token(developer, "secrets-writer", TENANT).status.token
    writer = cluster.logged_in("secrets-writer", jwt)
    path = f"tenants/data/{TENANT}/database"
    assert cluster.ask("POST", path, token=writer, data={"password": "written"}).status_code == 200
    answers: list[int] = []
    for namespace in (TENANT, OTHER):
        jwt = token(operator, "secrets-reader", namespace).status.token
        answers.append(cluster.ask("GET", path, token=cluster.logged_in("secrets-reader", jwt)).status_code)
    assert answers == [200, 403]


@pytest.mark.parametrize(
    ("user", "group", "account", "namespace"),
    [
        (OPERATOR, "system:serviceaccounts", "secrets-writer", TENANT),
        (OPERATOR, "system:serviceaccounts", "default", TENANT),
        (OPERATOR, "system:serviceaccounts", "openbao", "openbao"),
        ("dev", f"{TENANT}-developers", "secrets-writer", OTHER),
        ("dev", f"{TENANT}-developers", "secrets-reader", TENANT),
        ("dev", f"{TENANT}-developers", "operator", "openbao"),
        ("somebody", "system:authenticated", "secrets-reader", TENANT),
    ],
)
def test_tokens_of_no_other_account_are_to_be_had(
    acting: Acting, user: str, group: str, account: str, namespace: str
) -> None:
    with pytest.raises(client.ApiException) as refused:
        token(acting(user, group), account, namespace)
    assert refused.value.status == 403
