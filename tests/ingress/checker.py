"""Reads the objects of an API server as Traefik would, and tells what is not as it must be.

Each rule answers for one property of every host and route, the one that matches nothing included. A rule takes what
Traefik really does (its releases 3.7.x were read for this), not what the objects seem to say: which ``default`` wins, whose
middlewares a router gets, what happens to a name with an ``@``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from components.ingress import AUTHENTICATED, CHAIN, IDENTITY_HEADERS

from .dump import NAMESPACE, Dump, Object, load
from .traefik import Traefik, found

__all__ = ["Expected", "load", "violations"]

WEB, WEBSECURE = "web", "websecure"
OPEN = {WEB: 30080, WEBSECURE: 30443}
"""Entry point → the node port that leads to it."""
CLOSED = {"traefik", "metrics"}
"""Entry points that no Service publishes outside the cluster."""
LOGGED_HEADERS = {"cf-connecting-ip"}
MATCH = re.compile(r"Host\(`([a-z0-9.-]+)`\)(?: && PathPrefix\(`/[^`]*`\))?")


@dataclass(frozen=True)
class Expected:
    """What the objects alone do not tell.

    Args:
        load_balancer: Private address of the region's.
        origin_pull_ca: PEM of our CA.
    """

    load_balancer: str
    origin_pull_ca: str


Finding = Iterator[str]
Rule = Callable[[Dump, Traefik, Expected | None], Finding]


def violations(dump: Dump, expected: Expected | None = None) -> list[str]:
    """Everything that is wrong, sorted; nothing when all is well.

    Args:
        dump: From `load`, or made of manifests.
        expected: What to hold addresses and the CA against; without it they must agree among themselves.
    """
    traefik = found(dump)
    if traefik is None:
        return ["there is no Traefik: neither a DaemonSet with arguments nor a release"]
    return sorted({told for rule in RULES for told in rule(dump, traefik, expected)})


def client_certificates(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """The TLS options ``default`` hold for every name, known or not, unless a router chooses others: see `routes`."""
    options = (traefik.file.get("tls") or {}).get("options") or {}
    looked_at = traefik.text("providers.kubernetescrd.defaultTLSResourcesNamespace")
    rivals = [each for each in _named_default(dump, "TLSOption") if looked_at in ("", each["metadata"]["namespace"])]
    if not options:
        yield from _custom_default(dump, traefik, rivals, expected)
        return
    if set(options) != {"default"}:
        yield f"TLS options {sorted(set(options) - {'default'})}: a route could choose them instead of default"
    if len(rivals) == 1:
        yield f"{_name(rivals[0])}: meets the file's default; Traefik drops both and refuses every handshake"
    client = (options.get("default") or {}).get("clientAuth") or {}
    yield from _demands(client.get("clientAuthType", ""), options.get("default") or {})
    authorities = [traefik.read(path) for path in client.get("caFiles", ())]
    yield from _authority(authorities, expected)


def _custom_default(dump: Dump, traefik: Traefik, rivals: list[Object], expected: Expected | None) -> Finding:
    """Without a file the custom resources decide."""
    yield "TLS options: not in the file, so that handshakes need no certificate until custom resources are read"
    if not rivals:
        yield "TLS options default: nobody defines them; Traefik asks no client for a certificate"
    elif len(rivals) > 1:
        yield f"TLS options default: {len(rivals)} objects; Traefik drops all, and asks no client for a certificate"
    else:
        spec = rivals[0].get("spec") or {}
        client = spec.get("clientAuth") or {}
        yield from _demands(client.get("clientAuthType", ""), spec)
        yield from _authority(
            [(traefik.secrets.get(name) or {}).get("ca.crt") for name in client.get("secretNames", ())], expected
        )
    del dump


def _demands(kind: str, options: Object) -> Finding:
    if kind != "RequireAndVerifyClientCert":
        yield f"TLS options default: clients are asked for {kind or 'nothing'}, not RequireAndVerifyClientCert"
    if options.get("minVersion") not in ("VersionTLS12", "VersionTLS13"):
        yield f"TLS options default: {options.get('minVersion')} is older than TLS 1.2"
    if options.get("sniStrict") is not True:
        yield "TLS options default: names without a certificate are served (sniStrict)"


def _authority(authorities: list[str | None], expected: Expected | None) -> Finding:
    if len(authorities) != 1 or not authorities[0]:
        yield f"TLS options default: {len(authorities)} files for the client CA, and ours must be the only one and be there"
        return
    try:
        certificates = x509.load_pem_x509_certificates(authorities[0].encode())
    except ValueError:
        yield "TLS options default: the client CA is no certificate"
        return
    if len(certificates) != 1:
        yield f"TLS options default: {len(certificates)} client CAs are accepted"
    if expected and certificates != x509.load_pem_x509_certificates(expected.origin_pull_ca.encode()):
        yield "TLS options default: the client CA is not ours"
    for certificate in certificates:
        if "cloudflare" in certificate.subject.rfc4514_string().lower():
            yield "TLS options default: Cloudflare's shared CA vouches for every customer of Cloudflare"


def certificates(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """One owner of what is shown: the file."""
    del expected
    tls = traefik.file.get("tls") or {}
    shown = [
        *(tls.get("certificates") or ()),
        ((tls.get("stores") or {}).get("default") or {}).get("defaultCertificate"),
    ]
    if len(shown) < 2:
        yield "certificates: strict SNI has none to serve by name"
    for each in shown:
        if not each or not traefik.read(each["certFile"]) or not traefik.read(each["keyFile"]):
            yield f"certificates: {(each or {}).get('certFile', 'the default one')} is not there"
    for store in dump["TLSStore"]:
        yield f"{_name(store)}: certificates of all hosts are in one store, which the file owns"


def tls_objects(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """Nobody has TLS options to name, and nobody routes beside HTTP."""
    del traefik, expected
    for option in dump["TLSOption"]:
        yield f"{_name(option)}: a route that names it escapes the client certificate"
    for route in dump["IngressRouteTCP"]:
        tls = (route.get("spec") or {}).get("tls")
        how = (
            "without TLS" if tls is None else "passed through" if tls.get("passthrough") else "ended without the chain"
        )
        yield f"{_name(route)}: connections are {how}"
    for route in dump["IngressRouteUDP"]:
        yield f"{_name(route)}: datagrams pass no check at all"
    for kind in ("ServersTransport", "TraefikService"):
        for each in dump[kind]:
            yield f"{_name(each)}: routes lead to Services of their own namespace, and by no other way"


def arguments(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """What Traefik is told at its start."""
    del dump, expected
    if extra := traefik.providers() - {"kubernetescrd", "file"}:
        yield f"providers {sorted(extra)}: others than the custom resources and our file may define routes"
    for name in ("allowCrossNamespace", "allowExternalNameServices"):
        if traefik.on(f"providers.kubernetescrd.{name}"):
            yield f"providers.kubernetescrd.{name}: routes reach what is not their tenant's"
    if not traefik.on("providers.kubernetescrd.safeNaming"):
        yield "providers.kubernetescrd.safeNaming: a-b/c and a/b-c are one name, and one tenant's object stands for another's"
    for name in ("crossProviderNamespaces", "defaultTLSResourcesNamespace"):
        if traefik.many(f"providers.kubernetescrd.{name}") != [NAMESPACE]:
            yield f"providers.kubernetescrd.{name}: {traefik.text(f'providers.kubernetescrd.{name}') or 'every namespace'}"
    if traefik.on("api.insecure") or traefik.on("api.dashboard"):
        yield "api: the dashboard is on"
    if plugins := [name for name in traefik.options if name.startswith("experimental.")]:
        yield f"{plugins}: code and providers that nobody here has read"


def access_log(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """Requests are logged, and nothing of them that is a secret or tells who somebody is."""
    del dump, expected
    if not traefik.on("accesslog"):
        yield "accesslog: requests are not logged"
    if traefik.text("accesslog.fields.headers.defaultmode") != "drop":
        yield "accesslog: headers are logged, cookies and authorization among them"
    at = "accesslog.fields.headers.names."
    logged = {name.removeprefix(at) for name, mode in traefik.options.items() if name.startswith(at) and mode != "drop"}
    if extra := logged - LOGGED_HEADERS:
        yield f"accesslog: the headers {sorted(extra)} are logged"
    if traefik.text("accesslog.fields.queryparameters.defaultmode") != "drop":
        yield "accesslog: query parameters are logged, and tokens are among them"


def entry_points(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """Which there are, how the open ones treat requests, and that HTTP only redirects."""
    del dump, expected
    if extra := traefik.entry_points() - set(OPEN) - CLOSED:
        yield f"entry points {sorted(extra)}: unknown"
    if not traefik.on(f"entrypoints.{WEBSECURE}.http.tls"):
        yield f"{WEBSECURE}: routes that do not ask for TLS themselves are served without"
    if options := traefik.text(f"entrypoints.{WEBSECURE}.http.tls.options"):
        yield f"{WEBSECURE}: its TLS options are {options}, not the default"
    defaults = {name for name in traefik.entry_points() if traefik.on(f"entrypoints.{name}.asDefault")}
    if defaults != {WEBSECURE}:
        yield f"routes without entry points are on {sorted(defaults) or 'every one'}, not on {WEBSECURE} alone"
    at = f"entrypoints.{WEB}.http.redirections.entrypoint"
    target = (traefik.text(f"{at}.to"), traefik.text(f"{at}.scheme"), traefik.on(f"{at}.permanent"))
    if target not in ((":443", "https", True), (WEBSECURE, "https", True)):
        yield f"{WEB}: requests are not redirected to https for good: {target}"
    for name in OPEN:
        if traefik.text(f"entrypoints.{name}.http.underscoreHeadersStrategy") not in ("delete", "reject"):
            yield f"{name}: X_Auth_Request_User passes, and applications take it for X-Auth-Request-User"
        for option in ("http3", "allowacmebypass"):
            if traefik.on(f"entrypoints.{name}.{option}"):
                yield f"{name}: {option} is on"


def chain(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """Every member, in its order, in front of every router; a router whose member is missing is not built at all."""
    del dump, expected
    members = [f"{name}@file" for name in CHAIN]
    if (given := traefik.many(f"entrypoints.{WEBSECURE}.http.middlewares")) != members:
        yield f"{WEBSECURE}: its chain is {given}, not {members}"
    if (given := traefik.many(f"entrypoints.{WEB}.http.middlewares")) != members[:1]:
        yield f"{WEB}: its chain is {given}, not {members[:1]}"
    defined: Object = (traefik.file.get("http") or {}).get("middlewares") or {}
    for name in CHAIN:
        if name not in defined:
            yield f"{name}: the file does not define it, so that no route is served"
    for section in ("routers", "services"):
        if (traefik.file.get("http") or {}).get(section):
            yield f"the file defines {section}: nobody looks at these"
    for name, check in MEMBERS.items():
        if name in defined and not check(defined[name]):
            yield f"{name}: does not do what its name says: {defined[name]}"


def _strips(member: Object) -> bool:
    given = (member.get("headers") or {}).get("customRequestHeaders") or {}
    emptied = {name.lower() for name, value in given.items() if value == ""}
    return (
        set(member) == {"headers"}
        and {name.lower() for name in IDENTITY_HEADERS} <= emptied
        and len(emptied) == len(given)
    )


def _limits_rate(member: Object) -> bool:
    limit = member.get("rateLimit") or {}
    by_visitor = (limit.get("sourceCriterion") or {}).get("requestHeaderName", "").lower() == "cf-connecting-ip"
    return set(member) == {"rateLimit"} and limit.get("average", 0) > 0 and limit.get("burst", 0) > 0 and by_visitor


def _limits_bodies(member: Object) -> bool:
    return set(member) == {"buffering"} and (member["buffering"] or {}).get("maxRequestBodyBytes", 0) > 0


def _hardens(member: Object) -> bool:
    headers = member.get("headers") or {}
    return (
        set(member) == {"headers"}
        and headers.get("stsSeconds", 0) >= 31536000
        and headers.get("contentTypeNosniff") is True
        and bool(headers.get("customFrameOptionsValue") or headers.get("frameDeny"))
        and not headers.get("customRequestHeaders")
    )


MEMBERS: dict[str, Callable[[Object], bool]] = dict(
    zip(CHAIN, (_strips, _limits_rate, _limits_bodies, _hardens), strict=True)
)


def senders(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """Who may say where a connection comes from, and who may connect at all."""
    policies = [each for each in dump["NetworkPolicy"] if each["metadata"]["namespace"] == NAMESPACE]
    blocks = {
        peer["ipBlock"]["cidr"]
        for policy in policies
        for rule in policy["spec"].get("ingress") or ()
        for peer in rule.get("from") or ()
        if "ipBlock" in peer
    }
    balancers = {f"{expected.load_balancer}/32"} if expected else blocks
    if len(balancers) != 1 or not next(iter(balancers)).endswith("/32"):
        yield f"NetworkPolicy {NAMESPACE}: connections are let in from {sorted(balancers)}, not from one load balancer"
    if blocks != balancers:
        yield f"NetworkPolicy {NAMESPACE}: connections are let in from {sorted(blocks)}, not from {sorted(balancers)}"
    for name in sorted(traefik.entry_points()):
        trusted = set(traefik.many(f"entrypoints.{name}.proxyProtocol.trustedIPs"))
        if traefik.on(f"entrypoints.{name}.proxyProtocol.insecure"):
            yield f"{name}: the PROXY protocol is taken from anybody"
        if trusted != (balancers if name in OPEN else set()):
            yield f"{name}: the PROXY protocol is taken from {sorted(trusted)}, not from {sorted(balancers)}"
        if traefik.on(f"entrypoints.{name}.forwardedHeaders.insecure") or traefik.many(
            f"entrypoints.{name}.forwardedHeaders.trustedIPs"
        ):
            yield f"{name}: X-Forwarded headers are believed, which Cloudflare passes on as visitors wrote them"


def services(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """The two node ports of the load balancer lead to Traefik, and nothing else does from outside."""
    del traefik, expected
    for each in dump["Service"]:
        if each["metadata"]["namespace"] != NAMESPACE or each["spec"].get("type", "ClusterIP") == "ClusterIP":
            continue
        spec = each["spec"]
        ports = {port["name"]: port.get("nodePort") for port in spec.get("ports", ())}
        if spec["type"] != "NodePort" or ports != OPEN:
            yield f"{_name(each)}: publishes {ports} as {spec['type']}, not {OPEN} on the machines"
        if spec.get("externalTrafficPolicy") != "Local":
            yield f"{_name(each)}: other machines pass connections on, and the sender's address is lost"


def routes(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """What each route may say."""
    del traefik, expected
    known = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in dump["Service"]}
    middlewares = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in dump["Middleware"]}
    for each in dump["IngressRoute"]:
        at, namespace, spec = _name(each), each["metadata"]["namespace"], each.get("spec") or {}
        if not set(spec.get("entryPoints") or [WEBSECURE]) <= {WEBSECURE}:
            yield f"{at}: is on {spec['entryPoints']}; the chain stands before {WEBSECURE} alone"
        for key in sorted(set(spec.get("tls") or {})):
            yield f"{at}: tls.{key}: {'chooses' if key in ('options', 'store') else 'changes'} what every host shares"
        if spec.get("parentRefs"):
            yield f"{at}: is another's child: the entry point's chain is not put before those"
        for route in spec.get("routes") or ():
            if not MATCH.fullmatch(route.get("match", "")):
                yield f"{at}: {route.get('match')} matches more than one named host"
            if route.get("syntax") not in (None, "", "v3", "default"):
                yield f"{at}: its rule is read in the syntax {route['syntax']}"
            for reference in route.get("middlewares") or ():
                yield from _reference(at, namespace, "middleware", reference)
                if reference["name"] != AUTHENTICATED:
                    yield f"{at}: names the middleware {reference['name']}; only {AUTHENTICATED} is for routes"
                elif (namespace, AUTHENTICATED) not in middlewares:
                    yield f"{at}: its namespace has no {AUTHENTICATED}, so that it is not served"
            for reference in route.get("services") or ():
                yield from _reference(at, namespace, "service", reference)
                yield from _service(at, namespace, reference, known)


def _reference(at: str, namespace: str, what: str, reference: Object) -> Finding:
    if reference.get("namespace") not in (None, "", namespace):
        yield f"{at}: names the {what} {reference['name']} of {reference['namespace']}"
    if "@" in reference["name"]:
        yield f"{at}: names the {what} {reference['name']} of another provider"


def _service(at: str, namespace: str, reference: Object, known: dict[tuple[str, str], Object]) -> Finding:
    if reference.get("kind") not in (None, "", "Service"):
        yield f"{at}: leads to the {reference['kind']} {reference['name']}"
    for key in ("serversTransport", "nodePortLB", "healthCheck", "middlewares"):
        if reference.get(key):
            yield f"{at}: its service sets {key}"
    service = known.get((namespace, reference["name"]))
    if service is not None and service["spec"].get("type") == "ExternalName":
        yield f"{at}: leads to {service['spec'].get('externalName')}, out of its namespace"


def authentication(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """Middlewares in namespaces: forward authentication as we make it, for whoever asks for it, and nothing else."""
    stripped = ((traefik.file.get("http") or {}).get("middlewares") or {}).get(CHAIN[0]) or {}
    emptied = {name.lower() for name in (stripped.get("headers") or {}).get("customRequestHeaders") or {}}
    addresses: set[str] = set()
    for each in dump["Middleware"]:
        at, spec = _name(each), each.get("spec") or {}
        if each["metadata"]["name"] != AUTHENTICATED or set(spec) != {"forwardAuth"}:
            yield f"{at}: only {AUTHENTICATED}, and forward authentication in it, is for namespaces"
            continue
        asked: dict[str, Any] = spec["forwardAuth"]
        addresses.add(asked.get("address", ""))
        if asked.get("trustForwardHeader") is not False:
            yield f"{at}: the service is told what visitors say of themselves (trustForwardHeader)"
        given = {name.lower() for name in asked.get("authResponseHeaders") or ()}
        if not given:
            yield f"{at}: sets no identity header"
        if kept := given - emptied:
            yield f"{at}: sets {sorted(kept)}, which the chain does not take from requests"
        if missing := {name.lower() for name in IDENTITY_HEADERS} - given:
            yield f"{at}: does not set {sorted(missing)}"
        if asked.get("authResponseHeadersRegex"):
            yield f"{at}: sets headers by a pattern, which the chain cannot take from requests"
    if len(addresses) > 1:
        yield f"{AUTHENTICATED}: different services are asked: {sorted(addresses)}"
    del expected


def hosts(dump: Dump, traefik: Traefik, expected: Expected | None) -> Finding:
    """A host belongs to one namespace."""
    del traefik, expected
    claims: dict[str, set[str]] = {}
    for each in dump["IngressRoute"]:
        for route in (each.get("spec") or {}).get("routes") or ():
            for host in re.findall(r"Host\(`([^`]*)`\)", route.get("match", "")):
                claims.setdefault(host.lower(), set()).add(each["metadata"]["namespace"])
    for host, namespaces in claims.items():
        if len(namespaces) > 1:
            yield f"{host}: claimed by {' and '.join(sorted(namespaces))}"


RULES: tuple[Rule, ...] = (
    client_certificates,
    certificates,
    tls_objects,
    arguments,
    access_log,
    entry_points,
    chain,
    senders,
    services,
    routes,
    authentication,
    hosts,
)


def _named_default(dump: Dump, kind: str) -> list[Object]:
    return [each for each in dump[kind] if each["metadata"]["name"] == "default"]


def _name(each: Object) -> str:
    return f"{each['kind']} {each['metadata']['namespace']}/{each['metadata']['name']}"
