"""Load balancers: services, targets, the Network that they are in, and the health of what they forward to."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ..machines.facts import Attachment, BalancerFacts, ServiceFacts, TargetFacts
from . import balancer_services as services
from . import balancer_targets as targets
from . import networks, primary_ips
from .catalogue import named
from .errors import ApiError, invalid, too_many
from .fields import CHANGE, LABELS, NAME_OR_ID, NEEDED_NAME_OR_ID, Field, check, name_problem
from .kind import PROTECTION, Answer, Body, Kind, acted, only_one
from .project import Entry, Project, refuse_locked

BALANCERS: Final = 20


_ALGORITHM: Final = {"type": Field(str, required=True, choices=("round_robin", "least_connections"))}
_ATTACH: Final = {"network": Field(int, required=True), "ip": Field(str), "ip_range": Field(str)}
_NEW: Final = {
    "name": Field(str, required=True, check=name_problem(128)),
    "load_balancer_type": NEEDED_NAME_OR_ID,
    "algorithm": Field(dict),
    "services": Field(list, items=dict),
    "targets": Field(list, items=dict),
    "labels": LABELS,
    "public_interface": Field(bool),
    "network": Field(int),
    "network_zone": Field(str),
    "location": NAME_OR_ID,
    "public_net": Field(dict),
}


class LoadBalancers(Kind):
    """Load balancers."""

    plural, singular = "load_balancers", "load_balancer"
    changes: ClassVar = {**CHANGE, "name": Field(str, check=name_problem(128))}

    def actions(self) -> Mapping[str, Any]:
        private = {"network": Field(int, required=True)}
        return {
            "add_service": (services.SERVICE, self._add_service),
            "update_service": (services.SERVICE, self._update_service),
            "delete_service": ({"listen_port": Field(int, required=True)}, self._delete_service),
            "add_target": (targets.TARGET, self._add_target),
            "remove_target": (targets.TARGET, self._remove_target),
            "attach_to_network": (_ATTACH, self._attach),
            "detach_from_network": (private, self._detach),
            "change_algorithm": (_ALGORITHM, self._change_algorithm),
            "change_type": ({"load_balancer_type": NEEDED_NAME_OR_ID}, self._change_type),
            "change_protection": (PROTECTION, self.protect),
            "enable_public_interface": ({}, self._enable_public),
            "disable_public_interface": ({}, self._disable_public),
            "change_dns_ptr": (primary_ips.DNS, self._dns),
        }

    # -- reading

    def show(self, project: Project, entry: Entry) -> Entry:
        shown = super().show(project, entry)
        machines = project.cloud.machines
        health: Mapping[tuple[str, int], str] = machines.health(entry["id"]) if machines is not None else {}
        shown["public_net"] = {
            "enabled": entry["_public"],
            **{family: _public_address(project, entry[f"_{family}"]) for family in ("ipv4", "ipv6")},
        }
        shown["targets"] = [targets.shown(project, entry, each, health) for each in entry["targets"]]
        return shown

    # -- creating and deleting

    def create(self, project: Project, body: Body) -> Answer:
        given = check(body, _NEW)
        catalogue = project.cloud.catalogue
        type = named(catalogue.load_balancer_types, given["load_balancer_type"])
        if type is None:
            raise invalid({"load_balancer_type": [f"{given['load_balancer_type'][:40]!r} is unknown"]})
        location = _location(project, given)
        project.check_name(self.plural, given["name"])
        if len(project.kinds[self.plural]) >= BALANCERS:
            raise too_many("load_balancers", BALANCERS)
        entry: Entry = {
            "name": given["name"],
            "private_net": [],
            "location": location,
            "load_balancer_type": type,
            "protection": {"delete": False},
            "labels": given.get("labels", {}),
            "services": [],
            "targets": [],
            "algorithm": check(given.get("algorithm", {"type": "round_robin"}), _ALGORITHM, "algorithm."),
            "outgoing_traffic": 0,
            "ingoing_traffic": 0,
            "included_traffic": 20 * 1024**4,
            "_public": given.get("public_interface", True),
            "_ipv4": None,
            "_ipv6": None,
        }
        if "network" in given:
            net = project.get("networks", given["network"], "network")
            ip = networks.place(project, net, location["network_zone"], None, None)
            entry["private_net"].append({"network": net["id"], "ip": ip})
        for index, service in enumerate(given.get("services", [])):
            made = services.new_service(project, service, f"services.{index}.")
            services.refuse_used_port(entry, made["listen_port"], 412)
            services.add_limited(entry, "services", made)
        for index, target in enumerate(given.get("targets", [])):
            targets.add(project, entry, target, f"targets.{index}.")
        services.refuse_too_many_certificates(entry["services"], type)
        targets.refuse_public(entry)
        addresses = check(given.get("public_net", {}), {"ipv4": Field(int), "ipv6": Field(int)}, "public_net.")
        chosen = _chosen(project, addresses, location["name"])
        balancer = project.add(self.plural, entry)
        for family in ("ipv4", "ipv6"):
            _give_address(project, balancer, family, chosen.get(family))
        action = project.act("create_load_balancer", [(self.singular, balancer["id"])], locks=balancer)
        tell(project, balancer)
        return 201, {self.singular: self.show(project, balancer), "action": action}

    def delete(self, project: Project, entry: Entry) -> Answer:
        self.refuse_protected(entry)
        refuse_locked(entry, f"load balancer {entry['id']}")
        action = project.act("delete_load_balancer", [(self.singular, entry["id"])])
        super().delete(project, entry)
        primary_ips.release(project, entry["_ipv4"])
        primary_ips.release(project, entry["_ipv6"])
        if project.cloud.machines is not None:
            project.cloud.machines.unbalance(entry["id"])
        return 200, {"action": action}

    # -- services

    def _add_service(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"load balancer {entry['id']}")
        service = services.new_service(project, body)
        services.refuse_used_port(entry, service["listen_port"], 422)
        services.refuse_too_many_certificates([*entry["services"], service], entry["load_balancer_type"])
        services.add_limited(entry, "services", service)
        return self._changed(project, entry, "add_service")

    def _update_service(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"load balancer {entry['id']}")
        if "listen_port" not in body:
            raise invalid({"listen_port": ["Missing data for required field."]})
        before = self._service(entry, body["listen_port"])
        after = services.new_service(project, services.merged(before, body))
        all_of_them = [after if each is before else each for each in entry["services"]]
        services.refuse_too_many_certificates(all_of_them, entry["load_balancer_type"])
        entry["services"] = all_of_them
        return self._changed(project, entry, "update_service")

    def _delete_service(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"load balancer {entry['id']}")
        entry["services"].remove(self._service(entry, body["listen_port"]))
        return self._changed(project, entry, "delete_service")

    def _service(self, entry: Entry, port: Any) -> Entry:
        found = next((each for each in entry["services"] if each["listen_port"] == port), None)
        if found is None:
            raise ApiError(404, "not_found", f"load balancer {entry['id']} has no service on port {port}")
        return found

    # -- targets

    def _add_target(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"load balancer {entry['id']}")
        before = list(entry["targets"])
        try:
            targets.add(project, entry, body)
            targets.refuse_public(entry)
        except ApiError:
            entry["targets"] = before
            raise
        return self._changed(project, entry, "add_target")

    def _remove_target(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"load balancer {entry['id']}")
        wanted = targets.named_target(body)
        found = next((each for each in entry["targets"] if targets.same(each, wanted)), None)
        if found is None:
            raise ApiError(404, "not_found", f"load balancer {entry['id']} has no such target")
        entry["targets"].remove(found)
        return self._changed(project, entry, "remove_target")

    # -- networks

    def _attach(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"load balancer {entry['id']}")
        net = project.get("networks", body["network"], "network")
        if entry["private_net"]:
            raise ApiError(
                422, "load_balancer_already_attached", f"load balancer {entry['id']} is in a network already"
            )
        zone = entry["location"]["network_zone"]
        ip = networks.place(project, net, zone, body.get("ip"), body.get("ip_range"))
        entry["private_net"].append({"network": net["id"], "ip": ip})
        return self._changed(project, entry, "attach_to_network", ("network", net["id"]))

    def _detach(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"load balancer {entry['id']}")
        project.get("networks", body["network"], "network")
        if not any(net["network"] == body["network"] for net in entry["private_net"]):
            raise targets.not_attached(entry)
        if any(each.get("use_private_ip") for each in entry["targets"]):
            raise ApiError(422, "targets_with_use_private_ip", "targets use their private addresses: remove them first")
        networks.detach(entry, body["network"])
        return self._changed(project, entry, "detach_from_network", ("network", body["network"]))

    def _enable_public(self, project: Project, entry: Entry, body: Body) -> Answer:
        del body
        refuse_locked(entry, f"load balancer {entry['id']}")
        entry["_public"] = True
        return self._changed(project, entry, "enable_public_interface")

    def _disable_public(self, project: Project, entry: Entry, body: Body) -> Answer:
        del body
        refuse_locked(entry, f"load balancer {entry['id']}")
        if not entry["private_net"]:
            raise targets.not_attached(entry)
        targets.refuse_public({**entry, "_public": False})
        entry["_public"] = False
        return self._changed(project, entry, "disable_public_interface")

    # -- the rest

    def _change_algorithm(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"load balancer {entry['id']}")
        entry["algorithm"] = body
        return self._changed(project, entry, "change_algorithm")

    def _change_type(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"load balancer {entry['id']}")
        type = named(project.cloud.catalogue.load_balancer_types, body["load_balancer_type"])
        if type is None:
            raise invalid({"load_balancer_type": [f"{body['load_balancer_type'][:40]!r} is unknown"]})
        for part in ("services", "targets"):
            if len(entry[part]) > type[f"max_{part}"]:
                raise invalid({"load_balancer_type": [f"{type['name']} takes {type[f'max_{part}']} {part} only"]})
        services.refuse_too_many_certificates(entry["services"], type)
        entry["load_balancer_type"] = type
        return self._changed(project, entry, "change_load_balancer_type")

    def _dns(self, project: Project, entry: Entry, body: Body) -> Answer:
        primary_ips.set_dns(project, (entry["_ipv4"], entry["_ipv6"]), body)
        return self._changed(project, entry, "change_dns_ptr")

    def _changed(self, project: Project, entry: Entry, command: str, *more: tuple[str, int]) -> Answer:
        tell(project, entry)
        return acted(project.act(command, [(self.singular, entry["id"]), *more], locks=entry))


def facts(project: Project, entry: Entry) -> BalancerFacts:
    """What the load balancer's own machine knows."""
    ipv4 = project.kinds["primary_ips"].get(entry["_ipv4"])
    return BalancerFacts(
        id=entry["id"],
        public_ipv4=ipv4["ip"] if ipv4 and entry["_public"] else None,
        attachments=tuple(Attachment(net["network"], net["ip"]) for net in entry["private_net"]),
        services=tuple(
            ServiceFacts(
                each["protocol"],
                each["listen_port"],
                each["destination_port"],
                each["proxyprotocol"],
                each["health_check"],
            )
            for each in entry["services"]
        ),
        targets=tuple(
            TargetFacts(server["id"] if server else None, address)
            for target in entry["targets"]
            for server, address in targets.resolved(project, entry, target)
        ),
    )


def tell(project: Project, entry: Entry) -> None:
    """Tell the machines about a load balancer."""
    if project.cloud.machines is not None:
        project.cloud.machines.balance(facts(project, entry))


def _public_address(project: Project, id: int | None) -> Entry:
    address = project.kinds["primary_ips"].get(id) if id is not None else None
    if address is None:
        return {"id": None, "ip": None, "dns_ptr": None, "blocked": False}
    ip = address["ip"].partition("/")[0] + ("1" if address["type"] == "ipv6" else "")
    dns = address["dns_ptr"][0]["dns_ptr"] if address["dns_ptr"] else None
    return {"id": address["id"], "ip": ip, "dns_ptr": dns, "blocked": False}


def _location(project: Project, given: Body) -> Entry:
    locations = project.cloud.catalogue.locations
    if only_one(given, "location", "network_zone") == "location":
        found = named(locations, given["location"])
        if found is None:
            raise invalid({"location": [f"{given['location'][:40]!r} is unknown"]})
        return found
    for each in locations.values():
        if each["network_zone"] == given["network_zone"]:
            return each
    raise invalid({"network_zone": [f"{given['network_zone'][:40]!r} is unknown"]})


def _chosen(project: Project, addresses: Body, location: str) -> dict[str, int]:
    """Ids of the Primary IPs that were asked for."""
    for family, id in addresses.items():
        primary_ips.check_free(project, id, family, location)
    return addresses


def _give_address(project: Project, balancer: Entry, family: str, id: int | None) -> None:
    if id is not None:
        address = project.kinds["primary_ips"][id]
    else:
        name = f"primary_ip-lb-{balancer['id']}-{family}"
        address = primary_ips.new_address(project, name, family, balancer["location"], labels={}, auto_delete=True)
    primary_ips.assign(address, "load_balancer", balancer["id"])
    balancer[f"_{family}"] = address["id"]
