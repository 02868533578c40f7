"""Look-ups: objects by name, id or labels, and what the cloud offers."""

import hashlib
from typing import Any, cast

from ...package import ProviderError
from ...schema import Property, Shape, schema_of
from ...values import Properties, Value
from .api import Api, Entry
from .firewall import Firewall
from .load_balancer import LoadBalancer
from .objects import Network, PlacementGroup, PrimaryIp, SshKey, UploadedCertificate, Volume
from .resource import Named, camelized
from .server import Server

_LISTS = {
    "getCertificates": "certificates",
    "getFirewalls": "firewalls",
    "getLoadBalancers": "load_balancers",
    "getNetworks": "networks",
    "getPlacementGroups": "placement_groups",
    "getPrimaryIps": "primary_ips",
    "getServers": "servers",
    "getSshKeys": "ssh_keys",
    "getVolumes": "volumes",
}
_SINGLES = {name.removesuffix("s"): kind for name, kind in _LISTS.items()}
_OBJECTS: tuple[Named, ...] = (
    Firewall(),
    LoadBalancer(),
    Network(),
    PlacementGroup(),
    PrimaryIp(),
    Server(),
    SshKey(),
    UploadedCertificate(),
    Volume(),
)
_TYPES = {each.kind: each for each in _OBJECTS}
_EMPTY: dict[str, Value] = {"string": "", "integer": 0, "number": 0, "boolean": False}


def look_up(api: Api, token: str, arguments: Properties) -> Properties | None:
    """The answer of a function; None when it is not known here.

    Raises:
        ProviderError: nothing was found, or too much.
    """
    name = token.rpartition(":")[2]
    if name in _LISTS:
        return _list(api, token, _LISTS[name], arguments)
    if name in _SINGLES:
        return _single(api, token, _SINGLES[name], arguments)
    if name == "getServerTypes":
        return _server_types(api, token)
    if name == "getServerType":
        for entry in cast(
            "list[Entry]", _server_types(api, "hcloud:index/getServerTypes:getServerTypes")["serverTypes"]
        ):
            if arguments.get("name") == entry["name"] or arguments.get("id") == entry["id"]:
                return entry
        raise ProviderError(f"getServerType: no server type found with {arguments}")
    return None


def _list(api: Api, token: str, kind: str, arguments: Properties) -> Properties:
    schema = schema_of(token)
    found = _found(api, kind, arguments)
    plural = next(key for key, entry in schema.outputs.items() if entry.type.kind == "list" and key not in arguments)
    item = schema.shapes[schema.outputs[plural].type.items[0].ref]
    digest = hashlib.sha256(",".join(str(entry["id"]) for entry in found).encode()).hexdigest()
    told = [_described(kind, entry, item) for entry in found]
    return {**arguments, plural: cast("list[Value]", told), "id": digest}


def _single(api: Api, token: str, kind: str, arguments: Properties) -> Properties:
    if "id" in arguments:
        answer = api.find(f"/{kind}/{arguments['id']}")
        found = [answer[_TYPES[kind].singular]] if answer else []
    else:
        found = _found(api, kind, arguments)
    if len(found) != 1:
        wanted = ", ".join(f"{key}={value}" for key, value in arguments.items())
        raise ProviderError(f"{token.rpartition(':')[2]}: {len(found) or 'no'} {kind} found with {wanted}")
    return arguments | _described(kind, found[0], schema_of(token).outputs)


def _found(api: Api, kind: str, arguments: Properties) -> list[Entry]:
    query: Entry = {}
    if selector := arguments.get("withSelector") or arguments.get("selector"):
        query["label_selector"] = selector
    for name, parameter in (("name", "name"), ("ipAddress", "ip"), ("fingerprint", "fingerprint")):
        if arguments.get(name):
            query[parameter] = arguments[name]
    if arguments.get("withStatuses"):
        query["status"] = arguments["withStatuses"]
    return api.all(kind, **query)


def _described(kind: str, entry: Entry, shape: Shape) -> dict[str, Value]:
    """An object as a look-up shows it: every field that the SDK's type requires is there."""
    attributes: dict[str, Any] = {**_TYPES[kind].outputs(entry, {}), "id": entry["id"]}
    return _shaped(attributes, shape)


def _shaped(attributes: dict[str, Any], shape: Shape) -> dict[str, Value]:
    return {
        name: attributes[name] if attributes.get(name) is not None else _empty(wanted)
        for name, wanted in shape.items()
        if attributes.get(name) is not None or wanted.required or name == "labels"
    }


def _empty(wanted: Property) -> Value:
    if wanted.type.kind == "list":
        return []
    return {} if wanted.type.kind in ("map", "object") else _EMPTY.get(wanted.type.kind)


def _server_types(api: Api, token: str) -> Properties:
    schema = schema_of(token)
    item = schema.shapes[schema.outputs["serverTypes"].type.items[0].ref]
    told: list[dict[str, Value]] = []
    for entry in api.all("server_types"):
        attributes = camelized(entry) | {
            "isDeprecated": entry["deprecated"],
            "deprecationAnnounced": "",
            "unavailableAfter": "",
        }
        attributes["locations"] = [
            {
                **camelized(each),
                "isDeprecated": each["deprecation"] is not None,
                "deprecationAnnounced": "",
                "unavailableAfter": "",
            }
            for each in entry["locations"]
        ]
        for location in attributes["locations"]:
            location.pop("deprecation")
        told.append(_shaped(attributes, item))
    return {
        "id": "server_types",
        "serverTypes": cast("list[Value]", told),
        "names": [entry["name"] for entry in told],
        "descriptions": [entry["description"] for entry in told],
        "serverTypeIds": [str(entry["id"]) for entry in told],
    }
