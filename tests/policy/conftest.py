"""A real API server for the personas: the one that the sandbox's own tests use."""

from typing import Any

import pytest
import yaml
from kubernetes import client, config, dynamic

from components.policy import cluster_roles
from tests.sandbox.kubernetes.conftest import ControlPlane, api, core, kinds, plane

__all__ = ["api", "core", "kinds", "plane", "roles"]


@pytest.fixture(scope="package")
def roles(kinds: dynamic.DynamicClient) -> None:
    """The ClusterRoles of all personas."""
    made: Any = kinds.resources.get(api_version="rbac.authorization.k8s.io/v1", kind="ClusterRole")
    for manifest in cluster_roles():
        made.create(body=manifest)


def requests_of(plane: ControlPlane, user: str, groups: list[str]) -> client.ApiClient:
    """Real requests in somebody's name."""
    made = config.new_client_from_config_dict(yaml.safe_load(plane.kubeconfig))
    made.set_default_header("Impersonate-User", user)
    # One header; the client cannot send it twice.
    (group,) = groups
    made.set_default_header("Impersonate-Group", group)
    return made
