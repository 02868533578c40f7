"""The ingress as a dump, one's own to spoil."""

import copy

import pytest

from sandbox.deployment import Deployment

from .checker import Expected
from .dump import Dump
from .objects import BALANCER, authority_of, deployment, dump_of


@pytest.fixture(scope="session")
def deployed() -> Deployment:
    return deployment()


@pytest.fixture(scope="session")
def expected(deployed: Deployment) -> Expected:
    return Expected(BALANCER, authority_of(deployed))


@pytest.fixture(scope="session")
def whole(deployed: Deployment) -> Dump:
    return dump_of(deployed)


@pytest.fixture
def dump(whole: Dump) -> Dump:
    """All as it must be."""
    return copy.deepcopy(whole)
