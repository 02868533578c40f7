"""Settings of the zone: strict TLS to the origin, modern TLS to visitors, HSTS."""

from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_cloudflare as cloudflare

from ..component import Component

HSTS_MAX_AGE = 31_536_000
"""A year in seconds: what hstspreload.org asks for."""


def zone_settings(hsts_max_age: int = HSTS_MAX_AGE) -> dict[str, Any]:
    """Setting id → value, as the API takes it."""
    return {
        "ssl": "strict",
        "min_tls_version": "1.2",
        "tls_1_3": "on",
        # 0-RTT requests can be replayed.
        "0rtt": "off",
        "always_use_https": "on",
        "automatic_https_rewrites": "on",
        "security_header": {
            "strict_transport_security": {
                "enabled": True,
                "max_age": hsts_max_age,
                "include_subdomains": True,
                # A preload list is left within months, not minutes: that is for the zone's owner to decide.
                "preload": False,
                "nosniff": True,
            }
        },
    }


class ZoneSettingsArgs(TypedDict):
    """Arguments of ``ZoneSettings``."""

    zone_id: pulumi.Input[str]
    hsts_max_age: NotRequired[int]
    """Seconds for which browsers insist on HTTPS; a year unless told."""


class ZoneSettings(Component):
    """The zone's settings. Cloudflare keeps them when they are removed here: a setting has no delete."""

    def __init__(self, name: str, args: ZoneSettingsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ZoneSettings", name, args, ZoneSettingsArgs, opts)
        for setting, value in zone_settings(args.get("hsts_max_age", HSTS_MAX_AGE)).items():
            cloudflare.ZoneSetting(
                f"{name}-{setting}",
                zone_id=args["zone_id"],
                setting_id=setting,
                value=value,
                opts=self.child(),
            )
        self.register_outputs({})
