"""The repository's example values are named before they are deployed, and nothing else is."""

import pytest

from stacks.placeholders import placeholders
from tests.unit.stacks.edited import ACCESS, PLATFORM, PROD, REGIONS, SHARED, TENANTS, Edited

PLATFORM_EXAMPLES = [
    "config/platform.yaml acme.email (platform@example.com)",
    "config/platform.yaml image_registries[0] (registry.example.com/)",
    "config/platform.yaml source_repositories[0] (https://git.example.com/*)",
    "config/tenants.yaml accounts",
    "config/tenants.yaml gateway",
    "config/tenants.yaml ml",
]
PROD_EXAMPLES = [
    "Pulumi.prod.yaml admin_cidrs (203.0.113.0/24)",
    "config/regions.yaml fsn1.pools.gpu.vswitch_id (4711)",
    *PLATFORM_EXAMPLES,
]
DR_EXAMPLES = ["Pulumi.dr.yaml admin_cidrs (203.0.113.0/24)", *PLATFORM_EXAMPLES]
SHARED_EXAMPLES = [
    "Pulumi.shared.yaml zone (example.com)",
    "Pulumi.shared.yaml cloudflare.account_id",
    "Pulumi.shared.yaml cloudflare.zone_id",
    "Pulumi.shared.yaml object_storage.project_id (1234567)",
    "Pulumi.shared.yaml object_storage.prefix (example-platform)",
    "Pulumi.shared.yaml object_storage: access key id administrator_access_key_id",
    "Pulumi.shared.yaml object_storage: access key id fsn1",
    "Pulumi.shared.yaml object_storage: access key id nbg1",
    "config/access.yaml ssh_keys.example",
]


@pytest.mark.parametrize(
    ("stack", "examples"),
    [("shared", SHARED_EXAMPLES), ("prod", PROD_EXAMPLES), ("dr", DR_EXAMPLES)],
)
def test_the_examples_of_the_repository_are_named(stack: str, examples: list[str], edited: Edited) -> None:
    assert list(placeholders(stack, *edited.read(stack))) == examples


def test_real_values_are_not_named(edited: Edited) -> None:
    edited.put(PROD, ("admin_cidrs",), ["192.88.99.0/24", "2a01:4f8::/32"])
    edited.put(REGIONS, ("fsn1", "pools", "gpu", "vswitch_id"), 52001)
    edited.put(SHARED, ("zone",), "platform.test").put(SHARED, ("cloudflare", "account_id"), "0123456789abcdef" * 2)
    edited.put(SHARED, ("cloudflare", "zone_id"), "fedcba9876543210" * 2)
    edited.put(SHARED, ("object_storage", "project_id"), 7654321).put(SHARED, ("object_storage", "prefix"), "platform")
    edited.put(SHARED, ("object_storage", "administrator_access_key_id"), "A1B2C3D4E5F6G7H8I9J0")
    keys = {"fsn1": "A1B2C3D4E5F6G7H8I9J1", "nbg1": "A1B2C3D4E5F6G7H8I9J2"}
    edited.put(SHARED, ("object_storage", "site_access_key_ids"), keys)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFDYWOCYXsx/YEGKrwzFq1h/QsJXCohAlanozKzQ9lRc operator@platform.test"
    edited.put(ACCESS, ("ssh_keys",), {"operator": key})
    for file in (PLATFORM, TENANTS):
        edited.write(file, edited.text(file).replace("example.com", "platform.test"))
    for stack in ("shared", "prod"):
        assert list(placeholders(stack, *edited.read(stack))) == []
