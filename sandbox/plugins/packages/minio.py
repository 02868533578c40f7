"""The minio provider: buckets and what belongs to one, through the official client."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

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

_GONE: Final = ("NoSuchBucket", "NoSuchBucketPolicy", "NoSuchLifecycleConfiguration")


class Minio(Package):
    """``pulumi_minio``: buckets, their versions, lifecycle and policies."""

    name = "minio"
    kinds: ClassVar[Mapping[str, Kind]] = {
        _BUCKET: kind("bucket", "objectLocking", named=True),
        **{token: kind("bucket") for token in _PARTS},
    }
    _client: "Client | None" = None

    def configure(self, inputs: Properties) -> None:
        from minio import Minio as Client  # noqa: PLC0415

        self._server = str(inputs.get("minioServer"))
        self._client = Client(
            self._server,
            access_key=str(inputs.get("minioUser") or ""),
            secret_key=str(inputs.get("minioPassword") or ""),
            region=str(inputs.get("minioRegion") or "us-east-1"),
            secure=inputs.get("minioSsl") is not False,
        )

    def make(self, target: Target, inputs: Properties) -> Created:
        bucket = text(inputs.get("bucket") or target.name)
        if target.token == _BUCKET:
            locked = bool(inputs.get("objectLocking"))
            self._ask(lambda client: client.make_bucket(bucket, object_lock=locked))
            return Created(bucket, self._bucket(inputs, bucket))
        self._write(target, bucket, inputs)
        return Created(bucket, dict(inputs))

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Read | None:
        try:
            told = self._told(target, id)
        except _GoneError:
            return None
        if told is None:
            return None
        found = {**inputs, **outputs, "bucket": id, **told}
        if target.token == _BUCKET:
            found = self._bucket(found, id)
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
        try:
            if target.token == _BUCKET:
                if outputs.get("forceDestroy"):
                    self._empty(id)
                self._ask(lambda client: client.remove_bucket(id))
            elif target.token == _POLICY:
                self._ask(lambda client: client.delete_bucket_policy(id))
            elif target.token == _LIFECYCLE:
                self._ask(lambda client: client.delete_bucket_lifecycle(id))
            else:
                self._suspend(id)
        except _GoneError:
            return

    # -- what each type is

    def _told(self, target: Target, bucket: str) -> Properties | None:
        match target.token:
            case t if t == _BUCKET:
                return {} if self._ask(lambda client: client.bucket_exists(bucket)) else None
            case t if t == _POLICY:
                return {"policy": self._ask(lambda client: client.get_bucket_policy(bucket))}
            case t if t == _VERSIONING:
                status = self._ask(lambda client: client.get_bucket_versioning(bucket)).status
                return {"versioningConfiguration": {"status": status}} if status != "Off" else None
            case _:
                return {} if self._ask(lambda client: client.get_bucket_lifecycle(bucket)) else None

    def _write(self, target: Target, bucket: str, inputs: Properties) -> None:
        from minio.commonconfig import ENABLED  # noqa: PLC0415
        from minio.versioningconfig import VersioningConfig  # noqa: PLC0415

        if target.token == _POLICY:
            policy = text(inputs["policy"])
            self._ask(lambda client: client.set_bucket_policy(bucket, policy))
        elif target.token == _VERSIONING:
            wanted: Any = inputs.get("versioningConfiguration") or {}
            if wanted.get("status") == ENABLED:
                self._ask(lambda client: client.set_bucket_versioning(bucket, VersioningConfig(ENABLED)))
            else:
                self._suspend(bucket)
        else:
            self._ask(lambda client: client.set_bucket_lifecycle(bucket, _lifecycle(inputs)))

    def _suspend(self, bucket: str) -> None:
        from minio.versioningconfig import SUSPENDED, VersioningConfig  # noqa: PLC0415

        try:
            self._ask(lambda client: client.set_bucket_versioning(bucket, VersioningConfig(SUSPENDED)))
        except ProviderError as error:
            # With object lock versions are kept for ever; the real provider leaves them as they are, too.
            if "InvalidBucketState" not in str(error) and "Lock" not in str(error):
                raise

    def _empty(self, bucket: str) -> None:
        def work(client: "Client") -> None:
            for entry in client.list_objects(bucket, recursive=True, include_version=True):
                client.remove_object(bucket, str(entry.object_name), version_id=entry.version_id)

        self._ask(work)

    def _bucket(self, inputs: Properties, name: str) -> Properties:
        computed: Properties = {
            "bucket": name,
            "arn": f"arn:aws:s3:::{name}",
            "bucketDomainName": f"{name}.{self._server}",
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


PACKAGE = Minio
