"""Settings of a zone, with their defaults and what they may be."""

from typing import Any, Final

from .errors import invalid

_SWITCH: Final = ("on", "off")

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "ssl": ("off", "flexible", "full", "strict", "origin_pull"),
    "min_tls_version": ("1.0", "1.1", "1.2", "1.3"),
    "tls_1_3": ("on", "off", "zrt"),
    "security_level": ("off", "essentially_off", "low", "medium", "high", "under_attack"),
    **{
        name: _SWITCH
        for name in (
            "always_use_https",
            "automatic_https_rewrites",
            "brotli",
            "http3",
            "websockets",
            "0rtt",
            "ipv6",
            "browser_check",
            "email_obfuscation",
            "opportunistic_encryption",
            "tls_client_auth",
            "early_hints",
            "always_online",
        )
    },
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
        if value not in CHOICES[id]:
            raise invalid(f"Invalid value for zone setting {id}: one of {', '.join(CHOICES[id])}", 1007)
        return value
    header = value.get("strict_transport_security") if isinstance(value, dict) else None
    default = DEFAULTS[id]["strict_transport_security"]
    if not isinstance(header, dict) or set(header) - set(default):
        raise invalid(f"Invalid value for zone setting {id}", 1007)
    for name, wanted in default.items():
        if (
            name in header
            and type(header[name]) is not type(wanted)
            and not (name == "max_age" and header[name] == int(header[name]))
        ):
            raise invalid(f"Invalid value for zone setting {id}: {name}", 1007)
    return {"strict_transport_security": {**default, **header}}
