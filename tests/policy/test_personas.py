"""Who may do what, asked of a real API server: verb by verb, and by requests in their name."""

import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client, config, dynamic
from kubernetes.client.exceptions import ApiException

from components.policy import OPERATED_NAMESPACES, persona_bindings, tenant_role_bindings
from sandbox.machines.certificates import CLIENT
from tests.policy.conftest import requests_of
from tests.sandbox.kubernetes.conftest import ControlPlane

WAIT_SECONDS = 120
PRODUCTION, STAGING, ANOTHER, PLATFORM = "shop-production", "shop-staging", "bank-production", "traefik"
GROUPS = {"shop": {"admin": ["shop-admins"], "developer": ["shop-developers"], "viewer": ["shop-viewers"]}}
PERSONAS = {
    "platform-admin": ["platform-admins"],
    "platform-operator": ["operators"],
    "sre-oncall": ["on-call"],
    "auditor": ["audit"],
}
WHO = {
    "platform-admin": "platform-admins",
    "platform-operator": "operators",
    "sre-oncall": "on-call",
    "auditor": "audit",
    "tenant-admin": "shop-admins",
    "tenant-developer": "shop-developers",
    "tenant-viewer": "shop-viewers",
    "argocd-sync": "",
    "break-glass": "hetzner-platform:break-glass",
    "ci-pusher": "ci",
}
TENANTS = ("tenant-admin", "tenant-developer", "tenant-viewer", "argocd-sync")
SYNC = f"system:serviceaccount:{PRODUCTION}:argocd-sync"
Review = Callable[..., bool]


@pytest.fixture(scope="module")
def platform(kinds: dynamic.DynamicClient, core: client.CoreV1Api, roles: None) -> None:
    """Namespaces of two tenants and of the platform, with all roles and bindings."""
    for name in (PRODUCTION, STAGING, ANOTHER, *OPERATED_NAMESPACES):
        core.create_namespace({"metadata": {"name": name}})
    bank: Any = {"admin": ["bank-admins"], "developer": ["bank-developers"], "viewer": ["bank-viewers"]}
    shop: Any = GROUPS["shop"]
    for manifest in [
        *persona_bindings(PERSONAS),
        *tenant_role_bindings(PRODUCTION, "production", shop),
        *tenant_role_bindings(STAGING, "staging", shop),
        *tenant_role_bindings(ANOTHER, "production", bank),
    ]:
        kind = kinds.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        kind.create(body=manifest, namespace=manifest["metadata"].get("namespace"))


@pytest.fixture(scope="module")
def may(plane: ControlPlane, platform: None) -> Iterator[Review]:
    """Asks the API server's own authorizer; thousands of times, so without the official client's models."""
    context = ssl.create_default_context(cafile=str(plane.directory / "ca.crt"))
    context.load_cert_chain(plane.directory / "admin.crt", plane.directory / "admin.key")
    with httpx.Client(base_url=plane.url, verify=context, trust_env=False, timeout=60) as asked:

        def allowed(user: str, groups: list[str], attributes: dict[str, str]) -> bool:
            body = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {"user": user, "groups": groups, "resourceAttributes": attributes},
            }
            answer = asked.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json=body).raise_for_status()
            return bool(answer.json()["status"]["allowed"])

        def review(persona: str, verb: str, resource: str, namespace: str = "", name: str = "") -> bool:
            group, _, rest = resource.rpartition(":")
            plural, _, subresource = rest.partition("/")
            attributes = {"verb": verb, "group": group, "resource": plural, "namespace": namespace, "name": name}
            return allowed(*identity(persona), attributes | {"subresource": subresource})

        # The authorizer learns of bindings by and by; the last that was made is the last that it learns of.
        last = {"verb": "get", "resource": "pods", "namespace": ANOTHER}
        deadline = time.monotonic() + WAIT_SECONDS
        while not allowed("somebody", ["bank-viewers"], last):
            assert time.monotonic() < deadline, "the API server does not know the bindings"
            time.sleep(0.1)
        yield review


def identity(persona: str) -> tuple[str, list[str]]:
    if persona == "argocd-sync":
        return SYNC, ["system:serviceaccounts", f"system:serviceaccounts:{PRODUCTION}", "system:authenticated"]
    return "somebody", [WHO[persona], "system:authenticated"]


ALLOWED = """
tenant-viewer      get,list,watch               pods                                              production staging
tenant-viewer      get,list                     apps:deployments,traefik.io:ingressroutes         production staging
tenant-viewer      get,list                     external-secrets.io:externalsecrets               production staging
tenant-viewer      get,list                     resourcequotas,networking.k8s.io:networkpolicies  production staging
tenant-developer   get,list,watch               pods,configmaps,services,events                   production staging
tenant-developer   get                          pods/log                                          production staging
tenant-developer   create,get                   pods/portforward                                  production staging
tenant-developer   create,update,patch,delete   apps:deployments,apps:statefulsets,batch:jobs     staging
tenant-developer   create,update,patch,delete   batch:cronjobs,services,configmaps,pods           staging
tenant-developer   create,get                   pods/exec                                         staging
tenant-developer   create,update,patch,delete   traefik.io:ingressroutes                          staging
tenant-developer   create,update,patch,delete   external-secrets.io:externalsecrets               staging
tenant-admin       create,update,patch,delete   apps:deployments,apps:statefulsets,batch:jobs     production staging
tenant-admin       create,update,patch,delete   batch:cronjobs,services,configmaps,pods           production staging
tenant-admin       create,update,patch,delete   persistentvolumeclaims,serviceaccounts            production staging
tenant-admin       create,update,patch,delete   autoscaling:horizontalpodautoscalers              production staging
tenant-admin       create,update,patch,delete   policy:poddisruptionbudgets,keda.sh:scaledobjects production staging
tenant-admin       create,update,patch,delete   traefik.io:ingressroutes                          production staging
tenant-admin       create,update,patch,delete   external-secrets.io:externalsecrets               production staging
tenant-admin       create,update,patch,delete   monitoring.coreos.com:servicemonitors             production staging
tenant-admin       create,update,patch,delete   policy.linkerd.io:servers                         production staging
tenant-admin       create,update,patch,delete   policy.linkerd.io:authorizationpolicies           production staging
tenant-admin       create,update,patch,delete   policy.linkerd.io:meshtlsauthentications          production staging
tenant-admin       get                          pods/log                                          production staging
tenant-admin       create,get                   pods/exec                                         staging
argocd-sync        get,list,create,patch,delete apps:deployments,services,serviceaccounts         production
argocd-sync        create,patch,delete          traefik.io:ingressroutes                          production
argocd-sync        create,patch,delete          policy.linkerd.io:servers                         production
argocd-sync        create,update,patch,delete   networking.k8s.io:networkpolicies                 production
platform-operator  get,list,watch               pods,nodes,namespaces,configmaps                  production platform cluster
platform-operator  get                          pods/log                                          production platform
platform-operator  patch,update                 apps:deployments,apps:daemonsets                  platform
platform-operator  delete                       pods                                              platform
platform-operator  list                         constraints.gatekeeper.sh:k8simagedigests         cluster
sre-oncall         get,list,watch               pods,nodes                                        production platform cluster
sre-oncall         patch                        nodes                                             cluster
sre-oncall         create                       pods/eviction                                     production platform
sre-oncall         patch,update                 apps:deployments/scale,apps:statefulsets/scale    production platform
auditor            list                         rbac.authorization.k8s.io:clusterroles            cluster
auditor            list                         rbac.authorization.k8s.io:rolebindings            production platform
auditor            list                         networking.k8s.io:networkpolicies                 production platform
auditor            list                         constraints.gatekeeper.sh:tenanttraefik           cluster
platform-admin     get,list,watch               pods,nodes                                        production platform cluster
break-glass        get,list,create,patch        secrets,namespaces                                production platform cluster
break-glass        create,update                rbac.authorization.k8s.io:rolebindings            production cluster
"""

REFUSED = """
tenant-viewer      get                          pods/log                                          production staging
tenant-viewer      create,get                   pods/portforward,pods/exec                        production staging
tenant-viewer      create,update,patch,delete   pods,apps:deployments,configmaps,services         production staging
tenant-developer   create,update,patch,delete   pods,apps:deployments,configmaps,services         production
tenant-developer   create,update,patch,delete   batch:jobs,batch:cronjobs,traefik.io:ingressroutes production
tenant-developer   create,get                   pods/exec,pods/attach                             production
tenant-developer   patch,update                 pods/ephemeralcontainers                          production
tenant-admin       create,get                   pods/exec,pods/attach                             production
tenant-admin       patch,update                 pods/ephemeralcontainers                          production
argocd-sync        create,get                   pods/exec,pods/portforward                        production
argocd-sync        get,list,create              pods,apps:deployments                             staging
argocd-sync        create,update,patch,delete   networking.k8s.io:networkpolicies                 staging platform cluster
tenant-viewer      create,update,patch,delete   networking.k8s.io:networkpolicies                 production staging
tenant-developer   create,update,patch,delete   networking.k8s.io:networkpolicies                 production staging
tenant-admin       create,update,patch,delete   networking.k8s.io:networkpolicies                 production staging
platform-operator  create,update,patch,delete   networking.k8s.io:networkpolicies                 production platform cluster
platform-admin     create,update,patch,delete   networking.k8s.io:networkpolicies                 production platform cluster
sre-oncall         create,update,patch,delete   networking.k8s.io:networkpolicies                 production platform cluster
auditor            create,update,patch,delete   networking.k8s.io:networkpolicies                 production platform cluster
ci-pusher          create,update,patch,delete   networking.k8s.io:networkpolicies                 production platform cluster
platform-operator  create                       pods,apps:deployments,batch:jobs                  production platform cluster
platform-operator  create,patch,update,delete   configmaps                                        production platform cluster
platform-operator  patch,update                 apps:deployments,configmaps                       production cluster
platform-operator  create,get                   pods/exec                                         production platform
platform-operator  patch,update,delete          nodes                                             cluster
sre-oncall         create,patch,update          pods,apps:deployments,batch:jobs                  production platform
sre-oncall         create,get                   pods/exec                                         production platform
sre-oncall         delete,create                nodes                                             cluster
auditor            get,list                     pods,configmaps,apps:deployments                  production platform
auditor            get                          pods/log                                          production platform
auditor            create,patch,delete          pods,rbac.authorization.k8s.io:rolebindings       production platform
ci-pusher          get,list,create              pods,apps:deployments,namespaces,configmaps       production staging platform cluster
platform-admin     create,patch                 pods,apps:deployments                             production platform
"""

NEVER = """
get,list,watch,create,update,patch,delete  secrets
create,get                                 nodes/proxy,pods/proxy,services/proxy
create                                     serviceaccounts/token
escalate,bind                              rbac.authorization.k8s.io:roles,rbac.authorization.k8s.io:clusterroles
create,update,patch,delete                 rbac.authorization.k8s.io:roles,rbac.authorization.k8s.io:rolebindings
create,update,patch,delete                 rbac.authorization.k8s.io:clusterroles
create,update,patch,delete                 rbac.authorization.k8s.io:clusterrolebindings
create,update,patch,delete                 admissionregistration.k8s.io:validatingwebhookconfigurations
create,update,patch,delete                 admissionregistration.k8s.io:mutatingwebhookconfigurations
create,update,patch                        persistentvolumes
create,update,patch,delete                 namespaces
create,update,patch,delete                 cilium.io:ciliumnetworkpolicies,cilium.io:ciliumclusterwidenetworkpolicies
create,update,patch,delete                 resourcequotas,limitranges
create,update,patch,delete                 traefik.io:tlsoptions,traefik.io:tlsstores,traefik.io:middlewares
create,update,patch,delete                 traefik.io:ingressroutetcps,traefik.io:serverstransports
create,update,patch,delete                 networking.k8s.io:ingresses
create,update,patch,delete                 external-secrets.io:secretstores,external-secrets.io:clustersecretstores
create,update,patch,delete                 external-secrets.io:pushsecrets,external-secrets.io:clusterexternalsecrets
create,update,patch,delete                 policy.linkerd.io:networkauthentications
create,update,patch,delete                 endpoints,discovery.k8s.io:endpointslices
create,update,patch,delete                 templates.gatekeeper.sh:constrainttemplates,config.gatekeeper.sh:configs
update,approve                             certificates.k8s.io:certificatesigningrequests/approval
impersonate                                serviceaccounts,userextras,uids
"""

PLACES = {"production": PRODUCTION, "staging": STAGING, "platform": PLATFORM, "cluster": ""}


def rows(table: str) -> Iterator[tuple[str, str, str, str]]:
    for line in table.strip().splitlines():
        persona, verbs, resources, *places = line.split()
        for verb in verbs.split(","):
            for resource in resources.split(","):
                for place in places:
                    yield persona, verb, resource, PLACES[place]


def differing(may: Review, table: str, expected: bool) -> list[tuple[str, ...]]:
    return [row for row in rows(table) if may(*row) is not expected]


def test_personas_may_do_what_they_are_for(may: Review) -> None:
    assert differing(may, ALLOWED, True) == []


def test_personas_may_do_no_more(may: Review) -> None:
    assert differing(may, REFUSED, False) == []


@pytest.mark.parametrize("persona", sorted(set(WHO) - {"break-glass"}))
def test_what_is_never_granted_is_granted_nowhere(persona: str, may: Review) -> None:
    places = "production staging cluster" if persona in TENANTS else "production platform cluster"
    table = "\n".join(f"{persona} {line} {places}" for line in NEVER.strip().splitlines())
    assert differing(may, table, False) == []


def test_even_who_breaks_the_glass_cannot_do_some_things(may: Review) -> None:
    table = """
    break-glass  create,get    nodes/proxy,pods/proxy,serviceaccounts/token  production cluster
    break-glass  escalate,bind rbac.authorization.k8s.io:clusterroles        cluster
    break-glass  impersonate   users,groups,serviceaccounts                  production cluster
    """
    assert differing(may, table, False) == []


@pytest.mark.parametrize("persona", TENANTS)
def test_a_tenant_sees_nothing_of_another(persona: str, may: Review) -> None:
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete")
    resources = ("pods", "services", "configmaps", "secrets", "apps:deployments", "traefik.io:ingressroutes", "events")
    for place in (ANOTHER, PLATFORM, "kube-system", ""):
        assert [(verb, each) for verb in verbs for each in resources if may(persona, verb, each, place)] == []


def test_impersonation_is_of_one_group_alone(may: Review) -> None:
    assert may("platform-admin", "impersonate", "groups", name="hetzner-platform:break-glass")
    assert may("platform-admin", "impersonate", "users", name="break-glass")
    for name in ("system:masters", "operators", ""):
        assert not may("platform-admin", "impersonate", "groups", name=name)
    for name in ("admin", "system:admin", ""):
        assert not may("platform-admin", "impersonate", "users", name=name)
    for persona in set(WHO) - {"platform-admin"}:
        assert not may(persona, "impersonate", "groups", name="hetzner-platform:break-glass")


def refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except ApiException as error:
        return error.status == 403
    return False


def pod(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "app", "image": "registry.example.com/app:1"}]},
    }


def test_requests_in_a_developers_name(plane: ControlPlane, may: Review) -> None:
    asked = client.CoreV1Api(requests_of(plane, "dev", ["shop-developers"]))
    assert asked.list_namespaced_pod(PRODUCTION).items == []
    assert refused(lambda: asked.create_namespaced_pod(PRODUCTION, pod("one")))
    assert asked.create_namespaced_pod(STAGING, pod("one")).metadata.name == "one"
    assert refused(lambda: asked.list_namespaced_secret(STAGING))
    assert refused(lambda: asked.list_namespaced_pod(ANOTHER))
    assert refused(asked.list_namespace)
    assert refused(lambda: asked.patch_namespace(STAGING, {"metadata": {"labels": {"hetzner-platform/tenancy": "x"}}}))
    assert refused(lambda: asked.create_namespaced_service_account_token("default", STAGING, {"spec": {}}))
    assert refused(lambda: asked.connect_get_node_proxy("agent-1"))


def test_a_tenants_admin_cannot_give_itself_more(plane: ControlPlane, may: Review) -> None:
    asked = requests_of(plane, "admin", ["shop-admins"])
    core, roles = client.CoreV1Api(asked), client.RbacAuthorizationV1Api(asked)
    role: Any = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    binding: Any = {"metadata": {"name": "more"}, "roleRef": role, "subjects": []}
    assert refused(lambda: roles.create_namespaced_role_binding(PRODUCTION, binding))
    assert refused(lambda: roles.create_cluster_role_binding(binding))
    assert refused(lambda: core.create_namespaced_secret(PRODUCTION, {"metadata": {"name": "token"}}))
    assert refused(lambda: core.patch_namespaced_resource_quota("quota", PRODUCTION, {}))
    assert refused(lambda: client.NetworkingV1Api(asked).create_namespaced_network_policy(PRODUCTION, {}))
    assert core.create_namespaced_service_account(PRODUCTION, {"metadata": {"name": "api"}}).metadata.name == "api"


def test_breaking_the_glass(plane: ControlPlane, core: client.CoreV1Api, may: Review) -> None:
    """With a certificate of one's own, and the two names that a platform-admin may take."""
    plane._authority.issue(plane.directory / "boss", "boss", usages=(CLIENT,), organization="platform-admins")
    core.create_namespaced_secret(PLATFORM, {"metadata": {"name": "tls"}})

    def asked(**headers: str) -> client.CoreV1Api:
        files = {
            "client-certificate": str(plane.directory / "boss.crt"),
            "client-key": str(plane.directory / "boss.key"),
        }
        told = yaml.safe_load(plane.kubeconfig)
        told["users"][0]["user"] = files
        made = config.new_client_from_config_dict(told)
        for name, value in headers.items():
            made.set_default_header(name, value)
        return client.CoreV1Api(made)

    glass = {"Impersonate-User": "break-glass", "Impersonate-Group": "hetzner-platform:break-glass"}
    assert refused(lambda: asked().list_namespaced_secret(PLATFORM))
    assert [each.metadata.name for each in asked(**glass).list_namespaced_secret(PLATFORM).items] == ["tls"]
    assert refused(lambda: asked(**{**glass, "Impersonate-Group": "system:masters"}).list_namespace())
    assert refused(lambda: asked(**{**glass, "Impersonate-User": "admin"}).list_namespace())
