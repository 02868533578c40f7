"""The minio provider: what it checks and replaces, and, against an S3 server, lifecycles, drift, imports, failures."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from minio.versioningconfig import SUSPENDED, VersioningConfig

from sandbox.object_store import ObjectStore
from sandbox.plugins.package import Package, ProviderError, Target
from sandbox.plugins.packages import open_package
from sandbox.plugins.values import UNKNOWN
from sandbox.toolchain import find_tool

Properties = dict[str, Any]
TYPES = {
    "S3Bucket": "minio:index/s3Bucket:S3Bucket",
    "IlmPolicy": "minio:index/ilmPolicy:IlmPolicy",
    "S3BucketPolicy": "minio:index/s3BucketPolicy:S3BucketPolicy",
    "S3BucketVersioning": "minio:index/s3BucketVersioning:S3BucketVersioning",
}
POLICY: Properties = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": ["s3:DeleteBucket"], "Resource": ["arn:aws:s3:::data"]}
    ],
}
RULES = [
    {"id": "old", "status": "Enabled", "noncurrentVersionExpirationDays": 7},
    {"id": "logs", "status": "Enabled", "expiration": "30d", "filter": "logs/"},
]
GIVEN: dict[str, Properties] = {
    "S3Bucket": {"bucket": "data", "acl": "private", "forceDestroy": False},
    "S3BucketVersioning": {"bucket": "data", "versioningConfiguration": {"status": "Enabled"}},
    "IlmPolicy": {"bucket": "data", "rules": RULES},
    "S3BucketPolicy": {"bucket": "data", "policy": json.dumps(POLICY)},
}
CHANGED: dict[str, Properties] = {
    "S3Bucket": {"forceDestroy": True},
    "S3BucketVersioning": {"versioningConfiguration": {"status": "Suspended"}},
    "IlmPolicy": {"rules": [RULES[0] | {"noncurrentVersionExpirationDays": 8}]},
    "S3BucketPolicy": {"policy": json.dumps({**POLICY, "Statement": []})},
}
PARTS = ("S3BucketVersioning", "IlmPolicy", "S3BucketPolicy")


def target(kind: str) -> Target:
    return Target(TYPES[kind], "it")


# -- without a server


@pytest.mark.parametrize(
    ("kind", "name", "replaces"),
    [
        ("S3Bucket", "bucket", True),
        ("S3Bucket", "bucketPrefix", True),
        # The real provider takes it for a change in place, and does nothing.
        ("S3Bucket", "objectLocking", False),
        ("S3Bucket", "forceDestroy", False),
        ("S3Bucket", "acl", False),
        ("IlmPolicy", "bucket", True),
        ("IlmPolicy", "rules", False),
        ("S3BucketPolicy", "bucket", True),
        ("S3BucketPolicy", "policy", False),
        ("S3BucketVersioning", "bucket", True),
        ("S3BucketVersioning", "versioningConfiguration", False),
    ],
)
def test_what_replaces(kind: str, name: str, replaces: bool) -> None:
    change = open_package("minio").diff(target(kind), {name: "one"}, {name: "two"}, {})
    assert (change.changed, change.replaces) == ((name,), (name,) if replaces else ())


def test_a_preview_asks_nothing_and_takes_what_is_not_known_yet() -> None:
    package = open_package("minio")
    for kind, unknown in (
        ("S3BucketPolicy", {"bucket": UNKNOWN, "policy": UNKNOWN}),
        ("IlmPolicy", {"bucket": UNKNOWN, "rules": [{"id": "a", "expiration": UNKNOWN}]}),
        ("S3BucketVersioning", {"bucket": UNKNOWN, "versioningConfiguration": {"status": UNKNOWN}}),
    ):
        checked = package.check(target(kind), unknown)
        assert checked.failures == []
        # It is not even configured.
        assert package.create(target(kind), checked.inputs, preview=True).id == ""
        assert package.update(target(kind), "data", GIVEN[kind], unknown, GIVEN[kind], preview=True) == unknown


@pytest.mark.parametrize(
    ("kind", "inputs", "said"),
    [
        ("S3Bucket", {"bucket": "data", "acl": "public"}, "acl: is private here"),
        ("S3Bucket", {"bucket": "data", "quota": 1}, "quota: the sandbox's minio plugin does not know it"),
        ("S3Bucket", {"buckets": "data"}, "buckets: unknown property, did you mean 'bucket'?"),
        ("S3BucketPolicy", {"bucket": "data", "policy": "{"}, "policy: contains an invalid JSON policy"),
        ("S3BucketVersioning", {"bucket": "data"}, "versioningConfiguration: is required and missing"),
        ("IlmPolicy", {"bucket": "data", "rules": [{"id": "a", "expiration": "soon"}]}, "rules[0].expiration: must be"),
        (
            "IlmPolicy",
            {"bucket": "data", "rules": [{"id": "a", "noncurrentVersionExpirationDays": 0}]},
            "rules[0].noncurrentVersionExpirationDays: must be strictly positive",
        ),
    ],
)
def test_wrong_inputs_are_told_before_anything_is_asked(kind: str, inputs: Properties, said: str) -> None:
    (failure,) = open_package("minio").check(target(kind), inputs).failures
    assert str(failure).startswith(said)


def test_a_provider_that_is_not_configured_says_so() -> None:
    with pytest.raises(ProviderError, match="is not configured"):
        open_package("minio").read(target("S3Bucket"), "data", {}, {})


def test_a_store_that_is_not_there_says_so() -> None:
    # Nothing listens on the first port of loopback.
    package = configured("127.0.0.1:1")
    with pytest.raises(ProviderError, match=r"the object store 127\.0\.0\.1:1 does not answer"):
        package.create(target("S3BucketPolicy"), GIVEN["S3BucketPolicy"], preview=False)


def configured(server: str, *, user: str = "user", password: str = "labelled dummy") -> Package:
    package = open_package("minio")
    package.configure({"minioServer": server, "minioUser": user, "minioPassword": password, "minioSsl": False})
    if package._client is not None:
        import urllib3

        # The client's own further attempts take half a minute.
        package._client._http = urllib3.PoolManager(retries=False, timeout=5)
    return package


# -- with one


@dataclass
class Resource:
    """A resource in a state."""

    target: Target
    id: str
    inputs: Properties
    outputs: Properties


@dataclass
class Stack:
    """What an engine does with the provider, without the engine."""

    package: Package
    client: Minio

    def create(self, kind: str, **more: Any) -> Resource:
        checked = self.package.check(target(kind), GIVEN[kind] | more)
        assert checked.failures == []
        made = self.package.create(target(kind), checked.inputs, preview=False)
        return Resource(target(kind), made.id, checked.inputs, made.outputs)

    def all(self) -> dict[str, Resource]:
        return {kind: self.create(kind) for kind in GIVEN}

    def refresh(self, resource: Resource) -> bool:
        read = self.package.read(resource.target, resource.id, resource.inputs, resource.outputs)
        if read is None:
            return False
        resource.inputs, resource.outputs = read.inputs, read.outputs
        return True

    def changed(self, resource: Resource, inputs: Properties) -> tuple[str, ...]:
        change = self.package.diff(resource.target, resource.inputs, inputs, resource.outputs)
        assert change.replaces == ()
        return change.changed

    def update(self, resource: Resource, inputs: Properties) -> None:
        resource.outputs = self.package.update(
            resource.target, resource.id, resource.inputs, inputs, resource.outputs, preview=False
        )
        resource.inputs = inputs

    def delete(self, resource: Resource) -> None:
        self.package.delete(resource.target, resource.id, resource.outputs)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    tool = find_tool("moto_server")
    if tool is None:
        pytest.skip("no S3 server on PATH or in the cache: `make toolchain` gets one")
    running = ObjectStore(tool.path, tmp_path_factory.mktemp("store"), "EXAMPLEKEYADMIN00000", "labelled dummy")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def stack(store: ObjectStore) -> Iterator[Stack]:
    client = Minio(store.endpoint, access_key=store.user, secret_key=store.password, secure=False)
    yield Stack(configured(store.endpoint, user=store.user, password=store.password), client)
    for bucket in client.list_buckets():
        for each in client.list_objects(bucket.name, recursive=True, include_version=True):
            client.remove_object(bucket.name, str(each.object_name), version_id=each.version_id)
        client.remove_bucket(bucket.name)


def by_hand(kind: str) -> Callable[[Minio], Any]:
    """A change behind the engine's back."""
    rules = LifecycleConfig(
        [Rule(ENABLED, rule_id="theirs", rule_filter=Filter(prefix=""), expiration=Expiration(days=1))]
    )
    return {
        "S3BucketVersioning": lambda client: client.set_bucket_versioning("data", VersioningConfig(SUSPENDED)),
        "IlmPolicy": lambda client: client.set_bucket_lifecycle("data", rules),
        "S3BucketPolicy": lambda client: client.set_bucket_policy("data", json.dumps({**POLICY, "Id": "theirs"})),
    }[kind]


@pytest.mark.engine
def test_everything_is_made_as_said_and_nothing_is_left_to_do(stack: Stack) -> None:
    made = stack.all()
    for kind, resource in made.items():
        before = dict(resource.outputs)
        assert stack.refresh(resource)
        assert stack.changed(resource, GIVEN[kind]) == (), kind
        assert resource.outputs == before, kind
    assert made["S3Bucket"].outputs["arn"] == "arn:aws:s3:::data"
    assert stack.client.get_bucket_versioning("data").status == "Enabled"
    lifecycle = stack.client.get_bucket_lifecycle("data")
    assert lifecycle is not None
    assert [rule.rule_id for rule in lifecycle.rules] == ["old", "logs"]
    assert json.loads(stack.client.get_bucket_policy("data")) == POLICY


@pytest.mark.engine
@pytest.mark.parametrize("kind", GIVEN)
def test_a_change_is_made_in_place(stack: Stack, kind: str) -> None:
    resource = stack.all()[kind]
    wanted = GIVEN[kind] | CHANGED[kind]
    assert stack.changed(resource, wanted) == tuple(CHANGED[kind])
    stack.update(resource, wanted)
    assert stack.refresh(resource)
    assert stack.changed(resource, wanted) == ()


@pytest.mark.engine
@pytest.mark.parametrize("kind", PARTS)
def test_what_was_changed_by_hand_is_told_and_mended(stack: Stack, kind: str) -> None:
    resource = stack.all()[kind]
    by_hand(kind)(stack.client)
    assert stack.refresh(resource)
    assert len(stack.changed(resource, GIVEN[kind])) == 1
    stack.update(resource, GIVEN[kind])
    assert stack.refresh(resource)
    assert stack.changed(resource, GIVEN[kind]) == ()


@pytest.mark.engine
def test_another_form_of_the_same_policy_is_no_difference(stack: Stack) -> None:
    policy = stack.all()["S3BucketPolicy"]
    stack.client.set_bucket_policy("data", json.dumps(POLICY, indent=4, sort_keys=True))
    assert stack.refresh(policy)
    assert stack.changed(policy, GIVEN["S3BucketPolicy"]) == ()


@pytest.mark.engine
def test_a_rule_whose_status_is_left_to_the_provider_is_no_difference(stack: Stack) -> None:
    stack.create("S3Bucket")
    rules = [{"id": "a", "expiration": "1d"}]
    lifecycle = stack.create("IlmPolicy", rules=rules)
    assert stack.refresh(lifecycle)
    assert stack.changed(lifecycle, {"bucket": "data", "rules": rules}) == ()


@pytest.mark.engine
def test_what_was_taken_away_by_hand(stack: Stack) -> None:
    made = stack.all()
    stack.client.delete_bucket_lifecycle("data")
    assert not stack.refresh(made["IlmPolicy"])
    stack.delete(made["IlmPolicy"])
    # A policy that is gone is an empty one: `up` writes it again.
    stack.client.delete_bucket_policy("data")
    assert stack.refresh(made["S3BucketPolicy"])
    assert made["S3BucketPolicy"].inputs["policy"] == ""
    stack.update(made["S3BucketPolicy"], GIVEN["S3BucketPolicy"])
    assert json.loads(stack.client.get_bucket_policy("data")) == POLICY


@pytest.mark.engine
def test_a_bucket_that_was_deleted_by_hand(stack: Stack) -> None:
    made = stack.all()
    stack.client.remove_bucket("data")
    assert not stack.refresh(made["S3Bucket"])
    assert not stack.refresh(made["IlmPolicy"])
    for kind in ("S3BucketPolicy", "S3BucketVersioning"):
        with pytest.raises(ProviderError, match="NoSuchBucket"):
            stack.refresh(made[kind])
    for resource in made.values():
        with pytest.raises(ProviderError, match="NoSuchBucket"):
            stack.delete(resource)


@pytest.mark.engine
def test_everything_is_deleted_in_order(stack: Stack) -> None:
    made = stack.all()
    for kind in reversed(GIVEN):
        stack.delete(made[kind])
    assert list(stack.client.list_buckets()) == []


@pytest.mark.engine
@pytest.mark.parametrize("kind", GIVEN)
def test_what_is_imported_needs_no_change(stack: Stack, kind: str) -> None:
    stack.all()
    read = stack.package.read(target(kind), "data", {}, {})
    assert read is not None
    # What only the provider knows of a bucket is not told by a store.
    given = GIVEN[kind] if kind != "S3Bucket" else {"bucket": "data"}
    assert stack.changed(Resource(target(kind), "data", read.inputs, read.outputs), given) == ()


@pytest.mark.engine
def test_an_import_of_what_is_not_there_finds_nothing(stack: Stack) -> None:
    for kind in ("S3Bucket", "IlmPolicy"):
        assert stack.package.read(target(kind), "nothing", {}, {}) is None


@pytest.mark.engine
def test_what_exists_is_not_taken_over(stack: Stack) -> None:
    stack.client.make_bucket("data")
    with pytest.raises(ProviderError, match="bucket data: bucket already exists!"):
        stack.create("S3Bucket")


@pytest.mark.engine
@pytest.mark.parametrize("kind", PARTS)
def test_a_part_of_a_bucket_that_is_not_there_is_refused(stack: Stack, kind: str) -> None:
    with pytest.raises(ProviderError, match="NoSuchBucket"):
        stack.create(kind)


@pytest.mark.engine
@pytest.mark.parametrize("name", ["a", "Upper", "with_underscore", "x" * 64])
def test_a_name_that_is_none_is_refused(stack: Stack, name: str) -> None:
    with pytest.raises(ProviderError, match="bucket name"):
        stack.create("S3Bucket", bucket=name)


@pytest.mark.engine
@pytest.mark.parametrize("force", [False, True])
def test_a_bucket_with_objects_is_only_deleted_when_that_is_meant(stack: Stack, force: bool) -> None:
    bucket = stack.create("S3Bucket", forceDestroy=force)
    stack.create("S3BucketVersioning")
    for content in (b"one", b"two"):
        stack.client.put_object("data", "key", io.BytesIO(content), len(content))
    if not force:
        with pytest.raises(ProviderError, match="BucketNotEmpty"):
            stack.delete(bucket)
        assert stack.client.bucket_exists("data")
        return
    stack.delete(bucket)
    assert not stack.client.bucket_exists("data")


@pytest.mark.engine
def test_object_lock_is_chosen_when_a_bucket_is_made_and_never_again(stack: Stack) -> None:
    locked = stack.create("S3Bucket", objectLocking=True)
    assert stack.client.get_bucket_versioning("data").status == "Enabled"
    assert stack.changed(locked, GIVEN["S3Bucket"] | {"objectLocking": False}) == ("objectLocking",)
    stack.update(locked, GIVEN["S3Bucket"] | {"objectLocking": False})
    # Still locked: this raises where there is no lock.
    stack.client.get_object_lock_config("data")
