"""The minio provider: buckets and what belongs to one, through the official client.

It does what terraform-provider-minio 1.20.1 does, which pulumi-minio 0.17 wraps, also where that is a surprise:

- ``objectLocking`` that changes later changes nothing, and replaces nothing.
- A bucket that was deleted by hand is noticed; its policy and versioning then fail at every refresh, and its own delete
  and theirs fail too. They are taken out of the state by hand.

Known to be otherwise: an update of a lifecycle that is refused is an error here; the real one forgets the refusal.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from ..check import Failure
from ..drift import imported, inputs_as_given
from ..package import Created, Kind, Package, ProviderError, Read, Target, kind, text
from ..schema import schema_of
from ..values import Properties

if TYPE_CHECKING:
    from minio import Minio as Client

_BUCKET: Final = "minio:index/s3Bucket:S3Bucket"
_LIFECYCLE: Final = "minio:index/ilmPolicy:IlmPolicy"
_POLICY: Final = "minio:index/s3BucketPolicy:S3BucketPolicy"
_VERSIONING: Final = "minio:index/s3BucketVersioning:S3BucketVersioning"
_PARTS: Final = (_LIFECYCLE, _POLICY, _VERSIONING)

_GONE: Final = ("NoSuchBucketPolicy", "NoSuchLifecycleConfiguration")
_EXPIRATION: Final = re.compile(r"[0-9]+d")


class Minio(Package):
    """``pulumi_minio``: buckets, their versions, lifecycle and policies."""

    name = "minio"
    kinds: ClassVar[Mapping[str, Kind]] = {
        _BUCKET: kind("bucket", "bucketPrefix", named=True),
        **{token: kind("bucket") for token in _PARTS},
    }
    _client: "Client | None" = None

    def configure(self, inputs: Properties) -> None:
        from minio import Minio as Client  # noqa: PLC0415

        self._server = str(inputs.get("minioServer"))
        self._address = f"{'http' if inputs.get('minioSsl') is False else 'https'}://{self._server}"
        self._client = Client(
            self._server,
            access_key=str(inputs.get("minioUser") or ""),
            secret_key=str(inputs.get("minioPassword") or ""),
            region=str(inputs.get("minioRegion") or "us-east-1"),
            secure=inputs.get("minioSsl") is not False,
        )

    def check_more(self, target: Target, inputs: Properties) -> list[Failure]:
        match target.token:
            case t if t == _BUCKET:
                return [
                    Failure(name, "the sandbox's minio plugin does not know it")
                    for name in ("bucketPrefix", "quota")
                    if name in inputs
                ] + ([Failure("acl", "is private here")] if inputs.get("acl", "private") != "private" else [])
            case t if t == _POLICY:
                given = inputs["policy"]
                is_json = not isinstance(given, str) or _parsed(given) is not None
                return [] if is_json else [Failure("policy", "contains an invalid JSON policy")]
            case t if t == _LIFECYCLE:
                return list(_bad_rules(inputs))
            case _:
                return []

    def make(self, target: Target, inputs: Properties) -> Created:
        bucket = text(inputs.get("bucket") or target.name)
        if target.token == _BUCKET:
            if self._ask(lambda client: client.bucket_exists(bucket)):
                raise ProviderError(f"bucket {bucket}: bucket already exists!")
            locked = bool(inputs.get("objectLocking"))
            self._ask(lambda client: client.make_bucket(bucket, object_lock=locked))
            return Created(bucket, self._bucket(inputs, bucket))
        self._write(target, bucket, inputs)
        return Created(bucket, dict(inputs))

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Read | None:
        told = self._told(target, id)
        if told is None:
            return None
        found = {**inputs, **outputs, "bucket": id, **told}
        if target.token == _BUCKET:
            found = self._bucket(found, id)
        given = inputs.get("policy")
        if isinstance(given, str) and _parsed(given) == _parsed(str(found.get("policy"))):
            # Another form of the same is no difference.
            found["policy"] = given
        if target.token == _LIFECYCLE and inputs and not any("status" in rule for rule in _rules(inputs)):
            # Who does not say it leaves it to the provider.
            found["rules"] = [{name: rule[name] for name in rule if name != "status"} for rule in _rules(found)]
        named = inputs_as_given(inputs, found) if inputs else imported(found, schema_of(target.token).inputs)
        return Read(found, named)

    def update(
        self, target: Target, id: str, old: Properties, new: Properties, outputs: Properties, *, preview: bool
    ) -> Properties:
        changed = super().update(target, id, old, new, outputs, preview=preview)
        if not preview and target.token in _PARTS:
            self._write(target, id, new)
        return changed

    def delete(self, target: Target, id: str, outputs: Properties) -> None:
        if target.token == _BUCKET:
            if outputs.get("forceDestroy"):
                self._empty(id)
            self._ask(lambda client: client.remove_bucket(id))
        elif target.token == _POLICY:
            with contextlib.suppress(_GoneError):
                self._ask(lambda client: client.delete_bucket_policy(id))
        elif target.token == _LIFECYCLE:
            with contextlib.suppress(_GoneError):
                self._ask(lambda client: client.delete_bucket_lifecycle(id))
        else:
            wanted: Any = outputs.get("versioningConfiguration") or {}
            if wanted.get("status") != "Suspended":
                self._version(id, "Suspended")

    # -- what each type is

    def _told(self, target: Target, bucket: str) -> Properties | None:
        match target.token:
            case t if t == _BUCKET:
                return {} if self._ask(lambda client: client.bucket_exists(bucket)) else None
            case t if t == _POLICY:
                try:
                    return {"policy": self._ask(lambda client: client.get_bucket_policy(bucket))}
                except _GoneError:
                    return {"policy": ""}
            case t if t == _VERSIONING:
                status = self._ask(lambda client: client.get_bucket_versioning(bucket)).status
                return {"versioningConfiguration": {} if status in (None, "Off") else {"status": status}}
            case _:
                if not self._ask(lambda client: client.bucket_exists(bucket)):
                    return None
                found = self._ask(lambda client: client.get_bucket_lifecycle(bucket))
                return {"rules": [_told_rule(rule) for rule in found.rules]} if found else None

    def _write(self, target: Target, bucket: str, inputs: Properties) -> None:
        if target.token == _POLICY:
            policy = text(inputs["policy"])
            self._ask(lambda client: client.set_bucket_policy(bucket, policy))
        elif target.token == _VERSIONING:
            wanted: Any = inputs["versioningConfiguration"]
            self._version(bucket, str(wanted["status"]))
        else:
            self._ask(lambda client: client.set_bucket_lifecycle(bucket, _lifecycle(inputs)))

    def _version(self, bucket: str, status: str) -> None:
        from minio.versioningconfig import VersioningConfig  # noqa: PLC0415

        self._ask(lambda client: client.set_bucket_versioning(bucket, VersioningConfig(status)))

    def _empty(self, bucket: str) -> None:
        def work(client: "Client") -> None:
            for entry in client.list_objects(bucket, recursive=True, include_version=True):
                client.remove_object(bucket, str(entry.object_name), version_id=entry.version_id)

        self._ask(work)

    def _bucket(self, inputs: Properties, name: str) -> Properties:
        computed: Properties = {
            "bucket": name,
            "arn": f"arn:aws:s3:::{name}",
            "bucketDomainName": f"{self._address}/minio/{name}",
        }
        return {**inputs, **computed}

    def _ask(self, question: "Callable[[Client], Any]") -> Any:
        from minio.error import MinioException, S3Error  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        if self._client is None:
            raise ProviderError("the minio provider is not configured")
        try:
            return question(self._client)
        except S3Error as error:
            kind = _GoneError if error.code in _GONE else ProviderError
            raise kind(f"bucket {error.bucket_name}: {error.message} ({error.code})") from error
        except ValueError as error:
            raise ProviderError(str(error)) from error
        except (MinioException, HTTPError, OSError) as error:
            raise ProviderError(f"the object store {self._server} does not answer: {type(error).__name__}") from error


class _GoneError(ProviderError):
    """There is no such thing in the object store."""


def _lifecycle(inputs: Properties) -> Any:
    """The rules as the client takes them."""
    from minio.commonconfig import ENABLED, Filter  # noqa: PLC0415
    from minio.lifecycleconfig import (  # noqa: PLC0415
        Expiration,
        LifecycleConfig,
        NoncurrentVersionExpiration,
        Rule,
    )

    given: Any = inputs["rules"]
    rules = [
        Rule(
            ENABLED,
            rule_id=rule["id"],
            rule_filter=Filter(prefix=str(rule.get("filter") or "")),
            expiration=Expiration(days=int(rule["expiration"].removesuffix("d"))) if rule.get("expiration") else None,
            noncurrent_version_expiration=NoncurrentVersionExpiration(
                noncurrent_days=int(rule["noncurrentVersionExpirationDays"])
            )
            if rule.get("noncurrentVersionExpirationDays")
            else None,
        )
        for rule in given
    ]
    return LifecycleConfig(rules)


def _told_rule(rule: Any) -> Properties:
    """A rule of the store, as a program says it."""
    told: Properties = {"id": rule.rule_id, "status": rule.status}
    if rule.rule_filter and rule.rule_filter.prefix:
        told["filter"] = rule.rule_filter.prefix
    if rule.expiration and rule.expiration.days:
        told["expiration"] = f"{rule.expiration.days}d"
    if rule.noncurrent_version_expiration:
        told["noncurrentVersionExpirationDays"] = rule.noncurrent_version_expiration.noncurrent_days
    return told


def _rules(properties: Properties) -> list[Properties]:
    """Of a lifecycle, without those that are not known yet."""
    rules = properties.get("rules")
    return [cast("Properties", rule) for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []


def _bad_rules(inputs: Properties) -> Iterator[Failure]:
    for number, rule in enumerate(_rules(inputs)):
        expiration, days = rule.get("expiration"), rule.get("noncurrentVersionExpirationDays")
        if isinstance(expiration, str) and not _EXPIRATION.fullmatch(expiration):
            yield Failure(f"rules[{number}].expiration", "must be a number of days, such as 5d, in the sandbox")
        if isinstance(days, int) and days < 1:
            yield Failure(f"rules[{number}].noncurrentVersionExpirationDays", "must be strictly positive")
        if "tags" in rule:
            yield Failure(f"rules[{number}].tags", "the sandbox's minio plugin does not know it")


def _parsed(policy: str) -> Any:
    try:
        return json.loads(policy)
    except ValueError:
        return None


PACKAGE = Minio
