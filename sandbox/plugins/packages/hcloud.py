"""The hcloud provider: objects in a cloud, with the ids, addresses and fields that programs read."""

import hashlib
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, cast

from ...cloud import CloudError, CloudObject
from ..check import Failure
from ..package import EVERYTHING, Created, Kind, Package, ProviderError, Target, kind, text
from ..schema import Property, Shape, schema_of
from ..values import Properties, Unknown, Value

USER_DATA_LIMIT: Final = 32 * 1024
"""Bytes of user_data that the Hetzner Cloud API takes."""

TOKEN_LENGTH: Final = 64
"""Characters of an API token; the real provider refuses any other length."""

_NEVER_STORED: Final = ("userData", "privateKey")

# Networks that RFC 5737 and RFC 3849 set aside for documentation: no machine answers there by accident.
_IPV4: Final = [ipaddress.ip_network(f"{net}/24") for net in ("192.0.2.0", "198.51.100.0", "203.0.113.0")]
_IPV6: Final = ipaddress.ip_network("2001:db8::/32")


def _token(name: str) -> str:
    return f"hcloud:index/{name[0].lower()}{name[1:]}:{name}"


_OBJECTS: Final = {
    _token("Firewall"): "firewalls",
    _token("FloatingIp"): "floating_ips",
    _token("LoadBalancer"): "load_balancers",
    _token("Network"): "networks",
    _token("PlacementGroup"): "placement_groups",
    _token("PrimaryIp"): "primary_ips",
    _token("Server"): "servers",
    _token("SshKey"): "ssh_keys",
    _token("UploadedCertificate"): "certificates",
    _token("Volume"): "volumes",
}
"""What is an object of its own in the cloud; everything else is a part of one."""

_PARTS: Final = {
    _token("FirewallAttachment"): ("firewallId", "firewalls"),
    _token("FloatingIpAssignment"): ("floatingIpId", "floating_ips"),
    _token("LoadBalancerNetwork"): ("loadBalancerId", "load_balancers"),
    _token("LoadBalancerService"): ("loadBalancerId", "load_balancers"),
    _token("LoadBalancerTarget"): ("loadBalancerId", "load_balancers"),
    _token("NetworkRoute"): ("networkId", "networks"),
    _token("NetworkSubnet"): ("networkId", "networks"),
    _token("ServerNetwork"): ("serverId", "servers"),
    _token("VolumeAttachment"): ("volumeId", "volumes"),
}
"""Parts: the input that names the whole, and the whole's kind."""

_LISTS: Final = {
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
_SINGLES: Final = {name.removesuffix("s"): objects for name, objects in _LISTS.items()}


class Hcloud(Package):
    """``pulumi_hcloud``. Server types come from ``Surroundings.catalogue``, a price list."""

    name = "hcloud"
    autonamed = True
    needs_cloud = True
    # What the Terraform provider declares ForceNew. The bridge deletes first where a name was given and stays (`named`),
    # but not for resources of the plugin framework (SshKey, PrimaryIp) nor for nameless ones.
    kinds: ClassVar[Mapping[str, Kind]] = {
        _token("Firewall"): kind(named=True),
        _token("FirewallAttachment"): kind("firewallId"),
        _token("FloatingIp"): kind("type", "homeLocation", named=True),
        _token("LoadBalancer"): kind("location", "networkZone", named=True, one_of=(("location", "networkZone"),)),
        _token("LoadBalancerNetwork"): kind(
            "loadBalancerId", "networkId", "subnetId", "ip", one_of=(("networkId", "subnetId"),)
        ),
        _token("LoadBalancerService"): kind("loadBalancerId", "protocol", "listenPort"),
        _token("LoadBalancerTarget"): kind("loadBalancerId", "type", "serverId", "labelSelector", "ip"),
        _token("Network"): kind("ipRange", named=True),
        _token("NetworkRoute"): kind(EVERYTHING),
        _token("NetworkSubnet"): kind(EVERYTHING),
        _token("PlacementGroup"): kind(named=True),
        _token("PrimaryIp"): kind("type", "location", "datacenter", one_of=(("location", "assigneeId", "datacenter"),)),
        _token("Server"): kind("image", "location", "datacenter", "userData", "sshKeys", named=True),
        _token("ServerNetwork"): kind(EVERYTHING, "!aliasIps", one_of=(("networkId", "subnetId"),)),
        _token("SshKey"): kind("publicKey"),
        _token("UploadedCertificate"): kind("certificate", "privateKey", named=True),
        _token("Volume"): kind("location", "format", named=True),
        _token("VolumeAttachment"): kind("volumeId", "serverId"),
    }

    def check_config(self, inputs: Properties) -> list[Failure]:
        failures = super().check_config(inputs)
        token = inputs.get("token")
        if token is None:
            failures.append(Failure("token", "is required: pulumi config set --secret hcloud:token <token>"))
        elif isinstance(token, str) and len(token) != TOKEN_LENGTH:
            failures.append(Failure("token", f"must be exactly {TOKEN_LENGTH} characters long, not {len(token)}"))
        return failures

    def check_more(self, target: Target, inputs: Properties) -> list[Failure]:
        failures: list[Failure] = []
        if "datacenter" in inputs:
            failures.append(Failure("datacenter", "was removed from the Hetzner Cloud API: give location instead"))
        if target.token == _token("Server"):
            failures += _check_server(inputs)
        return failures

    # -- resources

    def make(self, target: Target, inputs: Properties) -> Created:
        if target.token in _OBJECTS:
            outputs = self._complete(target, inputs, {})
            made = self.cloud.create(_OBJECTS[target.token], _stored(outputs), _labels(outputs))
            return Created(made.id, outputs)
        if target.token in _PARTS:
            reference, whole = _PARTS[target.token]
            if reference in inputs and self.cloud.read(whole, str(inputs[reference])) is None:
                raise ProviderError(f"{reference} {inputs[reference]}: no such object in {whole} (not_found)")
            id, computed = _part(target, inputs)
            return Created(id, inputs | computed)
        raise ProviderError(f"the sandbox's hcloud plugin does not make {target.token}")

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        if target.token in _OBJECTS:
            found = self.cloud.read(_OBJECTS[target.token], id)
            return None if found is None else {**inputs, **outputs, **found.attributes}
        if target.token in _PARTS:
            reference, whole = _PARTS[target.token]
            owner = outputs.get(reference, inputs.get(reference))
            if owner is not None and self.cloud.read(whole, str(owner)) is None:
                return None
        return super().read(target, id, inputs, outputs)

    def update(
        self, target: Target, id: str, old: Properties, new: Properties, outputs: Properties, *, preview: bool
    ) -> Properties:
        changed = super().update(target, id, old, new, outputs, preview=preview)
        if preview or target.token not in _OBJECTS:
            return changed
        changed = self._complete(target, new, changed)
        self.cloud.update(_OBJECTS[target.token], id, _stored(changed), _labels(changed))
        return changed

    def delete(self, target: Target, id: str, outputs: Properties) -> None:
        if target.token not in _OBJECTS:
            return
        kind_ = _OBJECTS[target.token]
        found = self.cloud.read(kind_, id)
        if found is not None and found.attributes.get("deleteProtection"):
            raise ProviderError(f"{kind_} {id} ({found.attributes.get('name')}) is protected (protected)")
        self.cloud.delete(kind_, id)

    def _complete(self, target: Target, inputs: Properties, before: Properties) -> Properties:
        """Inputs plus what the cloud computes; what it computed before stays."""
        outputs = before | inputs
        for name, default in _DEFAULTS.get(target.token, {}).items():
            outputs.setdefault(name, default)
        match target.token.rpartition(":")[2]:
            case "PrimaryIp" | "FloatingIp" if "ipAddress" not in outputs:
                outputs |= self._new_address(text(inputs["type"]))
            case "Server":
                outputs |= self._server_addresses(inputs, before)
                outputs["networks"] = _attachments(inputs)
            case "LoadBalancer" if "ipv4" not in before:
                outputs |= {
                    "ipv4": self._primary_address(inputs.get("ipv4Id")) or self._new_ipv4(),
                    "ipv6": self._primary_address(inputs.get("ipv6Id")) or self._new_ipv6(),
                }
            case "SshKey":
                outputs["fingerprint"] = _ssh_fingerprint(text(inputs["publicKey"]))
            case "UploadedCertificate":
                outputs |= _describe_certificate(text(inputs["certificate"]))
            case "Volume":
                outputs.setdefault("linuxDevice", f"/dev/disk/by-id/scsi-0HC_Volume_{inputs.get('name')}")
            case _:
                pass
        return outputs

    def _server_addresses(self, inputs: Properties, before: Properties) -> Properties:
        nets = cast("list[Any]", inputs.get("publicNets") or [{}])
        merged: dict[str, Any] = {key: value for net in nets for key, value in net.items()}
        result: Properties = {"ipv4Address": "", "ipv6Address": "", "ipv6Network": ""}
        if merged.get("ipv4Enabled", True):
            result["ipv4Address"] = (
                self._primary_address(merged.get("ipv4")) or before.get("ipv4Address") or self._new_ipv4()
            )
        if merged.get("ipv6Enabled", True):
            network = self._primary_address(merged.get("ipv6")) or before.get("ipv6Network") or self._new_ipv6() + "/64"
            result |= {"ipv6Network": network, "ipv6Address": str(network).partition("/")[0] + "1"}
        return result

    def _primary_address(self, id: Value) -> str:
        if not id:
            return ""
        found = self.cloud.read("primary_ips", str(id))
        if found is None:
            raise ProviderError(f"primary IP {id} does not exist (not_found)")
        return str(found.attributes.get("ipNetwork") or found.attributes["ipAddress"])

    def _new_address(self, type: str) -> Properties:
        if type == "ipv4":
            return {"ipAddress": self._new_ipv4(), "ipNetwork": ""}
        network = self._new_ipv6()
        return {"ipAddress": network + "1", "ipNetwork": network + "/64"}

    def _new_ipv4(self) -> str:
        number = self.cloud.next_number("ipv4")
        hosts_each = _IPV4[0].num_addresses - 2
        index, host = divmod(number - 1, hosts_each)
        if index >= len(_IPV4):
            raise ProviderError(f"no IPv4 address is left after {number - 1}: use a fresh SANDBOX_CLOUD directory")
        return str(_IPV4[index][host + 1])

    def _new_ipv6(self) -> str:
        """The first address of a /64 without its last digit group: ``2001:db8:0:1::``."""
        base = int(_IPV6.network_address) + (self.cloud.next_number("ipv6") << 64)
        return str(ipaddress.IPv6Address(base))

    # -- look-ups

    def call(self, token: str, arguments: Properties) -> Properties:
        name = token.rpartition(":")[2]
        outputs = schema_of(token)
        if name in _LISTS:
            found = self._find(_LISTS[name], arguments)
            plural = next(
                key for key, entry in outputs.outputs.items() if entry.type.kind == "list" and key not in arguments
            )
            item = outputs.shapes[outputs.outputs[plural].type.items[0].ref]
            described = cast("list[Value]", [_described(entry, item) for entry in found])
            return {**arguments, plural: described, "id": _digest(found)}
        if name in _SINGLES:
            found = self._find(_SINGLES[name], arguments)
            if len(found) != 1:
                wanted = ", ".join(f"{key}={value}" for key, value in arguments.items())
                raise ProviderError(f"{name}: {len(found) or 'no'} {_SINGLES[name]} found with {wanted}")
            return arguments | _described(found[0], outputs.outputs)
        if name == "getServerTypes":
            types = self._server_types()
            return {
                "id": "server_types",
                "serverTypes": cast("list[Value]", types),
                "names": [entry["name"] for entry in types],
                "descriptions": [entry["description"] for entry in types],
                "serverTypeIds": [str(entry["id"]) for entry in types],
            }
        if name == "getServerType":
            for entry in self._server_types():
                if arguments.get("name") == entry["name"] or arguments.get("id") == entry["id"]:
                    return entry
            raise ProviderError(f"getServerType: no server type found with {arguments}")
        return super().call(token, arguments)

    def _find(self, objects: str, arguments: Properties) -> list[CloudObject]:
        found = self.cloud.list(objects, str(arguments.get("withSelector") or arguments.get("selector") or ""))
        for name in ("name", "ipAddress"):
            if name in arguments:
                found = [entry for entry in found if entry.attributes.get(name) == arguments[name]]
        if "id" in arguments:
            found = [entry for entry in found if entry.id == str(arguments["id"])]
        statuses = cast("list[Value]", arguments.get("withStatuses") or [])
        return [entry for entry in found if not statuses or entry.attributes.get("status") in statuses]

    def _server_types(self) -> list[dict[str, Value]]:
        if self.surroundings.catalogue is None:
            raise CloudError("no server types are known: set SANDBOX_CATALOGUE=<file>")
        shape = schema_of("hcloud:index/getServerTypes:getServerTypes")
        item = shape.shapes[shape.outputs["serverTypes"].type.items[0].ref]
        return [
            _described(CloudObject("server_types", str(number), attributes), item)
            for number, attributes in enumerate(_catalogue(self.surroundings.catalogue), 1)
        ]


_DEFAULTS: Final[Mapping[str, Properties]] = {
    _token("Firewall"): {"applyTos": []},
    _token("LoadBalancer"): {"algorithm": {"type": "round_robin"}, "networkId": 0, "networkIp": ""},
    _token("Network"): {"deleteProtection": False, "exposeRoutesToVswitch": False},
    _token("PlacementGroup"): {"servers": []},
    _token("PrimaryIp"): {"assigneeId": 0, "assigneeType": "server", "autoDelete": False, "deleteProtection": False},
    _token("Server"): {
        "backupWindow": "",
        "backups": False,
        "deleteProtection": False,
        "firewallIds": [],
        "ignoreRemoteFirewallIds": False,
        "keepDisk": False,
        "rebuildProtection": False,
        "shutdownBeforeDeletion": False,
        "status": "running",
    },
    _token("Volume"): {"deleteProtection": False},
}


def _check_server(inputs: Properties) -> list[Failure]:
    failures: list[Failure] = []
    user_data = inputs.get("userData")
    if isinstance(user_data, str) and len(user_data.encode()) > USER_DATA_LIMIT:
        size = len(user_data.encode())
        failures.append(Failure("userData", f"is {size} bytes long; at most {USER_DATA_LIMIT} are allowed"))
    protections = [inputs.get(name, False) for name in ("deleteProtection", "rebuildProtection")]
    if protections[0] != protections[1] and not any(isinstance(value, Unknown) for value in protections):
        failures.append(Failure("rebuildProtection", "must be the same as deleteProtection"))
    return failures


def _labels(outputs: Properties) -> dict[str, str]:
    labels = outputs.get("labels")
    return {key: str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}


def _stored(outputs: Properties) -> dict[str, Any]:
    return {name: value for name, value in outputs.items() if name not in _NEVER_STORED}


def _part(target: Target, inputs: Properties) -> tuple[str, Properties]:
    """The id of a part, as the Terraform provider spells it, and what the cloud computes for it."""
    given = {name: str(value) for name, value in inputs.items()}
    balancer, network = given.get("loadBalancerId", ""), given.get("networkId", "")
    match target.token.rpartition(":")[2]:
        case "NetworkSubnet":
            gateway = str(ipaddress.ip_network(given["ipRange"])[1])
            return f"{network}-{given['ipRange']}", {"gateway": gateway}
        case "NetworkRoute":
            return f"{network}-{given['destination']}", {}
        case "LoadBalancerNetwork":
            network = network or given["subnetId"].partition("-")[0]
            computed: Properties = {"networkId": int(network), "enablePublicInterface": True}
            return f"{balancer}-{network}", computed | inputs
        case "LoadBalancerService":
            port = inputs.get("listenPort") or (443 if inputs["protocol"] == "https" else 80)
            service: Properties = {"listenPort": port, "destinationPort": port, "proxyprotocol": False}
            return f"{balancer}__{port}", service | inputs
        case "LoadBalancerTarget":
            target_properties: Properties = {"usePrivateIp": False}
            return _target_id(given, balancer), target_properties | inputs
        case "ServerNetwork":
            network = network or given["subnetId"].partition("-")[0]
            return f"{given['serverId']}-{network}", {"networkId": int(network), "macAddress": _mac(given)}
        case _:
            return "-".join(given[name] for name in sorted(given) if name.endswith("Id")), {}


def _target_id(given: Mapping[str, str], balancer: str) -> str:
    if "serverId" in given:
        return f"lb-srv-tgt-{given['serverId']}-{balancer}"
    if "ip" in given:
        return f"lb-ip-tgt-{given['ip']}-{balancer}"
    digest = hashlib.sha256(given.get("labelSelector", "").encode()).hexdigest()[:8]
    return f"lb-label-selector-tgt-{digest}-{balancer}"


def _attachments(inputs: Properties) -> list[Value]:
    """A server's inline networks with what the cloud adds; ``networkId`` follows from ``subnetId``."""
    attachments: list[Value] = []
    for given in cast("list[dict[str, Value]]", inputs.get("networks") or []):
        network = given.get("networkId") or int(str(given.get("subnetId", "0")).partition("-")[0])
        attached: Properties = {"aliasIps": [], **given, "networkId": network, "macAddress": _mac(given)}
        attachments.append(attached)
    return attachments


def _mac(given: Mapping[str, Value]) -> str:
    digest = hashlib.sha256(repr(sorted(given.items())).encode()).hexdigest()
    return ":".join(["86", "00", "00", *(digest[index : index + 2] for index in (0, 2, 4))])


def _ssh_fingerprint(public_key: str) -> str:
    import base64  # noqa: PLC0415

    try:
        blob = base64.b64decode(public_key.split()[1], validate=True)
    except (IndexError, ValueError) as error:
        raise ProviderError("publicKey is not an OpenSSH public key (invalid_input)") from error
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[index : index + 2] for index in range(0, 32, 2))


def _describe_certificate(pem: str) -> Properties:
    from cryptography import x509  # noqa: PLC0415 - only certificates need it
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise ProviderError("certificate is not a certificate in PEM (invalid_input)") from error
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        domains: list[Value] = list(names.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        domains = []
    return {
        "type": "uploaded",
        "domainNames": domains,
        "fingerprint": certificate.fingerprint(hashes.SHA256()).hex(":"),
        "created": certificate.not_valid_before_utc.isoformat(),
        "notValidBefore": certificate.not_valid_before_utc.isoformat(),
        "notValidAfter": certificate.not_valid_after_utc.isoformat(),
    }


_EMPTY: Final[Mapping[str, Value]] = {"string": "", "integer": 0, "number": 0, "boolean": False}


def _described(entry: CloudObject, shape: Shape) -> dict[str, Value]:
    """An object as a look-up shows it: every field that the SDK's type requires is there."""
    attributes: dict[str, Value] = {**entry.attributes, "id": int(entry.id)}
    described: dict[str, Value] = {}
    for name, wanted in shape.items():
        if name in attributes:
            described[name] = attributes[name]
        elif wanted.required or name in ("labels",):
            described[name] = _empty(wanted)
    return described


def _empty(wanted: Property) -> Value:
    if wanted.type.kind == "list":
        return []
    return {} if wanted.type.kind in ("map", "object") else _EMPTY.get(wanted.type.kind)


def _digest(found: list[CloudObject]) -> str:
    return hashlib.sha256(",".join(entry.id for entry in found).encode()).hexdigest()


def _catalogue(path: Path) -> list[dict[str, Any]]:
    """The server types of a price list (``config/prices.yaml``), as the API spells their attributes."""
    import yaml  # noqa: PLC0415 - only this look-up needs it

    content = yaml.safe_load(path.read_text())
    return [
        {
            "name": name,
            "description": name.upper(),
            "cores": entry["cores"],
            "memory": entry["memory_gb"],
            "disk": entry["disk_gb"],
            "architecture": entry["architecture"],
            "cpuType": "dedicated" if name.startswith("ccx") else "shared",
            "storageType": "local",
            "isDeprecated": bool(entry.get("deprecated", False)),
            "locations": [
                {
                    "id": number,
                    "name": location,
                    "available": entry["available"]
                    if isinstance(entry["available"], bool)
                    else location in entry["available"],
                    "recommended": False,
                    "isDeprecated": bool(entry.get("deprecated", False)),
                    "deprecationAnnounced": "",
                    "unavailableAfter": "",
                }
                for number, location in enumerate(content["locations"], 1)
            ],
        }
        for name, entry in content["server_types"].items()
    ]


PACKAGE = Hcloud
