"""Warnings about server types that cannot be ordered any more, each with the fallback to change to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .models import CloudPool, Prices, Region, RobotPool
from .settings import REGIONS_FILE


@dataclass(frozen=True)
class Offer:
    """What the cloud says of a server type in a location."""

    available: bool
    deprecated: bool
    unavailable_after: str = ""


Offers = Mapping[tuple[str, str], Offer]
"""By server type and location; a type that is missing is not sold there."""


def warnings(name: str, region: Region, offers: Offers, prices: Prices) -> Iterator[str]:
    """One warning for each type of the region that is deprecated or cannot be had."""
    servers = region.servers
    asked: list[tuple[str, str, list[str]]] = [(f"{name}.servers.type", servers.type, servers.fallback_types)]
    asked += [
        (f"{name}.servers.types.{number}", each, servers.fallback_types) for number, each in servers.types.items()
    ]
    for pool_name, pool in region.pools.items():
        if isinstance(pool, RobotPool):
            continue
        key = f"{name}.pools.{pool_name}"
        asked.append((f"{key}.type", pool.type, pool.fallback_types))
        if isinstance(pool, CloudPool):
            asked += [(f"{key}.types.{number}", each, pool.fallback_types) for number, each in pool.types.items()]
    for key, type_, fallbacks in asked:
        reason = _reason(type_, region.location, offers)
        if reason:
            yield f"{REGIONS_FILE} {key}: {type_} {reason}. {_advice(key, type_, fallbacks, region.location, offers, prices)}"


def _reason(type_: str, location: str, offers: Offers) -> str:
    offer = offers.get((type_, location))
    if offer is None:
        return f"is not sold in {location}"
    if offer.deprecated:
        until = f" and goes on {offer.unavailable_after[:10]}" if offer.unavailable_after else ""
        return f"is deprecated in {location}{until}"
    if not offer.available:
        return f"cannot be ordered in {location} at present (machines that run stay)"
    return ""


def _advice(key: str, type_: str, fallbacks: list[str], location: str, offers: Offers, prices: Prices) -> str:
    architecture = prices.server_types[type_].architecture
    for fallback in fallbacks:
        same = prices.server_types[fallback].architecture == architecture
        if same and not _reason(fallback, location, offers):
            now, then = prices.server_types[type_].monthly, prices.server_types[fallback].monthly
            return (
                f"The first fallback that can be had is {fallback} (EUR {then:.2f} instead of {now:.2f} a month each, "
                f"prices of {prices.as_of}): write {key}: {fallback}"
            )
    return f"None of its fallback_types ({', '.join(fallbacks) or 'none given'}) can be had either: choose another type"
