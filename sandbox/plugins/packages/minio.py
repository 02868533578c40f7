"""The minio provider: buckets and what belongs to one."""

from collections.abc import Mapping
from typing import ClassVar, Final

from ..package import Created, Kind, Package, ProviderError, Target, kind, text
from ..values import Properties

_BUCKET: Final = "minio:index/s3Bucket:S3Bucket"
_PARTS: Final = (
    "minio:index/ilmPolicy:IlmPolicy",
    "minio:index/s3BucketPolicy:S3BucketPolicy",
    "minio:index/s3BucketVersioning:S3BucketVersioning",
)


class Minio(Package):
    """``pulumi_minio``: buckets, their versions, lifecycle and policies."""

    name = "minio"
    needs_cloud = True
    kinds: ClassVar[Mapping[str, Kind]] = {
        _BUCKET: kind("bucket", "objectLocking", named=True),
        **{token: kind("bucket") for token in _PARTS},
    }

    def make(self, target: Target, inputs: Properties) -> Created:
        if target.token == _BUCKET:
            name = text(inputs.get("bucket") or target.name)
            domain = f"{name}.{self.configured.get('minioServer', 'localhost')}"
            outputs: Properties = {**inputs, "bucket": name, "arn": f"arn:aws:s3:::{name}", "bucketDomainName": domain}
            self.cloud.create("buckets", outputs, {}, id=name)
            return Created(name, outputs)
        if target.token in _PARTS:
            bucket = text(inputs["bucket"])
            if self.cloud.read("buckets", bucket) is None:
                raise ProviderError(f"bucket {bucket}: there is no such bucket (NoSuchBucket)")
            return Created(bucket, dict(inputs))
        raise ProviderError(f"the sandbox's minio plugin does not make {target.token}")

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        if self.cloud.read("buckets", id) is None:
            return None
        return super().read(target, id, inputs, outputs)

    def delete(self, target: Target, id: str, outputs: Properties) -> None:
        if target.token == _BUCKET:
            self.cloud.delete("buckets", id)

    def configure(self, inputs: Properties) -> None:
        super().configure(inputs)
        self.configured = inputs


PACKAGE = Minio
