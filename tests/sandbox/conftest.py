"""Emulated clouds without machines, a fresh Hetzner project for every test, and providers that are configured for them."""

from collections.abc import Callable, Iterator

import pytest
from hcloud import Client

from sandbox.clouds import Access, Options, ThreadedClouds
from sandbox.plugins.package import Package
from sandbox.plugins.packages import open_package


@pytest.fixture(scope="session")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedClouds]:
    """The clouds of a whole run."""
    with ThreadedClouds(tmp_path_factory.mktemp("clouds"), Options(rate_limit=False)) as running:
        yield running


@pytest.fixture
def access(clouds: ThreadedClouds) -> Access:
    """An empty Hetzner project of one's own."""
    return clouds.new_project()


@pytest.fixture
def hetzner(access: Access) -> Client:
    """The official client of that project."""
    return Client(access.token, api_endpoint=access.hetzner, poll_interval=0.01)


@pytest.fixture
def provider(access: Access) -> Callable[[str], Package]:
    """Opens a provider, configured for these clouds."""

    def opened(name: str) -> Package:
        package = open_package(name)
        package.configure(
            {
                "hcloud": {
                    "token": access.token,
                    "endpoint": access.hetzner,
                    "pollInterval": "10ms",
                    "pollFunction": "constant",
                },
                "cloudflare": {"apiToken": access.api_token, "baseUrl": access.cloudflare},
            }[name]
        )
        return package

    return opened
