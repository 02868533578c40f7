"""What a stack costs a month, by component, from the dated price table. Net, in euro."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .checks import machines, numbers
from .models import AutoscaledPool, CloudSettings, Prices, Region, RobotPool


@dataclass(frozen=True)
class Line:
    """One position of the bill."""

    component: str
    item: str
    count: int
    monthly_each: float
    at_most: int | None = None
    """Largest count, where it varies by itself."""
    setup: float = 0.0
    """Once, for all of them."""

    @property
    def monthly(self) -> float:
        """EUR a month."""
        return self.count * self.monthly_each

    @property
    def monthly_at_most(self) -> float:
        """EUR a month with the largest count."""
        return (self.count if self.at_most is None else self.at_most) * self.monthly_each


@dataclass(frozen=True)
class Cost:
    """The bill of a stack."""

    lines: tuple[Line, ...]
    included_traffic_tb: int
    """TB a month that its machines and load balancers may send."""

    @property
    def monthly(self) -> float:
        """EUR a month, rounded to cents."""
        return round(sum(line.monthly for line in self.lines), 2)

    @property
    def monthly_at_most(self) -> float:
        """EUR a month with every autoscaled machine."""
        return round(sum(line.monthly_at_most for line in self.lines), 2)

    @property
    def setup(self) -> float:
        """EUR once."""
        return round(sum(line.setup for line in self.lines), 2)


def region_cost(region: Region, prices: Prices) -> Cost:
    """A region's stack: machines, their IPv4 (servers have reserved ones, which `shared` pays), load balancers."""
    lines = [*_cloud("servers", region.servers, prices, with_ipv4=False)]
    for name, pool in region.pools.items():
        if isinstance(pool, RobotPool):
            model = prices.robot_models[pool.model]
            count = len(numbers(pool))
            lines.append(
                Line(f"pool {name}", f"dedicated {pool.model}", count, model.monthly, setup=model.setup * count)
            )
        elif isinstance(pool, AutoscaledPool):
            each = prices.server_types[pool.type].monthly + prices.primary_ipv4
            lines.append(Line(f"pool {name}", f"{pool.type} with IPv4, autoscaled", pool.min, each, at_most=pool.max))
        else:
            lines += _cloud(f"pool {name}", pool, prices, with_ipv4=True)
    ingress = prices.load_balancer_types[region.load_balancer.type]
    lines.append(Line("ingress load balancer", region.load_balancer.type, 1, ingress.monthly))
    lines.append(Line("API load balancer", "lb11", 1, prices.load_balancer_types["lb11"].monthly))
    senders = sum(line.count for line in lines if "dedicated" not in line.item and "IPv4 address" not in line.item)
    return Cost(tuple(lines), senders * prices.traffic.included_tb_per_machine)


def shared_cost(regions: Mapping[str, Region], prices: Prices) -> Cost:
    """The stack ``shared``: reserved addresses and the buckets."""
    lines = [
        Line(f"addresses {name}", "reserved IPv4", 1 + len(numbers(region.servers)), prices.primary_ipv4)
        for name, region in regions.items()
    ]
    storage = prices.object_storage
    lines.append(Line("object storage", f"up to {storage.included_gb} GB", 1, storage.monthly))
    return Cost(tuple(lines), 0)


def _cloud(component: str, pool: CloudSettings, prices: Prices, *, with_ipv4: bool) -> Iterator[Line]:
    types: dict[str, int] = {}
    for machine in machines(component, pool):
        types[machine.type] = types.get(machine.type, 0) + 1
    for type_, count in types.items():
        yield Line(component, type_, count, prices.server_types[type_].monthly)
    if with_ipv4:
        yield Line(component, "IPv4 address", sum(types.values()), prices.primary_ipv4)
