"""What is refused before anything is created: file, key, value, what is wrong, what to write; all at once, no secret."""

from typing import NamedTuple

import pulumi
import pytest
import yaml

from sandbox.preview import checked
from stacks.checks import required_secrets
from stacks.problems import ConfigurationError
from tests.unit.stacks.edited import ACCESS, DR, GONE, PRICES, PROD, REGIONS, SHARED, VERSIONS, Edited, Path_, Said

TYPES = "cx23, cx33, cx43, cx53, cax11, cax21, cax31, cax41, cpx12, cpx22, cpx32, cpx42, cpx52, cpx62, ccx13, ccx23, ccx33, ccx43, ccx53, ccx63"
X86 = ", ".join(name for name in TYPES.split(", ") if not name.startswith("cax"))


def many_labels(count: int) -> dict[str, str]:
    return {f"example.com/{'l' * 50}{number}": "v" * 63 for number in range(count)}


class Case(NamedTuple):
    """Values put into the committed configuration, and exactly what is said of them."""

    statement: str
    edits: list[tuple[str, Path_, object]]
    said: list[Said]
    stack: str = "prod"


CASES = [
    Case(
        "an unknown key of the servers",
        [(REGIONS, ("fsn1", "servers", "node"), "1-3")],
        [
            (
                REGIONS,
                "fsn1.servers.node",
                "1-3",
                "is an unknown key",
                "did you mean 'nodes'? known here: drained, fallback_types, generations, labels, nodes, taints, type, types, unprotected",
            )
        ],
    ),
    Case(
        "an unknown key of a pool",
        [(REGIONS, ("fsn1", "pools", "general", "fallback"), ["cpx42"])],
        [
            (
                REGIONS,
                "fsn1.pools.general.fallback",
                None,
                "is an unknown key",
                "did you mean 'fallback_types'? known here: drained, fallback_types, generations, kind, labels, nodes, taints, type, types, unprotected",
            )
        ],
    ),
    Case(
        "an unknown key of a region",
        [(REGIONS, ("fsn1", "locaton"), "fsn1")],
        [
            (
                REGIONS,
                "fsn1.locaton",
                "fsn1",
                "is an unknown key",
                "did you mean 'location'? known here: index, load_balancer, location, pools, restore_from, servers",
            )
        ],
    ),
    Case(
        "an unknown key of a stack",
        [(PROD, ("admin_cidr",), ["203.0.113.0/24"])],
        [
            (
                PROD,
                "hetzner-platform:stack.admin_cidr",
                None,
                "is an unknown key",
                "did you mean 'admin_cidrs'? known here: admin_cidrs, api, protection, region, role",
            )
        ],
    ),
    Case(
        "an unknown key below api",
        [(PROD, ("api", "endpint"), "name")],
        [
            (
                PROD,
                "hetzner-platform:stack.api.endpint",
                "name",
                "is an unknown key",
                "did you mean 'endpoint'? known here: connect_to, endpoint, ready_within",
            )
        ],
    ),
    Case(
        "an unknown key of the edge",
        [(SHARED, ("cloudflare", "hostname"), ["@"])],
        [
            (
                SHARED,
                "hetzner-platform:stack.cloudflare.hostname",
                None,
                "is an unknown key",
                "did you mean 'hostnames'? known here: account_id, custom_rules, ddos, hostnames, origin, plan, rate_limits, zone_id",
            )
        ],
        "shared",
    ),
    Case(
        "an unknown key of a rule",
        [(SHARED, ("cloudflare", "custom_rules", 0, "expresion"), "x")],
        [
            (
                SHARED,
                "hetzner-platform:stack.cloudflare.custom_rules[0].expresion",
                "x",
                "is an unknown key",
                "did you mean 'expression'? known here: action, description, expression, skip_phases",
            )
        ],
        "shared",
    ),
    Case(
        "a missing key",
        [(REGIONS, ("fsn1", "servers", "type"), GONE)],
        [(REGIONS, "fsn1.servers.type", None, "is missing", "add it; see docs/configuration.md")],
    ),
    Case(
        "a stack without a region",
        [(PROD, ("region",), GONE)],
        [(PROD, "hetzner-platform:stack.region", None, "is missing", "add it; see docs/configuration.md")],
    ),
    Case(
        "text where a number is needed",
        [(REGIONS, ("fsn1", "index"), "1")],
        [(REGIONS, "fsn1.index", "1", "must be a whole number", "write it without quotes and fraction, such as 1")],
    ),
    Case(
        "a number where text is needed",
        [(REGIONS, ("fsn1", "pools", "general", "nodes"), 3)],
        [(REGIONS, "fsn1.pools.general.nodes", 3, "must be text", 'put it in quotes: "3"')],
    ),
    Case(
        "text where true or false is needed",
        [(PROD, ("protection",), "yes")],
        [
            (
                PROD,
                "hetzner-platform:stack.protection",
                "yes",
                "must be true or false",
                "write true or false, without quotes",
            )
        ],
    ),
    Case(
        "a server type that is a number",
        [(REGIONS, ("fsn1", "pools", "general", "type"), 43)],
        [(REGIONS, "fsn1.pools.general.type", 43, "must be text", 'put it in quotes: "43"')],
    ),
    Case(
        "a label that is a number",
        [(REGIONS, ("fsn1", "pools", "general", "labels"), {"tier": 1})],
        [(REGIONS, "fsn1.pools.general.labels.tier", 1, "must be text", 'put it in quotes: "1"')],
    ),
    Case(
        "a list where pools are needed",
        [(REGIONS, ("fsn1", "pools"), ["general"])],
        [(REGIONS, "fsn1.pools", None, "must hold keys and values", "write it as {key: value}")],
    ),
    Case(
        "a pool without a kind",
        [(REGIONS, ("fsn1", "pools", "general", "kind"), GONE)],
        [
            (
                REGIONS,
                "fsn1.pools.general.kind",
                None,
                "must be one of cloud, robot, autoscaled",
                "write for example kind: cloud",
            )
        ],
    ),
    Case(
        "an unknown kind of pool",
        [(REGIONS, ("fsn1", "pools", "general", "kind"), "dedicated")],
        [
            (
                REGIONS,
                "fsn1.pools.general.kind",
                "dedicated",
                "must be one of cloud, robot, autoscaled",
                "write for example kind: cloud",
            )
        ],
    ),
    Case(
        "a pool of dedicated machines without its vSwitch",
        [(REGIONS, ("fsn1", "pools", "gpu", "vswitch_id"), GONE)],
        [(REGIONS, "fsn1.pools.gpu.vswitch_id", None, "is missing", "add it; see docs/configuration.md")],
    ),
    Case(
        "a generation whose machine is text",
        [(REGIONS, ("fsn1", "pools", "general", "generations"), {"2": 3})],
        [
            (
                REGIONS,
                "fsn1.pools.general.generations.2",
                None,
                "the key '2' must be a whole number",
                "write it without quotes and fraction, such as 1",
            )
        ],
    ),
    Case(
        "a generation below one",
        [(REGIONS, ("fsn1", "pools", "general", "generations"), {2: 0})],
        [
            (
                REGIONS,
                "fsn1.pools.general.generations.2",
                0,
                "must be greater than or equal to 1",
                "write a number in that range",
            )
        ],
    ),
    Case(
        "a generation of a machine outside every subnet",
        [(REGIONS, ("fsn1", "pools", "general", "generations"), {300: 2})],
        [
            (
                REGIONS,
                "fsn1.pools.general.generations.300",
                None,
                "the key 300 must be less than or equal to 254",
                "write a number in that range",
            )
        ],
    ),
    Case(
        "an even number of servers",
        [(REGIONS, ("fsn1", "servers", "nodes"), "1-2")],
        [
            (
                REGIONS,
                "fsn1.servers.nodes",
                "1-2",
                "2 servers: an even number survives no more failures than one less, and can split in halves",
                'use an odd number of servers, such as "1-3"',
            )
        ],
    ),
    Case(
        "four servers",
        [(REGIONS, ("fsn1", "servers", "nodes"), "1-4")],
        [
            (
                REGIONS,
                "fsn1.servers.nodes",
                "1-4",
                "4 servers: an even number survives no more failures than one less, and can split in halves",
                'use an odd number of servers, such as "1-3"',
            )
        ],
    ),
    Case(
        "a number that two pools claim",
        [(REGIONS, ("fsn1", "pools", "web"), {"kind": "cloud", "type": "cx43", "nodes": "2,5"})],
        [
            (
                REGIONS,
                "fsn1.pools.web.nodes",
                2,
                "number 2 of the subnet 'agents' is claimed by the pools general and web",
                "give each machine of these pools a number of its own",
            )
        ],
    ),
    Case(
        "a number that two pools claim on the vSwitch",
        [(REGIONS, ("fsn1", "pools", "gpu2"), {"kind": "robot", "model": "GEX45", "vswitch_id": 4711, "nodes": "2"})],
        [
            (
                REGIONS,
                "fsn1.pools.gpu2.nodes",
                2,
                "number 2 of the subnet 'vswitch' is claimed by the pools gpu and gpu2",
                "give each machine of these pools a number of its own",
            )
        ],
    ),
    Case(
        "two vSwitches in a region",
        [(REGIONS, ("fsn1", "pools", "gpu2"), {"kind": "robot", "model": "GEX45", "vswitch_id": 4712, "nodes": "3"})],
        [
            (
                REGIONS,
                "fsn1.pools.gpu2.vswitch_id",
                4712,
                "is another vSwitch than that of the region's other pools",
                "use one vSwitch in a region",
            )
        ],
    ),
    Case(
        "a number outside its subnet",
        [(REGIONS, ("fsn1", "pools", "general", "nodes"), "1-2,255")],
        [
            (
                REGIONS,
                "fsn1.pools.general.nodes",
                "1-2,255",
                "number 255 lies outside its subnet, which has addresses for 1 to 254",
                "use numbers from 1 to 254",
            )
        ],
    ),
    Case(
        "a number below its subnet",
        [(REGIONS, ("fsn1", "pools", "general", "nodes"), "0-2")],
        [
            (
                REGIONS,
                "fsn1.pools.general.nodes",
                "0-2",
                "number 0 lies outside its subnet, which has addresses for 1 to 254",
                "use numbers from 1 to 254",
            )
        ],
    ),
    Case(
        "the gateway's number on a vSwitch",
        [(REGIONS, ("fsn1", "pools", "gpu", "nodes"), "1")],
        [
            (
                REGIONS,
                "fsn1.pools.gpu.nodes",
                "1",
                "number 1 lies outside its subnet, which has addresses for 2 to 254",
                "use numbers from 2 to 254",
            )
        ],
    ),
    Case(
        "numbers that are words",
        [(REGIONS, ("fsn1", "pools", "general", "nodes"), "one")],
        [
            (
                REGIONS,
                "fsn1.pools.general.nodes",
                "one",
                "'one' is not a number or a range; write for example \"1-2,4\"",
                'write machine numbers such as "1-2,4"',
            )
        ],
    ),
    Case(
        "numbers that run backwards",
        [(REGIONS, ("fsn1", "pools", "general", "nodes"), "4-2")],
        [
            (
                REGIONS,
                "fsn1.pools.general.nodes",
                "4-2",
                "the range '4-2' runs backwards; write \"2-4\"",
                'write machine numbers such as "1-2,4"',
            )
        ],
    ),
    Case(
        "a number that stands twice",
        [(REGIONS, ("fsn1", "pools", "general", "nodes"), "1-2,2")],
        [(REGIONS, "fsn1.pools.general.nodes", "1-2,2", "2 named twice", 'write machine numbers such as "1-2,4"')],
    ),
    Case(
        "more numbers than a subnet has",
        [(REGIONS, ("fsn1", "pools", "general", "nodes"), "1-255")],
        [
            (
                REGIONS,
                "fsn1.pools.general.nodes",
                "1-255",
                "the range '1-255' is larger than a subnet (254 addresses)",
                'write machine numbers such as "1-2,4"',
            )
        ],
    ),
    Case(
        "no numbers",
        [(REGIONS, ("fsn1", "pools", "general", "nodes"), "")],
        [
            (
                REGIONS,
                "fsn1.pools.general.nodes",
                "",
                "'' is not a number or a range; write for example \"1-2,4\"",
                'write machine numbers such as "1-2,4"',
            )
        ],
    ),
    Case(
        "an index used twice",
        [(REGIONS, ("nbg1", "index"), 1)],
        [
            (
                REGIONS,
                "nbg1.index",
                1,
                "is the index of fsn1 too: their subnets would overlap",
                "use another one, such as 2",
            )
        ],
    ),
    Case(
        "an index outside the plan",
        [(REGIONS, ("nbg1", "index"), 10)],
        [(REGIONS, "nbg1.index", 10, "must be less than or equal to 9", "write a number in that range")],
    ),
    Case(
        "too many attachments of one region",
        [(REGIONS, ("fsn1", "pools", "burst", "max"), 95)],
        [
            (
                REGIONS,
                "fsn1.pools",
                None,
                "116 machines and load balancers over all regions (fsn1 103, nbg1 13); the Network takes 100",
                "fewer machines, or a lower max of the autoscaled pools",
            )
        ],
    ),
    Case(
        "too many attachments over all regions",
        [(REGIONS, ("fsn1", "pools", "burst", "max"), 50), (REGIONS, ("nbg1", "pools", "burst", "max"), 60)],
        [
            (
                REGIONS,
                "nbg1.pools",
                None,
                "126 machines and load balancers over all regions (fsn1 58, nbg1 68); the Network takes 100",
                "fewer machines, or a lower max of the autoscaled pools",
            )
        ],
    ),
    Case(
        "fewest machines above most",
        [(REGIONS, ("fsn1", "pools", "burst", "min"), 6)],
        [(REGIONS, "fsn1.pools.burst.min", 6, "is more than max (5)", "lower min or raise max")],
    ),
    Case(
        "more autoscaled machines than addresses",
        [(REGIONS, ("fsn1", "pools", "burst", "max"), 255)],
        [
            (
                REGIONS,
                "fsn1.pools.burst.max",
                255,
                "is more than the subnet of autoscaled machines holds (254)",
                "lower max",
            ),
            (
                REGIONS,
                "fsn1.pools",
                None,
                "276 machines and load balancers over all regions (fsn1 263, nbg1 13); the Network takes 100",
                "fewer machines, or a lower max of the autoscaled pools",
            ),
        ],
    ),
    Case(
        "a fallback of another architecture",
        [(REGIONS, ("fsn1", "servers", "fallback_types"), ["cax21"])],
        [
            (
                REGIONS,
                "fsn1.servers.fallback_types[0]",
                "cax21",
                "has the architecture arm, the pool's type cx33 has x86",
                f"choose one of {X86}",
            )
        ],
    ),
    Case(
        "a machine of another architecture than its pool",
        [(REGIONS, ("fsn1", "pools", "general", "types"), {2: "cax31"})],
        [
            (
                REGIONS,
                "fsn1.pools.general.types.2",
                "cax31",
                "has the architecture arm, the pool's type cx43 has x86",
                f"choose one of {X86}",
            )
        ],
    ),
    Case(
        "an unknown fallback",
        [(REGIONS, ("fsn1", "servers", "fallback_types"), ["cpx33"])],
        [
            (
                REGIONS,
                "fsn1.servers.fallback_types[0]",
                "cpx33",
                "is no server type of config/prices.yaml",
                f"did you mean 'cx33'? known: {TYPES}",
            )
        ],
    ),
    Case(
        "an unknown server type",
        [(REGIONS, ("fsn1", "servers", "type"), "cx34")],
        [
            (
                REGIONS,
                "fsn1.servers.type",
                "cx34",
                "is no server type of config/prices.yaml",
                f"did you mean 'cx53'? known: {TYPES}",
            )
        ],
    ),
    Case(
        "an unknown type of autoscaled machines",
        [(REGIONS, ("fsn1", "pools", "burst", "type"), "cx44")],
        [
            (
                REGIONS,
                "fsn1.pools.burst.type",
                "cx44",
                "is no server type of config/prices.yaml",
                f"did you mean 'cx43'? known: {TYPES}",
            )
        ],
    ),
    Case(
        "an unknown type of one machine",
        [(REGIONS, ("fsn1", "pools", "general", "types"), {2: "cx44"})],
        [
            (
                REGIONS,
                "fsn1.pools.general.types.2",
                "cx44",
                "is no server type of config/prices.yaml",
                f"did you mean 'cx43'? known: {TYPES}",
            )
        ],
    ),
    Case(
        "an unknown dedicated machine",
        [(REGIONS, ("fsn1", "pools", "gpu", "model"), "GEX44")],
        [
            (
                REGIONS,
                "fsn1.pools.gpu.model",
                "GEX44",
                "is no model of config/prices.yaml",
                "did you mean 'GEX45'? known: GEX45, GEX63",
            )
        ],
    ),
    Case(
        "an unknown location",
        [(REGIONS, ("fsn1", "location"), "fsn")],
        [
            (
                REGIONS,
                "fsn1.location",
                "fsn",
                "is no location of config/prices.yaml",
                "did you mean 'fsn1'? known: fsn1, nbg1, hel1",
            )
        ],
    ),
    Case(
        "an unknown load balancer type",
        [(REGIONS, ("fsn1", "load_balancer", "type"), "lb12")],
        [
            (
                REGIONS,
                "fsn1.load_balancer.type",
                "lb12",
                "is no load balancer type of config/prices.yaml",
                "did you mean 'lb21'? known: lb11, lb21",
            )
        ],
    ),
    Case(
        "targets that are no cloud servers",
        [(REGIONS, ("fsn1", "load_balancer", "targets"), "gpu")],
        [(REGIONS, "fsn1.load_balancer.targets", "gpu", "is no pool of cloud servers", "known: servers, general")],
    ),
    Case(
        "more targets than the load balancer takes",
        [
            (REGIONS, ("fsn1", "load_balancer", "targets"), "general"),
            (REGIONS, ("fsn1", "pools", "general", "nodes"), "1-26"),
        ],
        [
            (
                REGIONS,
                "fsn1.load_balancer.type",
                "lb11",
                "takes 25 targets; general has 26 machines",
                "choose a larger type, or targets with fewer machines",
            )
        ],
    ),
    Case(
        "machine names over 63 characters",
        [(REGIONS, ("fsn1", "pools", f"{'p' * 60}"), {"kind": "cloud", "type": "cx43", "nodes": "7"})],
        [
            (
                REGIONS,
                f"fsn1.pools.{'p' * 60}",
                f"{'p' * 60}",
                f"a machine's name would be wrong: 'fsn1-{'p' * 60}-7' has 67 characters; at most 63 are allowed",
                "use a shorter name of letters, digits and '-'",
            )
        ],
    ),
    Case(
        "a pool's name that is no DNS label",
        [(REGIONS, ("fsn1", "pools", "Web_1"), {"kind": "cloud", "type": "cx43", "nodes": "7"})],
        [
            (
                REGIONS,
                "fsn1.pools.Web_1",
                "Web_1",
                "'Web_1' is not a DNS label (RFC 1123): use lower-case letters, digits and '-', beginning and ending with a letter or digit; a pool's name stands in the names of its machines",
                "rename it",
            ),
            (
                REGIONS,
                "fsn1.pools.Web_1",
                "Web_1",
                "a machine's name would be wrong: 'fsn1-Web_1-7' is not a DNS label (RFC 1123): use lower-case letters, digits and '-', beginning and ending with a letter or digit",
                "use a shorter name of letters, digits and '-'",
            ),
        ],
    ),
    Case(
        "a pool called as the control plane",
        [(REGIONS, ("fsn1", "pools", "server"), {"kind": "cloud", "type": "cx43", "nodes": "7"})],
        [(REGIONS, "fsn1.pools.server", None, "is the control plane's name", "call the pool otherwise")],
    ),
    Case(
        "autoscaled names over 63 characters",
        [(REGIONS, ("fsn1", "pools", f"{'b' * 45}"), {"kind": "autoscaled", "type": "cx43", "min": 0, "max": 1})],
        [
            (
                REGIONS,
                f"fsn1.pools.{'b' * 45}",
                f"{'b' * 45}",
                f"the autoscaler would make names of 67 characters from 'fsn1-{'b' * 45}', 63 are allowed",
                "use a shorter name",
            )
        ],
    ),
    Case(
        "a generation of a machine that is not there",
        [(REGIONS, ("fsn1", "pools", "general", "generations"), {3: 2})],
        [
            (
                REGIONS,
                "fsn1.pools.general.generations",
                3,
                "names machine 3, which fsn1.pools.general.nodes does not",
                "take 3 out, or add it to nodes",
            )
        ],
    ),
    Case(
        "a drained machine that is not there",
        [(REGIONS, ("fsn1", "servers", "drained"), [4])],
        [
            (
                REGIONS,
                "fsn1.servers.drained",
                4,
                "names machine 4, which fsn1.servers.nodes does not",
                "take 4 out, or add it to nodes",
            )
        ],
    ),
    Case(
        "an unprotected machine that is not there",
        [(REGIONS, ("fsn1", "servers", "unprotected"), [5])],
        [
            (
                REGIONS,
                "fsn1.servers.unprotected",
                5,
                "names machine 5, which fsn1.servers.nodes does not",
                "take 5 out, or add it to nodes",
            )
        ],
    ),
    Case(
        "a type of a machine that is not there",
        [(REGIONS, ("fsn1", "pools", "general", "types"), {3: "cx43"})],
        [
            (
                REGIONS,
                "fsn1.pools.general.types",
                3,
                "names machine 3, which fsn1.pools.general.nodes does not",
                "take 3 out, or add it to nodes",
            )
        ],
    ),
    Case(
        "a wrong label key",
        [(REGIONS, ("fsn1", "pools", "general", "labels"), {"-tier": "a"})],
        [
            (
                REGIONS,
                "fsn1.pools.general.labels",
                "-tier",
                "is no Kubernetes label key",
                "write [prefix/]name, name of at most 63 characters",
            )
        ],
    ),
    Case(
        "a wrong label",
        [(REGIONS, ("fsn1", "pools", "general", "labels"), {"tier": "a b"})],
        [
            (
                REGIONS,
                "fsn1.pools.general.labels.tier",
                "a b",
                "is no Kubernetes label value",
                "use at most 63 letters, digits, '-', '_' and '.'",
            )
        ],
    ),
    Case(
        "a wrong taint",
        [(REGIONS, ("fsn1", "pools", "general", "taints"), ["gpu=true"])],
        [
            (
                REGIONS,
                "fsn1.pools.general.taints",
                "gpu=true",
                "is no taint",
                'write key=value:Effect, such as "nvidia.com/gpu=present:NoSchedule"',
            )
        ],
    ),
    Case(
        "user_data of agents over 32 KiB",
        [(REGIONS, ("fsn1", "pools", "general", "labels"), many_labels(300))],
        [
            (
                REGIONS,
                "fsn1.pools.general.labels",
                None,
                "the user_data of fsn1-general-4 has 51131 bytes, Hetzner takes 32768: shorten the labels and taints of its pool",
                "shorten labels and taints",
            )
        ],
    ),
    Case(
        "user_data of servers over 32 KiB",
        [(REGIONS, ("fsn1", "servers", "labels"), many_labels(110))],
        [
            (
                REGIONS,
                "fsn1.servers.labels",
                None,
                "the user_data of fsn1-server-1 has 42768 bytes, Hetzner takes 32768: shorten the labels and taints of its pool",
                "shorten labels and taints",
            )
        ],
    ),
    Case(
        "user_data of autoscaled machines over 32 KiB",
        [(REGIONS, ("fsn1", "pools", "burst", "labels"), many_labels(300))],
        [
            (
                REGIONS,
                "fsn1.pools.burst.labels",
                None,
                "the user_data of an autoscaled machine has 51077 bytes, Hetzner takes 32768: shorten the labels and taints of its pool",
                "shorten labels and taints",
            )
        ],
    ),
    Case(
        "no administrators",
        [(PROD, ("admin_cidrs",), [])],
        [(PROD, "hetzner-platform:stack.admin_cidrs", None, "is empty", "write at least one entry")],
    ),
    Case(
        "everybody as administrators",
        [(PROD, ("admin_cidrs",), ["203.0.113.0/24", "0.0.0.0/0"])],
        [
            (
                PROD,
                "hetzner-platform:stack.admin_cidrs[1]",
                "0.0.0.0/0",
                "opens SSH and the Kubernetes API to everybody",
                "write your own, such as 203.0.113.0/24",
            )
        ],
    ),
    Case(
        "everybody of IPv6",
        [(PROD, ("admin_cidrs",), ["::/0"])],
        [
            (
                PROD,
                "hetzner-platform:stack.admin_cidrs[0]",
                "::/0",
                "opens SSH and the Kubernetes API to everybody",
                "write your own, such as 203.0.113.0/24",
            )
        ],
    ),
    Case(
        "everybody of IPv6 in another spelling",
        [(PROD, ("admin_cidrs",), ["0::/0"])],
        [
            (
                PROD,
                "hetzner-platform:stack.admin_cidrs[0]",
                "0::/0",
                "opens SSH and the Kubernetes API to everybody",
                "write your own, such as 203.0.113.0/24",
            )
        ],
    ),
    Case(
        "everybody in two halves",
        [(PROD, ("admin_cidrs",), ["0.0.0.0/1", "128.0.0.0/1"])],
        [
            (
                PROD,
                "hetzner-platform:stack.admin_cidrs",
                None,
                "taken together these are every IPv4 address",
                "write your own, such as 203.0.113.0/24",
            )
        ],
    ),
    Case(
        "an address with host bits",
        [(PROD, ("admin_cidrs",), ["203.0.113.7/24"])],
        [
            (
                PROD,
                "hetzner-platform:stack.admin_cidrs[0]",
                "203.0.113.7/24",
                "is no network: 203.0.113.7/24 has host bits set",
                "write your own, such as 203.0.113.0/24",
            )
        ],
    ),
    Case(
        "administrators that are a word",
        [(PROD, ("admin_cidrs",), ["office"])],
        [
            (
                PROD,
                "hetzner-platform:stack.admin_cidrs[0]",
                "office",
                "is no network: 'office' does not appear to be an IPv4 or IPv6 network",
                "write your own, such as 203.0.113.0/24",
            )
        ],
    ),
    Case(
        "more administrators than a firewall rule takes",
        [(PROD, ("admin_cidrs",), [f"203.0.113.{n}/32" for n in range(101)])],
        [
            (
                PROD,
                "hetzner-platform:stack.admin_cidrs",
                None,
                "101 networks; a firewall rule takes 100",
                "merge neighbouring networks",
            )
        ],
    ),
    Case(
        "an unknown region",
        [(PROD, ("region",), "fsn2")],
        [
            (
                PROD,
                "hetzner-platform:stack.region",
                "fsn2",
                "is no region of config/regions.yaml",
                "did you mean 'fsn1'? known: fsn1, nbg1",
            )
        ],
    ),
    Case(
        "a region that two stacks claim",
        [(PROD, ("region",), "nbg1")],
        [
            (
                PROD,
                "hetzner-platform:stack.region",
                "nbg1",
                "is the region of Pulumi.dr.yaml too: two stacks would fight over its machines",
                "give each stack a region of its own",
            )
        ],
    ),
    Case(
        "an unknown role",
        [(PROD, ("role",), "main")],
        [(PROD, "hetzner-platform:stack.role", "main", "is not allowed here", "write 'primary' or 'standby'")],
    ),
    Case(
        "connect_to without its endpoint",
        [(PROD, ("api", "connect_to"), "127.0.0.1:6443")],
        [
            (
                PROD,
                "hetzner-platform:stack.api.connect_to",
                "127.0.0.1:6443",
                "has no effect with endpoint: name",
                "write endpoint: address, or take it out",
            )
        ],
    ),
    Case(
        "an unknown endpoint",
        [(PROD, ("api", "endpoint"), "dns")],
        [(PROD, "hetzner-platform:stack.api.endpoint", "dns", "is not allowed here", "write 'name' or 'address'")],
    ),
    Case(
        "an unknown active region",
        [(SHARED, ("active_region",), "fsn2")],
        [
            (
                SHARED,
                "hetzner-platform:stack.active_region",
                "fsn2",
                "is no region of config/regions.yaml",
                "did you mean 'fsn1'? known: fsn1, nbg1",
            )
        ],
        "shared",
    ),
    Case(
        "a zone that is no domain",
        [(SHARED, ("zone",), "example")],
        [
            (
                SHARED,
                "hetzner-platform:stack.zone",
                "example",
                "must match pattern '^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$'",
                "see docs/configuration.md",
            )
        ],
        "shared",
    ),
    Case(
        "an unknown plan",
        [(SHARED, ("cloudflare", "plan"), "enterprise")],
        [
            (
                SHARED,
                "hetzner-platform:stack.cloudflare.plan",
                "enterprise",
                "is not allowed here",
                "write 'free', 'pro' or 'business'",
            )
        ],
        "shared",
    ),
    Case(
        "a rate limit that the free plan does not have",
        [(SHARED, ("cloudflare", "plan"), "free")],
        [
            (
                SHARED,
                "hetzner-platform:stack.cloudflare.rate_limits[0].period",
                60,
                "the plan free does not allow it",
                "write one of 10",
            ),
            (
                SHARED,
                "hetzner-platform:stack.cloudflare.rate_limits[0].timeout",
                600,
                "the plan free does not allow it",
                "write one of 10",
            ),
        ],
        "shared",
    ),
    Case(
        "more rules than the plan allows",
        [
            (
                SHARED,
                ("cloudflare", "custom_rules"),
                [{"description": f"Rule {n}", "expression": 'http.request.uri.path eq "/x"'} for n in range(21)],
            )
        ],
        [
            (
                SHARED,
                "hetzner-platform:stack.cloudflare.custom_rules",
                "21 rules",
                "the plan pro allows 20 rules",
                "remove 1, or set plan to business",
            )
        ],
        "shared",
    ),
    Case(
        "an unknown location of the buckets",
        [(SHARED, ("object_storage", "location"), "hel2")],
        [
            (
                SHARED,
                "hetzner-platform:stack.object_storage.location",
                "hel2",
                "is no location",
                "did you mean 'hel1'? known: fsn1, nbg1, hel1",
            )
        ],
        "shared",
    ),
    Case(
        "a region without an access key",
        [(SHARED, ("object_storage", "site_access_key_ids", "nbg1"), GONE)],
        [
            (
                SHARED,
                "hetzner-platform:stack.object_storage.site_access_key_ids",
                None,
                "names no key for the region nbg1",
                "make an access key for it in Hetzner's console and write nbg1: <its id>",
            )
        ],
        "shared",
    ),
    Case(
        "an access key of no region",
        [(SHARED, ("object_storage", "site_access_key_ids", "hel1"), "EXAMPLEKEYHEL1000000")],
        [
            (
                SHARED,
                "hetzner-platform:stack.object_storage.site_access_key_ids",
                "hel1",
                "is no region",
                "known: fsn1, nbg1",
            )
        ],
        "shared",
    ),
    Case(
        "a generation of no secret",
        [(SHARED, ("secret_generations",), {"data_cas": 2})],
        [
            (
                SHARED,
                "hetzner-platform:stack.secret_generations.data_cas",
                2,
                "names nothing that can be renewed",
                "did you mean data_ca?",
            )
        ],
        "shared",
    ),
    Case(
        "an SSH key that is none",
        [(ACCESS, ("ssh_keys", "example"), "AAAAC3NzaC1lZDI1NTE5")],
        [(ACCESS, "ssh_keys.example", None, "is no SSH public key", "write a line such as: ssh-ed25519 AAAA... name")],
        "shared",
    ),
    Case(
        "no SSH key",
        [(ACCESS, ("ssh_keys",), {})],
        [(ACCESS, "ssh_keys", None, "is empty: nobody could reach a machine", "add at least one public key")],
        "shared",
    ),
    Case(
        "a k3s version that is none",
        [(VERSIONS, ("k3s", "version"), "1.36.4")],
        [
            (
                VERSIONS,
                "k3s.version",
                "1.36.4",
                "must match pattern '^v\\d+\\.\\d+\\.\\d+\\+k3s\\d+$'",
                "see docs/configuration.md",
            )
        ],
    ),
    Case(
        "a checksum that is none",
        [(VERSIONS, ("k3s", "sha256", "amd64"), "abc")],
        [(VERSIONS, "k3s.sha256.amd64", "abc", "must match pattern '^[0-9a-f]{64}$'", "see docs/configuration.md")],
    ),
    Case(
        "an unknown architecture",
        [(PRICES, ("server_types", "cx33", "architecture"), "x64")],
        [(PRICES, "server_types.cx33.architecture", "x64", "is not allowed here", "write 'x86' or 'arm'")],
    ),
    Case(
        "a region that is a list",
        [(REGIONS, ("fsn1",), ["x"])],
        [(REGIONS, "fsn1", None, "must hold keys and values", "write it as {key: value}; see docs/configuration.md")],
    ),
    Case(
        "a snapshot that is a number",
        [(REGIONS, ("fsn1", "restore_from"), 5)],
        [(REGIONS, "fsn1.restore_from", 5, "must be text", 'put it in quotes: "5"')],
    ),
    Case(
        "a region's name that is no DNS label",
        [(REGIONS, ("FSN 1",), {"location": "fsn1", "index": 3, "servers": {"type": "cx33", "nodes": "1-3"}})],
        [
            (
                REGIONS,
                "FSN 1",
                "FSN 1",
                "'FSN 1' is not a DNS label (RFC 1123): use lower-case letters, digits and '-', beginning and ending with a letter or digit; a region's name begins the names of its machines",
                "rename it",
            ),
            (
                REGIONS,
                "FSN 1.servers",
                "server",
                "a machine's name would be wrong: 'FSN 1-server-1' is not a DNS label (RFC 1123): use lower-case letters, digits and '-', beginning and ending with a letter or digit",
                "use a shorter name of letters, digits and '-'",
            ),
        ],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.statement)
def test_it_is_refused(case: Case, edited: Edited) -> None:
    for file, path, value in case.edits:
        edited.put(file, path, value)
    assert edited.said(case.stack) == case.said


@pytest.mark.parametrize("stack", ["shared", "prod", "dr"])
def test_the_committed_configuration_has_no_problem(stack: str, edited: Edited) -> None:
    edited.read(stack)


def test_all_problems_of_all_files_are_told_at_once(edited: Edited) -> None:
    edited.put(REGIONS, ("fsn1", "servers", "nodes"), "1-2").put(REGIONS, ("nbg1", "location"), "nbg9")
    edited.put(PROD, ("admin_cidrs",), ["0.0.0.0/0", "x"]).put(ACCESS, ("ssh_keys", "broken"), "ssh-ed25519")
    edited.put(VERSIONS, ("image",), 13)
    edited.without = {"hcloud:token"}
    assert [problem[:2] for problem in edited.said()] == [
        (VERSIONS, "image"),
        (PROD, "hcloud:token"),
    ]
    edited.put(VERSIONS, ("image",), "debian-13")
    assert [problem[:2] for problem in edited.said()] == [
        (REGIONS, "fsn1.servers.nodes"),
        (REGIONS, "nbg1.location"),
        (ACCESS, "ssh_keys.broken"),
        (PROD, "hetzner-platform:stack.admin_cidrs[0]"),
        (PROD, "hetzner-platform:stack.admin_cidrs[1]"),
        (PROD, "hcloud:token"),
    ]


def test_the_problems_of_all_stacks_are_told_at_once(edited: Edited) -> None:
    edited.put(PROD, ("role",), "main").put(DR, ("role",), "spare").put(SHARED, ("active_region",), "hel1")
    with pytest.raises(ConfigurationError) as error:
        checked(edited.directory)
    assert [problem.file for problem in error.value.problems] == [SHARED, PROD, DR]


def test_a_message_names_the_count_the_file_the_key_the_value_and_the_remedy(edited: Edited) -> None:
    edited.put(REGIONS, ("fsn1", "servers", "nodes"), "1-2").put(PROD, ("admin_cidrs",), ["0.0.0.0/0"])
    assert str(edited.refused()).splitlines() == [
        "2 problems in the configuration; nothing was changed:",
        '  config/regions.yaml: fsn1.servers.nodes = "1-2"',
        "    2 servers: an even number survives no more failures than one less, and can split in halves",
        '    -> use an odd number of servers, such as "1-3"',
        '  Pulumi.prod.yaml: hetzner-platform:stack.admin_cidrs[0] = "0.0.0.0/0"',
        "    opens SSH and the Kubernetes API to everybody",
        "    -> write your own, such as 203.0.113.0/24",
    ]


def test_pulumi_prints_one_message_without_a_traceback() -> None:
    assert issubclass(ConfigurationError, pulumi.RunError)


def test_a_wrong_region_is_not_called_unknown_as_well(edited: Edited) -> None:
    edited.put(REGIONS, ("fsn1", "servers", "type"), GONE)
    for stack in ("shared", "prod"):
        assert [problem[:2] for problem in edited.said(stack)] == [(REGIONS, "fsn1.servers.type")]


@pytest.mark.parametrize(
    ("file", "addition", "key", "lines"),
    [
        (REGIONS, "fsn1: {location: fsn1, index: 5, servers: {type: cx33, nodes: '1'}}\n", "fsn1", "5 and 29"),
        (PROD, "    role: standby\n", "role", "5 and 9"),
        (ACCESS, "  example: ssh-ed25519 AAAA other\n", "example", "4 and 5"),
    ],
)
def test_a_key_that_stands_twice_is_refused(file: str, addition: str, key: str, lines: str, edited: Edited) -> None:
    edited.write(file, edited.text(file) + addition)
    said = (file, key, None, f"stands twice, in lines {lines}", "keep one: YAML would drop the other")
    assert said in edited.said()


BROKEN = {
    "a bracket that is not closed": (
        "fsn1: {location: [}\n",
        "(line 1, column 19)",
        "is not valid YAML: expected the node content, but found '}'",
    ),
    "a tabulator": (
        "fsn1:\n\tlocation: x\n",
        "(line 2, column 1)",
        "is not valid YAML: found character '\\t' that cannot start any token",
    ),
    "a tag of Python": (
        "fsn1: !!python/object/apply:os.system [exit]\n",
        "(line 1, column 7)",
        "is not valid YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.system'",
    ),
    "an impossible date": (
        "fsn1: 2026-13-04\n",
        "(file)",
        "holds a value that is none: month must be in 1..12",
    ),
    "nothing": ("# nothing\n", "(file)", "holds no regions"),
    "a list": ("[fsn1]\n", "(file)", "holds no regions"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_file_that_holds_no_configuration_is_told_with_the_place(broken: str, edited: Edited) -> None:
    text, key, problem = BROKEN[broken]
    edited.write(REGIONS, text)
    assert [each[:4] for each in edited.said()] == [(REGIONS, key, None, problem)]


def test_a_file_that_is_not_there_is_told(edited: Edited) -> None:
    (edited.directory / PRICES).unlink()
    problem = "cannot be read: No such file or directory"
    assert edited.said() == [(PRICES, "(file)", None, problem, "restore it from the repository")]


def test_a_file_that_is_no_text_is_told(edited: Edited) -> None:
    (edited.directory / ACCESS).write_bytes(b"ssh_keys: {\xff: x}")
    assert edited.said() == [(ACCESS, "(file)", None, "is not UTF-8 text", "save it as UTF-8")]


def test_a_stack_that_does_not_say_what_it_is_is_refused(edited: Edited) -> None:
    edited.write(PROD, "config: {}\n")
    problem = "is missing: the stack 'prod' does not say what it is"
    remedy = "take Pulumi.prod.yaml as an example, or choose another stack with -s"
    assert edited.said() == [(PROD, "hetzner-platform:stack", None, problem, remedy)]


@pytest.mark.parametrize("stack", ["shared", "prod", "dr"])
def test_a_missing_secret_comes_with_the_line_to_run(stack: str, edited: Edited) -> None:
    edited.without = set(required_secrets(stack))
    assert edited.said(stack) == [
        (
            f"Pulumi.{stack}.yaml",
            key,
            None,
            f"is missing: {purpose}",
            f"run: pulumi config set --secret {key} -s {stack}",
        )
        for key, purpose in required_secrets(stack).items()
    ]


def test_the_secrets_of_each_stack_are_its_own() -> None:
    assert set(required_secrets("shared")) == {"hcloud:token", "cloudflare:apiToken", "minio:minioPassword"}
    assert set(required_secrets("prod")) == {"hcloud:token", "hetzner-platform:backupSecretKey"}
    assert set(required_secrets("dr")) == {"hcloud:token", "hetzner-platform:backupSecretKey"}


@pytest.mark.parametrize("token", ["s3cr3t" * 10, "a" * 63, "a" * 65, "a" * 63 + " ", "a" * 63 + "-"])
def test_a_token_that_is_not_64_letters_and_digits_is_refused_and_not_shown(token: str, edited: Edited) -> None:
    edited.secrets = {"hcloud:token": token}
    problem = f"has {len(token)} characters; a Hetzner Cloud token has exactly 64 letters and digits"
    remedy = "copy the whole token, and run: pulumi config set --secret hcloud:token -s prod"
    assert edited.said() == [(PROD, "hcloud:token", None, problem, remedy)]
    assert token not in str(edited.refused())


def test_a_cloudflare_token_of_another_form_is_refused_and_not_shown(edited: Edited) -> None:
    edited.secrets = {"cloudflare:apiToken": "s3cr3t"}
    problem = "has 6 characters; a Cloudflare token has 40 to 80 letters, digits, '_' and '-'"
    remedy = "copy the whole token, and run: pulumi config set --secret cloudflare:apiToken -s shared"
    assert edited.said("shared") == [(SHARED, "cloudflare:apiToken", None, problem, remedy)]
    assert "s3cr3t" not in str(edited.refused("shared"))


def test_a_secret_in_clear_is_refused(edited: Edited) -> None:
    edited.plain = {"hcloud:token"}
    remedy = "revoke it, make a new one, and run: pulumi config set --secret hcloud:token -s prod"
    assert edited.said() == [(PROD, "hcloud:token", None, "is stored in clear", remedy)]


SECRET = "s3cr3t" * 8
ASTRAY: dict[str, tuple[str, str, Path_, object]] = {
    "a token in the stack's block": ("prod", PROD, ("hcloud_token",), SECRET),
    "a secret instead of an access key's id": (
        "shared",
        SHARED,
        ("object_storage", "administrator_access_key_id"),
        SECRET,
    ),
    "a secret instead of a site's access key's id": (
        "shared",
        SHARED,
        ("object_storage", "site_access_key_ids", "fsn1"),
        SECRET,
    ),
    "a password among the regions": ("prod", REGIONS, ("fsn1", "password"), SECRET),
    "a private key": ("prod", ACCESS, ("ssh_keys", "mine"), f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}"),
    "the middle of a private key": ("prod", ACCESS, ("ssh_keys", "mine"), SECRET),
    "a private key in a wrong place": ("prod", ACCESS, ("mine",), f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}"),
}


@pytest.mark.parametrize("astray", ASTRAY)
def test_a_secret_in_the_wrong_place_is_refused_and_not_shown(astray: str, edited: Edited) -> None:
    stack, file, path, value = ASTRAY[astray]
    edited.put(file, path, value)
    assert [problem[0] for problem in edited.said(stack)] == [file]
    assert "s3cr3t" not in str(edited.refused(stack))
    assert "s3cr3t" not in repr(edited.refused(stack))


def test_a_long_value_is_shortened(edited: Edited) -> None:
    edited.put(REGIONS, ("fsn1", "location"), "x" * 500)
    assert f'fsn1.location = "{"x" * 116}...' in str(edited.refused())
    yaml.safe_load(edited.text(REGIONS))
