"""Shows previews to people: resource tree, addresses, cost, warnings."""

from collections.abc import Mapping
from typing import cast

from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from stacks.budget import Budget, Sum

from .deployment import PROVIDER_PREFIX, REFERENCE_TYPE, STACK_TYPE, Deployment, Resource
from .preview import Previews, StackPreview


def show(previews: Previews, console: Console) -> None:
    """Print every stack, and what all of them cost."""
    console.print(f"Engine: {previews.engine_detail}")
    console.print("From an empty account. What changes on yours: pulumi preview -s <stack>.")
    for name, stack in previews.stacks.items():
        _stack(name, stack, console)
    _total(previews, console)
    _secrets(previews, console)


def _stack(name: str, stack: StackPreview, console: Console) -> None:
    console.print()
    console.rule(f"[bold]{name}[/bold] ({stack.role})", align="left")
    console.print(_tree(stack.deployment))
    if stack.addresses is not None:
        console.print(_addresses(stack.addresses))
    if stack.budget is not None:
        console.print(budget_table(stack.budget))
        console.print(verdict(stack.budget), highlight=False, soft_wrap=True)
    console.print(_cost(stack))
    for warning in stack.warnings:
        console.print(f"[yellow]warning:[/yellow] {warning}", highlight=False, soft_wrap=True)


def _tree(deployment: Deployment) -> Tree:
    children: dict[str, list[Resource]] = {}
    for resource in deployment.resources:
        children.setdefault(resource.parent, []).append(resource)
    root = next(resource for resource in deployment.resources if resource.type == STACK_TYPE)
    tree = Tree(f"[bold]{root.name}[/bold]: {len(deployment.resources)} resources")
    _grow(tree, root.urn, children)
    return tree


def _grow(tree: Tree, urn: str, children: Mapping[str, list[Resource]]) -> None:
    for resource in sorted(children.get(urn, []), key=lambda each: (_rank(each), each.name)):
        branch = tree.add(_label(resource), highlight=False)
        _grow(branch, resource.urn, children)


def _rank(resource: Resource) -> int:
    """Components first; providers and references last."""
    if resource.type.startswith(PROVIDER_PREFIX) or resource.type == REFERENCE_TYPE:
        return 2
    return 1 if resource.custom else 0


def _label(resource: Resource) -> str:
    kind = resource.type.rpartition(":")[2]
    if not resource.custom:
        return f"[bold]{resource.name}[/bold] {kind}"
    package = resource.type.partition(":")[0]
    if resource.type.startswith(PROVIDER_PREFIX):
        package, kind = kind, "provider"
    details = [detail for detail in (_detail(resource), "protected" if resource.protect else "") if detail]
    return f"{resource.name} [dim]{package} {kind}{': ' if details else ''}{', '.join(details)}[/dim]"


def _detail(resource: Resource) -> str:
    """What a reader looks for first in a resource."""
    inputs = resource.inputs
    networks = cast("list[Mapping[str, object]]", inputs.get("networks") or [])
    parts = [str(inputs[key]) for key in ("serverType", "loadBalancerType", "ipRange", "settingId") if key in inputs]
    parts += [str(network["ip"]) for network in networks if "ip" in network]
    if "ip" in inputs:
        parts.append(str(inputs["ip"]))
    return " ".join(parts)


def _addresses(plan: Mapping[str, object]) -> Table:
    table = Table("what", "where", title="Addresses", title_justify="left", box=None, pad_edge=False)
    table.add_row("ingress load balancer", str(plan["ingress_load_balancer"]))
    table.add_row("API load balancer", str(plan["api_load_balancer"]))
    for name, subnet in cast("Mapping[str, str]", plan["subnets"]).items():
        table.add_row(f"subnet {name}", subnet)
    table.add_row("pods, services", f"{plan['pods']}, {plan['services']}")
    for number, address in cast("Mapping[str, str]", plan["servers"]).items():
        table.add_row(f"server-{number}", address)
    for pool, machines in cast("Mapping[str, Mapping[str, str]]", plan["pools"]).items():
        for number, address in machines.items():
            table.add_row(f"{pool}-{number}", address)
    return table


def budget_table(budget: Budget) -> Table:
    """What each layer requests, what machines offer, and what is left: cores and GiB by kind of machine."""
    title = f"Requests of {budget.region} against what its machines offer, CPU / GiB"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("layer")
    for heading in ("servers", "agents", "gpu"):
        table.add_column(heading, justify="right")
    for row in budget.rows:
        table.add_row(row.layer, _sum(row.servers), _sum(row.agents), _sum(row.gpu))
    for row, style in ((budget.requested, "bold"), (budget.offered, "")):
        table.add_row(row.layer, _sum(row.servers), _sum(row.agents), _sum(row.gpu), style=style)
    table.add_row("left for tenants", "", _sum(budget.left), "")
    if budget.lost:
        table.add_row(f"left with {budget.lost} lost", "", _sum(budget.left_without_agent), "")
    table.add_row("tenants' quotas", "", _sum(budget.quotas), "")
    return table


def _sum(amount: Sum) -> str:
    return f"{amount.cpu / 1000:.2f} / {amount.memory / 1024:.1f}" if amount != Sum() else "-"


def verdict(budget: Budget) -> str:
    """Whether it fits, also with one agent lost, and which pool to grow where it does not: one line."""
    cpu, memory = budget.shares
    return (
        f"Layers request {cpu:.0%} of the CPU and {memory:.0%} of the memory of servers and agents: {budget.verdict}."
    )


def _cost(stack: StackPreview) -> Table:
    table = Table(title="Monthly cost, EUR net", title_justify="left", box=None, pad_edge=False)
    for heading in ("component", "what", "count", "each", "month"):
        table.add_column(heading, justify="left" if heading in ("component", "what") else "right")
    for line in stack.cost.lines:
        count = str(line.count) if line.at_most is None else f"{line.count} to {line.at_most}"
        table.add_row(line.component, line.item, count, f"{line.monthly_each:.2f}", f"{line.monthly:.2f}")
    table.add_row("[bold]in all[/bold]", "", "", "", f"[bold]{stack.cost.monthly:.2f}[/bold]")
    if stack.cost.monthly_at_most != stack.cost.monthly:
        table.add_row("with all autoscaled machines", "", "", "", f"{stack.cost.monthly_at_most:.2f}")
    if stack.cost.setup:
        table.add_row("setup, once", "", "", "", f"{stack.cost.setup:.2f}")
    if stack.cost.included_traffic_tb:
        table.add_row(f"outgoing traffic included: {stack.cost.included_traffic_tb} TB", "", "", "", "")
    return table


def _total(previews: Previews, console: Console) -> None:
    prices = previews.prices
    drawing = prices.drawing
    console.print()
    console.rule("[bold]all stacks[/bold]", align="left")
    table = Table(
        title=f"Monthly cost, EUR net (prices of {prices.as_of})", title_justify="left", box=None, pad_edge=False
    )
    table.add_column("stack")
    table.add_column("month", justify="right")
    for name, stack in previews.stacks.items():
        table.add_row(f"{name} ({stack.role})", f"{stack.cost.monthly:.2f}")
    table.add_row("[bold]in all, the standby included[/bold]", f"[bold]{previews.monthly:.2f}[/bold]")
    table.add_row("the drawing's figure (one region, older prices)", f"{drawing.monthly_eur:.0f}.00")
    table.add_row("the drawing's figure for AWS, in USD", f"{drawing.aws_monthly_usd:.0f}.00")
    console.print(table)
    allowance = sum(stack.cost.included_traffic_tb for stack in previews.stacks.values())
    console.print(
        f"Outgoing traffic included: {allowance} TB a month, then EUR {prices.traffic.per_tb:.2f} a TB.",
        highlight=False,
    )


def _secrets(previews: Previews, console: Console) -> None:
    missing = [(name, key) for name, stack in previews.stacks.items() for key in stack.missing_secrets]
    if missing:
        console.print("\nLabelled dummies stood in for secrets. Before `pulumi up` you still need:")
        for name, key in missing:
            console.print(f"  pulumi config set --secret {key} -s {name}", highlight=False)
