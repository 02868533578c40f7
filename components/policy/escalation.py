"""Finds ways in which a role would give more than it says: read from its rules, before any cluster has them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Manifest = Mapping[str, Any]

_WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_CHANGES: Final = frozenset({"create", "update", "patch"})
_ANY: Final = frozenset({"get", "list", "watch"}) | _WRITES

_NEVER: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "secrets": (_ANY, "holds everybody's credentials"),
    "nodes/proxy": (_ANY, "runs commands in every pod of a machine"),
    "pods/proxy": (_ANY, "talks to pods from the API server, past all network policies"),
    "services/proxy": (_ANY, "talks to services from the API server, past all network policies"),
    "serviceaccounts/token": (_ANY, "makes credentials of any account"),
    "pods/exec": (_ANY, "has all that the pod has"),
    "pods/attach": (_ANY, "has all that the pod has"),
    "pods/ephemeralcontainers": (_CHANGES, "has all that the pod has"),
    "mutatingwebhookconfigurations": (_WRITES, "changes every object on its way in"),
    "validatingwebhookconfigurations": (_WRITES, "reads every object on its way in, or lets all in"),
    "validatingadmissionpolicies": (_WRITES, "changes what is let in"),
    "validatingadmissionpolicybindings": (_WRITES, "changes what is let in"),
    "mutatingadmissionpolicies": (_WRITES, "changes every object on its way in"),
    "mutatingadmissionpolicybindings": (_WRITES, "changes every object on its way in"),
    "customresourcedefinitions": (_WRITES, "changes what objects mean"),
    "apiservices": (_WRITES, "answers in place of the API server"),
    "constrainttemplates": (_WRITES, "changes what is let in"),
    "configs": (_WRITES, "changes what is let in"),
    "persistentvolumes": (_CHANGES, "mounts any path of a machine"),
    "namespaces": (_WRITES, "changes Pod Security, network policies and constraints by a label"),
    "roles": (_WRITES, "changes what others may do"),
    "rolebindings": (_WRITES, "changes who may do it"),
    "clusterroles": (_WRITES, "changes what others may do"),
    "clusterrolebindings": (_WRITES, "changes who may do it"),
    "networkpolicies": (_WRITES, "opens what is closed"),
    "ciliumnetworkpolicies": (_WRITES, "opens what is closed"),
    "ciliumclusterwidenetworkpolicies": (_WRITES, "opens what is closed"),
    "resourcequotas": (_WRITES, "takes what is others'"),
    "limitranges": (_WRITES, "takes what is others'"),
    "certificatesigningrequests/approval": (_ANY, "makes anybody's certificate"),
    "certificatesigningrequests": (_WRITES, "asks for anybody's certificate"),
    "signers": (frozenset({"approve", "sign", "attest"}), "makes anybody's certificate"),
    "endpoints": (_WRITES, "leads services to other namespaces' pods"),
    "endpointslices": (_WRITES, "leads services to other namespaces' pods"),
    "nodes": (_WRITES, "moves pods to a machine of one's choice"),
    "secretstores": (_WRITES, "reads others' secrets"),
    "clustersecretstores": (_WRITES, "reads others' secrets"),
    "pushsecrets": (_WRITES, "writes others' secrets"),
    "clusterexternalsecrets": (_WRITES, "writes Secrets everywhere"),
    "middlewares": (_WRITES, "changes what requests pass through"),
    "tlsoptions": (_WRITES, "switches the client-certificate check off"),
    "tlsstores": (_WRITES, "serves other certificates"),
    "ingresses": (_WRITES, "takes hosts past the routes' rules"),
    "ingressroutetcps": (_WRITES, "takes hosts past the routes' rules"),
    "ingressrouteudps": (_WRITES, "opens ports"),
    "serverstransports": (_WRITES, "trusts other certificates"),
    "serverstransporttcps": (_WRITES, "trusts other certificates"),
    "networkauthentications": (_WRITES, "lets the unmeshed in"),
    "priorityclasses": (_WRITES, "pushes the platform's pods off"),
}
_NEVER_VERBS: Final = {"escalate": "gives itself any role", "bind": "gives away roles that it does not hold"}
_WORKLOADS: Final = frozenset(
    {"pods", "deployments", "daemonsets", "statefulsets", "replicasets", "replicationcontrollers", "jobs", "cronjobs"}
)
_OTHERS_ROLES: Final = frozenset({"cluster-admin", "admin", "edit", "view"})
_AGGREGATE: Final = "rbac.authorization.k8s.io/aggregate-to-"


@dataclass(frozen=True)
class Finding:
    """One thing that a role should not grant."""

    role: str
    grant: str
    """``<verb> <resource>``, ``impersonate <resource>``, ``wildcard``, ``aggregation``, or ``binding``."""
    why: str


def escalations(objects: Iterable[Manifest], excepted: Mapping[str, Sequence[str]] | None = None) -> list[Finding]:
    """What the (Cluster)Roles and bindings among ``objects`` grant that nobody should have.

    Args:
        objects: Manifests; of other kinds nothing is said.
        excepted: Role → grants (as in `Finding.grant`, without the verb: ``pods/exec``) that are meant. Wildcards,
            aggregation, ``escalate``, ``bind``, nodes/proxy and tokens cannot be excepted; tokens of accounts that the rule
            names can (``serviceaccounts/token of <name>``).
    """
    every = list(objects)
    wide = {each["roleRef"]["name"] for each in every if each["kind"] == "ClusterRoleBinding"}
    found: list[Finding] = []
    for each in every:
        if each["kind"] in ("Role", "ClusterRole"):
            name = each["metadata"]["name"]
            meant = set((excepted or {}).get(name, ())) - _UNEXCEPTED
            found += [one for one in _role(each, name in wide) if one.grant.partition(" ")[2] not in meant]
        elif each["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            found += _bound(each)
    return found


_UNEXCEPTED: Final = frozenset({"", "nodes/proxy", "serviceaccounts/token"})


def _role(role: Manifest, wide: bool) -> Iterator[Finding]:
    name = role["metadata"]["name"]
    labels = role["metadata"].get("labels", {})
    if role.get("aggregationRule") or any(key.startswith(_AGGREGATE) for key in labels):
        yield Finding(name, "aggregation", "takes in rules of roles that others make, or gives its own to others")
    for rule in role.get("rules") or ():
        yield from _rule(name, rule, wide)


def _rule(name: str, rule: Manifest, wide: bool) -> Iterator[Finding]:
    parts = [
        *rule.get("apiGroups", ()),
        *rule.get("resources", ()),
        *rule.get("verbs", ()),
        *rule.get("nonResourceURLs", ()),
    ]
    if any("*" in part for part in parts):
        yield Finding(name, "wildcard", "grants what does not exist yet")
    verbs = frozenset(rule.get("verbs", ()))
    for verb, why in _NEVER_VERBS.items():
        if verb in verbs:
            yield Finding(name, verb, why)
    for resource in rule.get("resources", ()):
        if "impersonate" in verbs and not _named_only(resource, rule):
            yield Finding(name, f"impersonate {resource}", "becomes anybody")
        refused, why = _NEVER.get(resource, (frozenset[str](), ""))
        # Tokens of accounts that the rule names can be meant; the grant says whose.
        named = rule.get("resourceNames", ()) if resource == "serviceaccounts/token" else ()
        whose = f" of {', '.join(sorted(named))}" if named else ""
        for verb in sorted(refused & verbs):
            yield Finding(name, f"{verb} {resource}{whose}", why)
        if wide and resource in _WORKLOADS:
            for verb in sorted(_CHANGES & verbs):
                yield Finding(name, f"{verb} {resource}", "has every service account of the cluster")


def _named_only(resource: str, rule: Manifest) -> bool:
    """Impersonation of users and groups that the rule names, none of Kubernetes' own."""
    names = rule.get("resourceNames", ())
    return resource in ("users", "groups") and bool(names) and not any(name.startswith("system:") for name in names)


def _bound(binding: Manifest) -> Iterator[Finding]:
    name = binding["metadata"]["name"]
    if binding["roleRef"]["name"] in _OTHERS_ROLES:
        yield Finding(
            name, "binding", f"to {binding['roleRef']['name']}, which holds Secrets, tokens, or whatever is added to it"
        )
    for subject in binding.get("subjects") or ():
        if subject["kind"] != "ServiceAccount" and subject["name"].startswith("system:"):
            yield Finding(name, "binding", f"of {subject['name']}, which is nobody's group")
