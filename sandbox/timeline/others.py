"""The same machines in the orders of hetzner-k3s and kube-hetzner, as their sources say; facts only.

In doubt in their favour: their SSH connections, image builds, rollouts and second starts of k3s cost nothing, the Network and
the SSH key are there already, what only people use is not waited for, and nobody joins through a load balancer.
"""

import math
from collections.abc import Sequence

from sandbox.world import Latencies

from .plan import END, Machine, Plan
from .schedule import Task


def hetzner_k3s(machines: Sequence[Machine], latencies: Latencies, *, joins_in_turn: bool = False) -> tuple[Task, ...]:
    """hetzner-k3s at a3da4a1 (2026-06-24).

    Args:
        machines: Control-plane servers first.
        latencies: Seconds by name.
        joins_in_turn: Whether etcd lets one server join at a time; else those that start together end together.
    """
    plan = Plan(latencies)
    first, *others = [machine for machine in machines if machine.is_server]
    agents = [machine for machine in machines if not machine.is_server]
    # src/cluster/create.cr, initialize: placement groups before any instance.
    groups = plan.add("placement groups", plan.calls(2))
    # src/cluster/create.cr, run: all masters, waited for.
    clouded = {machine.name: _instance(plan, machine, groups) for machine in [first, *others]}
    created = [f"{machine.name}: reachable" for machine in [first, *others]]
    # src/cluster/load_balancer_manager.cr, create: the load balancer, its address, and a sleep of 5 s; its network, service
    # and targets stand in the one request of src/hetzner/load_balancer/create.cr, whose action is not waited for.
    balancer = plan.add("API load balancer", plan.calls(2) + 5, created)
    # src/cluster/firewall_manager.cr: the firewall, applied.
    firewall = plan.add("firewall", plan.calls(2), [balancer])
    # src/cluster/create.cr, run: the workers' instances while k3s is being installed.
    clouded |= {machine.name: _instance(plan, machine, firewall) for machine in agents}
    # src/kubernetes/control_plane/setup.cr, set_up_first_master: cloud-init waited for, the install script, a sleep of 10 s,
    # the kubeconfig, a sleep of 5 s, `kubectl cluster-info`.
    binary = plan.k3s_binary(first, firewall, clouded[first.name])
    api = plan.first_server(first, binary)
    validated = plan.add(f"{first.name}: validated", 10 + 5, [api])
    ready = [plan.ready(first, api)]
    # The same file, set_up_additional_masters: all others together, over SSH, and all waited for.
    joined: list[str] = []
    for machine in others:
        binary = plan.k3s_binary(machine, validated, clouded[machine.name])
        joined.append(plan.join(machine, binary, *(joined if joins_in_turn else ())))
        ready.append(plan.ready(machine, joined[-1]))
    # src/kubernetes/installer.cr, run: the software, then the workers (src/kubernetes/worker/setup.cr, ten at a time).
    for machine in agents:
        binary = plan.k3s_binary(machine, validated, *joined, clouded[machine.name])
        ready.append(plan.ready(machine, plan.join(machine, binary)))
    plan.add(END, 0, ready)
    return tuple(plan.tasks)


def _instance(plan: Plan, machine: Machine, after: str) -> str:
    """src/hetzner/instance/create.cr, create_instance and ensure_instance_is_ready; returns the end of cloud-init."""
    # A random pause of up to 3 s before the request.
    asked = plan.add(f"{machine.name}: asked for", 3 / 2 + plan.calls(1), [after])
    creation = plan.seconds("create_server", machine.cpu_type)
    made = plan.add(f"{machine.name}: create", creation, [asked])
    # It looks every 10 s whether the server runs, sleeps 5 s, and tries SSH every 5 s (src/util/ssh.cr).
    looks = math.ceil(creation / 10) or 1
    running = plan.add(f"{machine.name}: seen running", looks * (10 + plan.calls(1)) + 5, [asked])
    # src/hetzner/instance/cloud_init_generator.cr, generate_packages_str: fail2ban and wireguard, whatever the settings.
    clouded = plan.boot(machine, made, packages=True)
    plan.add(f"{machine.name}: reachable", 5 / 2, [running, f"{machine.name}: boot"])
    # templates/cloud_init_wait_script.sh looks every second.
    return plan.add(f"{machine.name}: cloud-init seen over", 1 / 2, [clouded, f"{machine.name}: reachable"])


def kube_hetzner(machines: Sequence[Machine], latencies: Latencies, *, joins_in_turn: bool = False) -> tuple[Task, ...]:
    """kube-hetzner 2.18.4, with images that were built before.

    Args:
        machines: Control-plane servers first.
        latencies: Seconds by name.
        joins_in_turn: Whether etcd lets one server join at a time; else those that start together end together.
    """
    plan = Plan(latencies)
    first, *others = [machine for machine in machines if machine.is_server]
    agents = [machine for machine in machines if not machine.is_server]
    # main.tf and placement_groups.tf: subnets, firewall and groups, together.
    subnets = plan.add("subnets", plan.act("add_subnet") + plan.calls(1))
    firewall = plan.add("firewall", plan.act("set_firewall_rules") + plan.calls(1))
    groups = plan.add("placement groups", plan.calls(2))
    # control_planes.tf, hcloud_load_balancer.control_plane and what hangs on it; by default (variables.tf,
    # use_control_plane_lb) nobody joins through it.
    balancer = plan.add("API load balancer", plan.act("create_load_balancer") + plan.calls(1))
    attached = plan.add("API load balancer: attach", plan.act("attach_to_network") + plan.calls(1), [balancer, subnets])
    plan.add("API load balancer: targets", plan.act("add_target") + plan.calls(1), [attached])
    plan.add("API load balancer: service", plan.act("add_service") + plan.calls(1), [balancer])
    # modules/host/main.tf: server, then SSH tried every 3 s; the image has its packages (packer-template/).
    for machine in machines:
        powered, network = plan.create_server(machine, [subnets, firewall, groups])
        booted = plan.boot(machine, powered, packages=False)
        plan.add(f"{machine.name}: reachable", 3 / 2, [booted, network])
    # init.tf, first_control_plane: reads the module's outputs, so all its servers come first; k3s over SSH, and readyz every 2 s.
    binary = plan.k3s_binary(first, *(f"{machine.name}: reachable" for machine in [first, *others]))
    api = plan.first_server(first, binary)
    seen = plan.add(f"{first.name}: seen ready", 2 / 2, [api])
    ready = [plan.ready(first, api)]
    # control_planes.tf, control_plane_config and control_planes: after first_control_plane, together.
    joined: list[str] = []
    for machine in others:
        binary = plan.k3s_binary(machine, seen)
        joined.append(plan.join(machine, binary, *(joined if joins_in_turn else ())))
        ready.append(plan.ready(machine, joined[-1]))
    # agents.tf, agents: after first_control_plane too, not after the other servers.
    for machine in agents:
        binary = plan.k3s_binary(machine, seen, f"{machine.name}: reachable")
        ready.append(plan.ready(machine, plan.join(machine, binary)))
    plan.add(END, 0, ready)
    return tuple(plan.tasks)
