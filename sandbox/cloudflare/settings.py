"""Settings of a zone, with their defaults and what they may be."""

from typing import Any, Final, cast

from .errors import invalid

_SWITCH: Final = ("on", "off")
_SWITCHES: Final = (
    "0rtt",
    "always_online",
    "always_use_https",
    "automatic_https_rewrites",
    "brotli",
    "browser_check",
    "early_hints",
    "email_obfuscation",
    "http3",
    "ipv6",
    "opportunistic_encryption",
    "tls_client_auth",
    "websockets",
)

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "ssl": ("off", "flexible", "full", "strict", "origin_pull"),
    "min_tls_version": ("1.0", "1.1", "1.2", "1.3"),
    "tls_1_3": ("on", "off", "zrt"),
    "security_level": ("off", "essentially_off", "low", "medium", "high", "under_attack"),
    **dict.fromkeys(_SWITCHES, _SWITCH),
}

DEFAULTS: Final[dict[str, Any]] = {
    **{name: "off" if choices == _SWITCH else choices[0] for name, choices in CHOICES.items()},
    "security_header": {
        "strict_transport_security": {
            "enabled": False,
            "max_age": 0,
            "include_subdomains": False,
            "preload": False,
            "nosniff": False,
        }
    },
}


def check_setting(id: str, body: dict[str, Any]) -> Any:
    """The value that a body asks for.

    Raises:
        ApiError: it is not one of those that the setting may have.
    """
    if set(body) - {"value", "id", "enabled"} or "value" not in body:
        raise invalid(f"Invalid value for zone setting {id}", 1007)
    value = body["value"]
    if id in CHOICES:
        if not isinstance(value, str) or value not in CHOICES[id]:
            raise invalid(f"Invalid value for zone setting {id}: one of {', '.join(CHOICES[id])}", 1007)
        return value
    header: Any = cast("dict[str, Any]", value).get("strict_transport_security") if isinstance(value, dict) else None
    default: dict[str, Any] = DEFAULTS[id]["strict_transport_security"]
    if not isinstance(header, dict):
        raise invalid(f"Invalid value for zone setting {id}", 1007)
    given = cast("dict[str, Any]", header)
    if wrong := [name for name in given if name not in default or not _fits(given[name], default[name])]:
        raise invalid(f"Invalid value for zone setting {id}: {', '.join(wrong)[:100]}", 1007)
    return {"strict_transport_security": {**default, **given}}


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool):
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool) and value == int(value) >= 0
