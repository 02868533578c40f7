"""Load balancers: services, targets, the Network that they are in, and the health of what they forward to."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final

from ..machines.facts import Attachment, BalancerFacts, ServiceFacts, TargetFacts
from . import networks, primary_ips
from .catalogue import named
from .errors import ApiError, invalid, too_many
from .fields import LABELS, NAME_OR_ID, NEEDED_NAME_OR_ID, Field, check, name_problem
from .kind import PROTECTION, Answer, Body, Kind, acted, only_one
from .project import Entry, Project, refuse_locked
from .selectors import Selector, SelectorError

BALANCERS: Final = 20


def _port_problem(port: int) -> str | None:
    return None if 1 <= port <= 65535 else "must be 1 to 65535"


_HEALTH_CHECK: Final = {
    "protocol": Field(str, choices=("tcp", "http", "https")),
    "port": Field(int, check=_port_problem),
    "interval": Field(int, check=lambda seconds: None if 3 <= seconds <= 60 else "must be 3 to 60 seconds"),
    "timeout": Field(int, check=lambda seconds: None if 1 <= seconds <= 60 else "must be 1 to 60 seconds"),
    "retries": Field(int, check=lambda count: None if 1 <= count <= 5 else "must be 1 to 5"),
    "http": Field(dict),
}
_HEALTH_HTTP: Final = {
    "domain": Field(str, nullable=True),
    "path": Field(str),
    "response": Field(str),
    "status_codes": Field(list, items=str),
    "tls": Field(bool),
}
_HTTP: Final = {
    "cookie_name": Field(str),
    "cookie_lifetime": Field(int),
    "timeout_idle": Field(int),
    "certificates": Field(list, items=int),
    "redirect_http": Field(bool),
    "sticky_sessions": Field(bool),
}
_SERVICE: Final = {
    "protocol": Field(str, choices=("tcp", "http", "https")),
    "listen_port": Field(int, check=_port_problem),
    "destination_port": Field(int, check=_port_problem),
    "proxyprotocol": Field(bool),
    "health_check": Field(dict),
    "http": Field(dict),
}
_TARGET: Final = {
    "type": Field(str, required=True, choices=("server", "label_selector", "ip")),
    "server": Field(dict),
    "label_selector": Field(dict),
    "ip": Field(dict),
    "use_private_ip": Field(bool),
}
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

    def actions(self) -> Mapping[str, Any]:
        private = {"network": Field(int, required=True)}
        return {
            "add_service": (_SERVICE, self._add_service),
            "update_service": (_SERVICE, self._update_service),
            "delete_service": ({"listen_port": Field(int, required=True)}, self._delete_service),
            "add_target": (_TARGET, self._add_target),
            "remove_target": (_TARGET, self._remove_target),
            "attach_to_network": (_ATTACH, self._attach),
            "detach_from_network": (private, self._detach),
            "change_algorithm": (_ALGORITHM, self._change_algorithm),
            "change_type": ({"load_balancer_type": NEEDED_NAME_OR_ID}, self._change_type),
            "change_protection": (PROTECTION, self.protect),
            "enable_public_interface": ({}, self._enable_public),
            "disable_public_interface": ({}, self._disable_public),
            "change_dns_ptr": ({"ip": Field(str, required=True), "dns_ptr": Field(str, nullable=True)}, self._dns),
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
        shown["targets"] = [_shown_target(project, entry, each, health) for each in entry["targets"]]
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
        for service in given.get("services", []):
            made = _new_service(project, check(service, _SERVICE, "services."))
            _refuse_used_port(entry, made["listen_port"], 412)
            _add_limited(entry, "services", made)
        for target in given.get("targets", []):
            _add_limited(entry, "targets", _new_target(project, entry, target))
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
        service = _new_service(project, body)
        _refuse_used_port(entry, service["listen_port"], 422)
        _add_limited(entry, "services", service)
        return self._changed(project, entry, "add_service")

    def _update_service(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"load balancer {entry['id']}")
        before = self._service(entry, body.get("listen_port"))
        merged = {**before, **body}
        for part in ("health_check", "http"):
            if part in before or part in body:
                merged[part] = {**before.get(part, {}), **body.get(part, {})}
        entry["services"][entry["services"].index(before)] = _new_service(project, merged)
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
        target = _new_target(project, entry, body)
        if any(_same(target, other) for other in entry["targets"]):
            raise ApiError(422, "target_already_defined", f"load balancer {entry['id']} has this target already")
        _add_limited(entry, "targets", target)
        return self._changed(project, entry, "add_target")

    def _remove_target(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"load balancer {entry['id']}")
        wanted = _named_target(body)
        found = next((each for each in entry["targets"] if _same(each, wanted)), None)
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
            raise _not_attached(entry)
        if any(each.get("use_private_ip") for each in entry["targets"]):
            raise ApiError(422, "targets_with_use_private_ip", "targets use their private addresses: remove them first")
        networks.detach(entry, body["network"])
        return self._changed(project, entry, "detach_from_network", ("network", body["network"]))

    def _enable_public(self, project: Project, entry: Entry, body: Body) -> Answer:
        del body
        entry["_public"] = True
        return self._changed(project, entry, "enable_public_interface")

    def _disable_public(self, project: Project, entry: Entry, body: Body) -> Answer:
        del body
        if not entry["private_net"]:
            raise _not_attached(entry)
        if any(not each.get("use_private_ip") for each in entry["targets"] if each["type"] != "ip"):
            raise ApiError(422, "targets_without_use_private_ip", "some targets use their public addresses")
        entry["_public"] = False
        return self._changed(project, entry, "disable_public_interface")

    # -- the rest

    def _change_algorithm(self, project: Project, entry: Entry, body: Body) -> Answer:
        entry["algorithm"] = body
        return self._changed(project, entry, "change_algorithm")

    def _change_type(self, project: Project, entry: Entry, body: Body) -> Answer:
        type = named(project.cloud.catalogue.load_balancer_types, body["load_balancer_type"])
        if type is None:
            raise invalid({"load_balancer_type": [f"{body['load_balancer_type'][:40]!r} is unknown"]})
        for part in ("services", "targets"):
            if len(entry[part]) > type[f"max_{part}"]:
                raise invalid({"load_balancer_type": [f"{type['name']} takes {type[f'max_{part}']} {part} only"]})
        entry["load_balancer_type"] = type
        return self._changed(project, entry, "change_load_balancer_type")

    def _dns(self, project: Project, entry: Entry, body: Body) -> Answer:
        for family in ("ipv4", "ipv6"):
            address = project.kinds["primary_ips"].get(entry[f"_{family}"])
            if address is not None and address["ip"] == body["ip"]:
                address["dns_ptr"] = [{"ip": body["ip"], "dns_ptr": body["dns_ptr"]}] if body.get("dns_ptr") else []
                return self._changed(project, entry, "change_dns_ptr")
        raise invalid({"ip": [f"{body['ip'][:40]!r} is no address of the load balancer"]})

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
            for server, address in _resolved(project, entry, target)
        ),
    )


def tell(project: Project, entry: Entry) -> None:
    """Tell the machines about a load balancer."""
    if project.cloud.machines is not None:
        project.cloud.machines.balance(facts(project, entry))


def _resolved(project: Project, entry: Entry, target: Entry) -> Iterator[tuple[Entry | None, str | None]]:
    """The servers behind a target and the addresses that traffic goes to."""
    if target["type"] == "ip":
        yield None, target["ip"]["ip"]
        return
    if target["type"] == "server":
        servers = [project.kinds["servers"][target["server"]["id"]]]
    else:
        selector = Selector(target["label_selector"]["selector"])
        servers = [server for server in project.all("servers") if selector.matches(server["labels"])]
    for server in servers:
        yield server, _address(project, entry, server, private=target["use_private_ip"])


def _address(project: Project, entry: Entry, server: Entry, *, private: bool) -> str | None:
    if private:
        own = {net["network"] for net in entry["private_net"]}
        return next((net["ip"] for net in server["private_net"] if net["network"] in own), None)
    ipv4 = project.kinds["primary_ips"].get(server["_ipv4"])
    return ipv4["ip"] if ipv4 else None


def _shown_target(project: Project, entry: Entry, target: Entry, health: Mapping[tuple[str, int], str]) -> Entry:
    def statuses(address: str | None) -> list[Entry]:
        return [
            {"listen_port": each["listen_port"], "status": health.get((address or "", each["listen_port"]), "unknown")}
            for each in entry["services"]
        ]

    resolved = list(_resolved(project, entry, target))
    if target["type"] != "label_selector":
        return {**target, "health_status": statuses(resolved[0][1])}
    found = [
        {
            "type": "server",
            "server": {"id": server["id"]},
            "health_status": statuses(address),
            "use_private_ip": target["use_private_ip"],
        }
        for server, address in resolved
        if server is not None
    ]
    return {**target, "targets": found}


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


def _add_limited(entry: Entry, part: str, made: Entry) -> None:
    limit = entry["load_balancer_type"][f"max_{part}"]
    if len(entry[part]) >= limit:
        raise ApiError(
            422,
            "resource_limit_exceeded",
            f"a {entry['load_balancer_type']['name']} takes {limit} {part}",
            {"limits": [{"name": f"load_balancer_{part}"}]},
        )
    entry[part].append(made)


def _refuse_used_port(entry: Entry, port: int, status: int) -> None:
    if any(each["listen_port"] == port for each in entry["services"]):
        raise ApiError(status, "source_port_already_used", f"port {port} is used by another service")


def _new_service(project: Project, given: Body) -> Entry:
    protocol = given.get("protocol")
    if protocol is None:
        raise invalid({"protocol": ["Missing data for required field."]})
    defaults = {"http": 80, "https": 443}
    port = given.get("listen_port") or defaults.get(protocol)
    destination = given.get("destination_port") or {"https": 80}.get(protocol, port)
    if port is None or destination is None:
        raise invalid({"listen_port": ["Missing data for required field."]})
    if protocol == "tcp" and given.get("http"):
        raise invalid({"http": ["is not for tcp services"]})
    service: Entry = {
        "protocol": protocol,
        "listen_port": port,
        "destination_port": destination,
        "proxyprotocol": given.get("proxyprotocol", False),
        "health_check": _health_check(given.get("health_check", {}), destination),
    }
    if protocol != "tcp":
        service["http"] = _http(project, protocol, check(given.get("http", {}), _HTTP, "http."))
    return service


def _health_check(given: Any, port: int) -> Entry:
    wanted = check(given, _HEALTH_CHECK, "health_check.")
    made: Entry = {"protocol": "tcp", "port": port, "interval": 15, "timeout": 10, "retries": 3, **wanted}
    if made["timeout"] >= made["interval"]:
        raise invalid({"health_check.timeout": ["must be less than the interval"]})
    if made["protocol"] == "tcp":
        made.pop("http", None)
        return made
    defaults: Entry = {"domain": "", "path": "/", "response": "", "status_codes": ["2??", "3??"], "tls": False}
    made["http"] = {**defaults, **check(made.get("http", {}), _HEALTH_HTTP, "health_check.http.")}
    return made


def _http(project: Project, protocol: str, given: Body) -> Entry:
    defaults: Entry = {
        "cookie_name": "HCLBSTICKY",
        "cookie_lifetime": 300,
        "timeout_idle": 50,
        "sticky_sessions": False,
    }
    if protocol == "http":
        return {**defaults, **{key: value for key, value in given.items() if key in defaults}}
    if not given.get("certificates"):
        raise invalid({"http.certificates": ["an https service needs a certificate"]})
    for id in given["certificates"]:
        project.get("certificates", id, "certificate")
    return {**defaults, "certificates": [], "redirect_http": False, **given}


def _named_target(given: Any) -> Entry:
    """A target as it is named, without its use of private addresses."""
    target = check(given, _TARGET, "")
    match target["type"]:
        case "server":
            id = check(target.get("server", {}), {"id": Field(int, required=True)}, "server.")["id"]
            return {"type": "server", "server": {"id": id}}
        case "label_selector":
            form = {"selector": Field(str, required=True)}
            selector = check(target.get("label_selector", {}), form, "label_selector.")["selector"]
            try:
                Selector(selector)
            except SelectorError as error:
                raise invalid({"label_selector.selector": [str(error)[:200]]}) from error
            return {"type": "label_selector", "label_selector": {"selector": selector}}
        case _:
            ip = check(target.get("ip", {}), {"ip": Field(str, required=True)}, "ip.")["ip"]
            try:
                ip_address(ip)
            except ValueError as error:
                raise invalid({"ip.ip": [f"{ip[:40]!r} is no address"]}) from error
            return {"type": "ip", "ip": {"ip": ip}}


def _new_target(project: Project, entry: Entry, given: Any) -> Entry:
    target = _named_target(given)
    private = bool(given.get("use_private_ip", False))
    if target["type"] == "ip":
        if target["ip"]["ip"] not in project.cloud.dedicated_addresses:
            raise ApiError(422, "ip_not_owned", f"the address {target['ip']['ip']} belongs to none of your machines")
        return target
    if private and not entry["private_net"]:
        raise _not_attached(entry)
    if target["type"] == "server":
        server = project.get("servers", target["server"]["id"], "server")
        if private and _address(project, entry, server, private=True) is None:
            raise ApiError(
                422,
                "resolve_cloud_private_targets_error",
                f"server {server['id']} is not in the load balancer's network",
            )
    return {**target, "use_private_ip": private}


def _same(one: Entry, other: Entry) -> bool:
    type = one["type"]
    return type == other["type"] and one[type] == other[type]


def _not_attached(entry: Entry) -> ApiError:
    return ApiError(
        422, "load_balancer_not_attached_to_network", f"load balancer {entry.get('id', '')} is in no network".strip()
    )
