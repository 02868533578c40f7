"""The list of the platform's namespaces is what the stacks make: a new layer's is not forgotten, an old one's does not linger."""

from typing import Any

import pytest

from components.policy import EXEMPT_NAMESPACES, OPERATED_NAMESPACES
from components.tenancy import TENANT_NAMESPACES
from sandbox.deployment import Deployment
from stacks.tenant_checks import RESERVED
from tests.graph.conftest import Runner, clouds  # noqa: F401 - a fixture

KUBERNETES_OWN = {"kube-node-lease", "kube-public", "kube-system"}
LATER = {"argocd", "monitoring"}
"""Of layers that are not there yet, but are named in policies."""


def vault(document: Any) -> None:
    document["secrets"] = {"engine": "vault"}


def namespaces(made: Deployment) -> set[str]:
    """Those that are no tenant's."""
    found = [each.inputs["metadata"] for each in made.resources if each.type == "kubernetes:core/v1:Namespace"]
    return {each["name"] for each in found if not TENANT_NAMESPACES.items() <= each["labels"].items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, clouds: Any) -> dict[str, set[str]]:  # noqa: F811
    """By what is configured: the namespaces that a region makes."""
    regions = {stack: namespaces(_runner(tmp_path_factory, clouds).run(stack)) for stack in ("prod", "dr")}
    return {
        **regions,
        "vault": namespaces(_runner(tmp_path_factory, clouds).edit("config/platform.yaml", vault).run("dr")),
    }


def _runner(factory: pytest.TempPathFactory, clouds: Any) -> Runner:  # noqa: F811
    return Runner(factory.mktemp("stacks"), clouds)


def test_the_list_is_what_the_stacks_make(made: dict[str, set[str]]) -> None:
    """Else the isolation of tenants would refuse what a layer makes in its own, or hold nowhere."""
    assert set.union(*made.values()) == set(EXEMPT_NAMESPACES) - KUBERNETES_OWN - LATER
    assert len(EXEMPT_NAMESPACES) == len(set(EXEMPT_NAMESPACES))


def test_regions_differ_by_gpus_and_the_engine_alone(made: dict[str, set[str]]) -> None:
    assert made["prod"] - made["dr"] == {"gpu"}
    assert made["dr"] ^ made["vault"] == {"openbao", "vault"}


def test_operators_mend_what_every_region_has(made: dict[str, set[str]]) -> None:
    assert set(OPERATED_NAMESPACES) <= set.intersection(*made.values())


def test_no_tenant_is_called_as_a_namespace_of_the_platform() -> None:
    assert set(EXEMPT_NAMESPACES) <= RESERVED
