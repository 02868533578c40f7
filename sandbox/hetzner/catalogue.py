"""What the cloud offers: types, locations, images and prices, from the project's own price list."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import yaml

from .errors import not_found
from .kind import Kind
from .project import Entry, Project

HOURS_A_MONTH: Final = 730

_LOCATIONS: Final = {
    "fsn1": ("Falkenstein DC Park 1", "DE", "Falkenstein", 50.47612, 12.370071, "eu-central"),
    "nbg1": ("Nuremberg DC Park 1", "DE", "Nuremberg", 49.452102, 11.076665, "eu-central"),
    "hel1": ("Helsinki DC Park 1", "FI", "Helsinki", 60.169855, 24.938379, "eu-central"),
    "ash": ("Ashburn, VA", "US", "Ashburn, VA", 39.045821, -77.487073, "us-east"),
    "hil": ("Hillsboro, OR", "US", "Hillsboro, OR", 45.54222, -122.951924, "us-west"),
    "sin": ("Singapore", "SG", "Singapore", 1.283333, 103.833333, "ap-southeast"),
}
_IMAGES: Final = {
    "debian-12": ("debian", "12"),
    "debian-13": ("debian", "13"),
    "ubuntu-22.04": ("ubuntu", "22.04"),
    "ubuntu-24.04": ("ubuntu", "24.04"),
    "ubuntu-26.04": ("ubuntu", "26.04"),
    "rocky-9": ("rocky", "9"),
}
_MORE_BALANCERS: Final = {"lb31": {"services": 30, "targets": 150, "monthly": 42.49}}
"""Types that the platform's price list does not name; Hetzner sells them."""
_CERTIFICATES: Final = {"lb11": 10, "lb21": 25, "lb31": 50}
_CONNECTIONS: Final = {"lb11": 10_000, "lb21": 20_000, "lb31": 40_000}


class Catalogue:
    """Server types, load balancer types, locations, images and prices by name.

    Args:
        prices: Content of ``config/prices.yaml``.
    """

    def __init__(self, prices: Mapping[str, Any]) -> None:
        self._prices = prices
        sold = list(prices["locations"])
        self.locations = {name: _location(number, name) for number, name in enumerate([*sold, *_others(sold)], 1)}
        self.server_types = {
            name: self._server_type(number, name, entry, sold)
            for number, (name, entry) in enumerate(prices["server_types"].items(), 101)
        }
        self.load_balancer_types = {
            name: _balancer_type(number, name, entry, sold)
            for number, (name, entry) in enumerate({**_MORE_BALANCERS, **prices["load_balancer_types"]}.items(), 1)
        }
        self.images = _images()

    @classmethod
    def read(cls, path: Path) -> "Catalogue":
        """From a price list."""
        return cls(cast("dict[str, Any]", yaml.safe_load(path.read_text(encoding="utf-8"))))

    def listed_available(self, server_type: str, location: str) -> bool:
        """Whether the price list says that the type can be had there."""
        available = self._prices["server_types"][server_type]["available"]
        return available if isinstance(available, bool) else location in available

    def stock(self, *, everything: bool) -> None:
        """Say in the server types what can be had: everything, or what the price list says."""
        for name, entry in self.server_types.items():
            for location in entry["locations"]:
                location["available"] = everything or self.listed_available(name, location["name"])

    def pricing(self) -> Entry:
        """``GET /pricing``."""
        sold = list(self._prices["locations"])
        ipv4 = [{"location": name, **_monthly(self._prices["primary_ipv4"])} for name in sold]
        free = [{"location": name, **_monthly(0)} for name in sold]
        return {
            "currency": "EUR",
            "vat_rate": "19.00",
            "primary_ips": [{"type": "ipv4", "prices": ipv4}, {"type": "ipv6", "prices": free}],
            "floating_ips": [],
            "floating_ip": {"price_monthly": _money(3)},
            "image": {"price_per_gb_month": _money(0.011)},
            "volume": {"price_per_gb_month": _money(0.044)},
            "server_backup": {"percentage": "20.00"},
            "server_types": [_priced(entry) for entry in self.server_types.values()],
            "load_balancer_types": [_priced(entry) for entry in self.load_balancer_types.values()],
        }

    def _server_type(self, number: int, name: str, entry: Mapping[str, Any], sold: list[str]) -> Entry:
        dedicated = name.startswith("ccx")
        return {
            "id": number,
            "name": name,
            "description": name.upper(),
            "cores": entry["cores"],
            "memory": entry["memory_gb"],
            "disk": entry["disk_gb"],
            "deprecated": bool(entry.get("deprecated", False)),
            "prices": [_price(location, entry["monthly"]) for location in sold],
            "storage_type": "local",
            "cpu_type": "dedicated" if dedicated else "shared",
            "category": "General Purpose" if dedicated else "Shared",
            "architecture": entry["architecture"],
            "deprecation": None,
            "locations": [
                {
                    "id": self.locations[location]["id"],
                    "name": location,
                    "deprecation": None,
                    "recommended": False,
                    "available": self.listed_available(name, location),
                }
                for location in sold
            ],
        }


class Offered(Kind):
    """What can be looked up and not changed."""

    can_change = can_create = can_delete = False
    labelled = False
    sortable: ClassVar = {name: Kind.sortable[name] for name in ("id", "name")}

    def __init__(self, plural: str, singular: str, entries: Mapping[str, Entry]) -> None:
        self.plural, self.singular = plural, singular  # pyright: ignore[reportAttributeAccessIssue]  one class, three kinds
        self._by_id = {entry["id"]: entry for entry in entries.values()}

    def all(self, project: Project) -> list[Entry]:
        del project
        return list(self._by_id.values())

    def get(self, project: Project, id: int) -> Entry:
        del project
        if id not in self._by_id:
            raise not_found(self.singular, id)
        return self._by_id[id]


def named(entries: Mapping[str, Entry], wanted: Any) -> Entry | None:
    """An entry by name or by id."""
    if str(wanted) in entries:
        return entries[str(wanted)]
    return next((entry for entry in entries.values() if str(entry["id"]) == str(wanted)), None)


def _others(sold: list[str]) -> list[str]:
    return [name for name in _LOCATIONS if name not in sold]


def _location(number: int, name: str) -> Entry:
    description, country, city, latitude, longitude, zone = _LOCATIONS[name]
    return {
        "id": number,
        "name": name,
        "description": description,
        "country": country,
        "city": city,
        "latitude": latitude,
        "longitude": longitude,
        "network_zone": zone,
    }


def _balancer_type(number: int, name: str, entry: Mapping[str, Any], sold: list[str]) -> Entry:
    return {
        "id": number,
        "name": name,
        "description": name.upper(),
        "max_connections": _CONNECTIONS.get(name, 10_000),
        "max_services": entry["services"],
        "max_targets": entry["targets"],
        "max_assigned_certificates": _CERTIFICATES.get(name, 10),
        "deprecated": None,
        "prices": [_price(location, entry["monthly"]) for location in sold],
    }


def _images() -> dict[int, Entry]:
    images: dict[int, Entry] = {}
    for number, (name, (flavor, version)) in enumerate(_IMAGES.items()):
        for offset, architecture in ((0, "x86"), (1, "arm")):
            id = 100_000_001 + 2 * number + offset
            images[id] = {
                "id": id,
                "type": "system",
                "status": "available",
                "name": name,
                "description": f"{flavor.capitalize()} {version}",
                "image_size": None,
                "disk_size": 5,
                "created": "2026-01-15T09:00:00+00:00",
                "created_from": None,
                "bound_to": None,
                "os_flavor": flavor,
                "os_version": version,
                "rapid_deploy": True,
                "protection": {"delete": False},
                "deprecated": None,
                "deleted": None,
                "labels": {},
                "architecture": architecture,
            }
    return images


def _money(net: float, digits: int = 4) -> Entry:
    return {"net": f"{net:.{digits}f}", "gross": f"{net * 1.19:.{digits}f}"}


def _monthly(net: float) -> Entry:
    return {"price_hourly": _money(net / HOURS_A_MONTH), "price_monthly": _money(net)}


def _price(location: str, monthly: float) -> Entry:
    traffic: Entry = {"included_traffic": 20 * 1024**4, "price_per_tb_traffic": _money(1)}
    return {"location": location, **_monthly(monthly), **traffic}


def _priced(entry: Entry) -> Entry:
    return {"id": entry["id"], "name": entry["name"], "prices": entry["prices"]}
