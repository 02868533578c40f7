"""Which composition a stack is, and the providers that it is made with."""

from collections.abc import Callable
from pathlib import Path

import pulumi
import pulumi_hcloud as hcloud
import pulumi_random as random
import pulumi_tls as tls

from . import checks, platform_checks, preflight, region, shared, tenant_checks
from .budget import check_budget, offer, region_budget
from .edge import api_label
from .layers import Secrets
from .models import RegionalStack, SharedStack
from .nodes import gpus_of
from .placeholders import placeholders
from .settings import ACCESS_FILE, PLATFORM_FILE, PROJECT, REGIONS_FILE, VERSIONS_FILE, Reader, Settings
from .stack_secrets import BACKUP_SECRET_KEY, CONDITIONAL, PREVIOUS_SEAL_KEY, check_secrets, required_secrets
from .tenant_models import TENANTS_FILE


def main(root: Path) -> None:
    """Read the configuration below ``root``, build the current stack, and export its outputs.

    Raises:
        ConfigurationError: with everything that is wrong; nothing has been registered then.
        PreflightError: the token does not belong to the recorded deployment; nothing has been registered then.
    """
    stack = pulumi.get_stack()
    block, settings = configuration(
        root, stack, pulumi.Config(PROJECT).get("stack"), _given, pulumi.runtime.is_config_secret
    )
    warn(stack, block, settings)
    recorded = preflight.refuse_other_project(stack)
    if isinstance(block, SharedStack):
        providers = _shared_providers(block)
        if recorded is None:
            preflight.refuse_lost_state(providers[0])
        outputs = shared.build(block, settings, providers)
    else:
        outputs = region.build(block, settings, _providers(), _secrets())
    for name, value in outputs.items():
        pulumi.export(name, value)


def warn(stack: str, block: SharedStack | RegionalStack, settings: Settings) -> None:
    """Say what is allowed but worth a second look."""
    examples = list(placeholders(stack, block, settings))
    if examples:
        pulumi.log.warn("Still the repository's examples, to be replaced before a deployment: " + "; ".join(examples))
    if settings.access.oidc is None and (settings.platform.personas or settings.tenants.tenants):
        pulumi.log.warn(
            f"{ACCESS_FILE} names no identity provider (oidc): the groups of personas and tenants match nobody, and only "
            "the administrator's certificate opens the clusters. docs/access.md"
        )
    if isinstance(block, SharedStack):
        _warn_of_shared(block, settings)
    if not block.protection:
        pulumi.log.warn(
            "protection is off: this deployment lifts it from everything that must not be lost. Only to tear down."
        )


def _warn_of_shared(block: SharedStack, settings: Settings) -> None:
    if block.cloudflare.origin == "tunnel":
        pulumi.log.warn(
            "cloudflare.origin: tunnel leads nowhere by itself: nothing here deploys cloudflared, and the ingress asks it for a "
            "client certificate that it does not have. docs/origin.md says what is to be added first"
        )
    location = block.object_storage.location
    beside = [name for name, region in settings.regions.items() if region.location == location]
    if beside:
        pulumi.log.warn(
            f"object_storage.location: {location} is where {' and '.join(beside)} is: what loses the region may lose its "
            "backups too. Choose a location without a region before there are buckets; they cannot be moved"
        )


def configuration(
    root: Path,
    stack: str,
    text: str | None,
    given: Callable[[str], str | None],
    is_secret: Callable[[str], bool],
) -> tuple[SharedStack | RegionalStack, Settings]:
    """The stack's own block and the settings of all stacks, checked.

    Args:
        root: The project's directory.
        stack: The stack's name.
        text: Its block, as JSON; None if it has none.
        given: Value of a configuration key.
        is_secret: Whether a configuration key is stored encrypted.

    Raises:
        ConfigurationError: with every problem of all files.
    """
    reader = Reader(root)
    settings = reader.settings()
    reader.document(own := f"Pulumi.{stack}.yaml")
    block = reader.stack(stack, text)
    if settings is not None:
        for problem in checks.check_regions(settings):
            reader.add(REGIONS_FILE, problem)
        for problem in checks.check_access(settings):
            reader.add(ACCESS_FILE, problem)
        for problem in platform_checks.check_platform(settings.platform, settings):
            reader.add(PLATFORM_FILE, problem)
        gpus = {name: gpus_of(region, settings.prices) for name, region in settings.regions.items()}
        for problem in tenant_checks.check_tenants(
            settings.tenants, settings.platform.source_repositories, gpus, settings.unreadable
        ):
            reader.add(TENANTS_FILE, problem)
        with_gpu = any(gpus.values())
        for problem in platform_checks.check_charts(settings.platform, settings.versions.charts, with_gpu=with_gpu):
            reader.add(VERSIONS_FILE, problem)
        if isinstance(block, RegionalStack):
            for problem in checks.check_regional(stack, block, settings, reader.siblings()):
                reader.add(own, problem)
        elif block is not None:
            for problem in checks.check_shared(block, settings):
                reader.add(own, problem)
            apis = [api_label(region) for region in settings.regions]
            for problem in tenant_checks.check_hosts(settings.tenants, block.zone, block.cloudflare.hostnames, apis):
                reader.add(TENANTS_FILE, problem)
    own_region = settings.regions.get(block.region) if settings and isinstance(block, RegionalStack) else None
    needed = required_secrets(stack, own_region, settings.platform if settings else None)
    for problem in check_secrets(stack, needed, given, is_secret, settings.tenants.tenants if settings else {}):
        reader.add(own, problem)
    reader.finish()
    assert settings is not None
    assert block is not None
    _refuse_what_does_not_fit(reader, settings)
    return block, settings


def _refuse_what_does_not_fit(reader: Reader, settings: Settings) -> None:
    """What the platform and its tenants ask of the machines, once all of it is otherwise right.

    Raises:
        ConfigurationError: a region cannot take it.
    """
    for name in settings.regions:
        budget = region_budget(name, settings)
        for problem in check_budget(budget, settings.regions[name]):
            reader.add(REGIONS_FILE, problem)
        if not budget.unplaced:
            for problem in tenant_checks.check_quotas(settings.tenants, name, offer(budget)):
                reader.add(TENANTS_FILE, problem)
    reader.finish()


def _given(key: str) -> str | None:
    namespace, _, name = key.partition(":")
    return pulumi.Config(namespace).get(name)


def _secrets() -> Secrets:
    """Of a region's stack; those that its configuration does not need may be missing."""
    given = {each.key: _secret(each.key) for each in CONDITIONAL}
    return Secrets(
        pulumi.Config("hcloud").require_secret("token"),
        pulumi.Config(PROJECT).require_secret(BACKUP_SECRET_KEY.removeprefix(f"{PROJECT}:")),
        {key: value for key, value in given.items() if value is not None},
        _secret(PREVIOUS_SEAL_KEY),
    )


def _secret(key: str) -> pulumi.Output[str] | None:
    return pulumi.Config(PROJECT).get_secret(key.removeprefix(f"{PROJECT}:"))


def _providers() -> list[pulumi.ProviderResource]:
    """Explicit ones: the default providers are switched off in every stack."""
    config = pulumi.Config("hcloud")
    return [
        hcloud.Provider(
            "hcloud",
            token=config.require_secret("token"),
            endpoint=config.get("endpoint"),
            poll_interval=config.get("pollInterval"),
            poll_function=config.get("pollFunction"),
        ),
        random.Provider("random"),
        tls.Provider("tls"),
    ]


def _shared_providers(block: SharedStack) -> list[pulumi.ProviderResource]:
    # Cloudflare's SDK takes two seconds to import: only this stack pays for it.
    import pulumi_cloudflare as cloudflare  # noqa: PLC0415
    import pulumi_minio as minio  # noqa: PLC0415

    edge, storage = pulumi.Config("cloudflare"), pulumi.Config("minio")
    location = block.object_storage.location
    return [
        *_providers(),
        cloudflare.Provider("cloudflare", api_token=edge.require_secret("apiToken"), base_url=edge.get("baseUrl")),
        minio.Provider(
            "minio",
            minio_server=storage.get("minioServer") or f"{location}.your-objectstorage.com",
            minio_region=location,
            minio_ssl=storage.get_bool("minioSsl") is not False,
            minio_user=block.object_storage.administrator_access_key_id,
            minio_password=storage.require_secret("minioPassword"),
        ),
    ]
