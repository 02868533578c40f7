"""The monthly cost of the committed configuration, reckoned by hand, and warnings of types that cannot be had."""

from pathlib import Path

import pytest

from stacks import availability
from stacks.availability import Offer
from stacks.cost import region_cost, shared_cost
from stacks.models import Region
from stacks.settings import Reader, Settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def settings() -> Settings:
    found = Reader(ROOT).settings()
    assert found is not None
    return found


def test_the_primary_costs_what_its_parts_cost(settings: Settings) -> None:
    cost = region_cost(settings.regions["fsn1"], settings.prices)
    # 3 cx33, 3 cx43 with an IPv4 each, a GEX45, two lb11.
    assert cost.monthly == round(3 * 8.49 + 3 * (15.99 + 0.50) + 214.00 + 2 * 7.49, 2)
    assert cost.monthly_at_most == round(cost.monthly + 5 * (15.99 + 0.50), 2)
    assert cost.setup == 209.00
    assert cost.included_traffic_tb == (3 + 3 + 2) * 20


def test_the_standby_has_no_gpu(settings: Settings) -> None:
    cost = region_cost(settings.regions["nbg1"], settings.prices)
    assert cost.monthly == round(3 * 8.49 + 3 * (15.99 + 0.50) + 2 * 7.49, 2)


def test_shared_pays_reserved_addresses_and_buckets(settings: Settings) -> None:
    assert shared_cost(settings.regions, settings.prices).monthly == round(2 * (1 + 3) * 0.50 + 6.49, 2)


OFFERED = Offer(available=True, deprecated=False)


def warned(settings: Settings, offers: dict[tuple[str, str], Offer]) -> list[str]:
    base = {(type_, "fsn1"): OFFERED for type_ in settings.prices.server_types}
    return list(availability.warnings("fsn1", settings.regions["fsn1"], base | offers, settings.prices))


def test_nothing_is_warned_of_when_all_can_be_had(settings: Settings) -> None:
    assert warned(settings, {}) == []


def test_a_deprecated_type_names_the_first_fallback_its_price_and_the_key(settings: Settings) -> None:
    offer = Offer(available=True, deprecated=True, unavailable_after="2027-01-31T00:00:00Z")
    assert warned(settings, {("cx33", "fsn1"): offer}) == [
        "config/regions.yaml fsn1.servers.type: cx33 is deprecated in fsn1 and goes on 2027-01-31. The first fallback that can "
        "be had is cpx32 (EUR 35.49 instead of 8.49 a month each, prices of 2026-09-04): write fsn1.servers.type: cpx32"
    ]


def test_a_sold_out_type_without_a_fallback_says_so(settings: Settings) -> None:
    sold_out = Offer(available=False, deprecated=False)
    found = warned(settings, {("cx33", "fsn1"): sold_out, ("cpx32", "fsn1"): sold_out})
    assert len(found) == 1
    assert "None of its fallback_types (cpx32) can be had either: choose another type" in found[0]


def test_a_type_that_is_not_sold_there_is_warned_of(settings: Settings) -> None:
    region = settings.regions["fsn1"]
    offers = {("cpx42", "fsn1"): OFFERED, ("cpx32", "fsn1"): OFFERED, ("cx33", "fsn1"): OFFERED}
    found = list(availability.warnings("fsn1", region, offers, settings.prices))
    assert [text.split(":")[0] for text in found] == [
        "config/regions.yaml fsn1.pools.general.type",
        "config/regions.yaml fsn1.pools.burst.type",
    ]
    assert all("cx43 is not sold in fsn1" in text for text in found)


def test_a_fallback_of_another_architecture_is_never_proposed(settings: Settings) -> None:
    region = settings.regions["fsn1"]
    arm = region.model_copy(
        update={"servers": region.servers.model_copy(update={"fallback_types": ["cax21", "cpx32"]})}
    )
    assert isinstance(arm, Region)
    offers = {(type_, "fsn1"): OFFERED for type_ in settings.prices.server_types if type_ != "cx33"}
    found = list(availability.warnings("fsn1", arm, offers, settings.prices))
    assert "is cpx32" in found[0]
