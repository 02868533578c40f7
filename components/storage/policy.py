"""The policy of one bucket: which site's key may do what, and nobody else anything.

Hetzner's keys open every bucket of their project, so a policy must deny; an ``Allow`` alone narrows nothing. The rest
is what public configurations that run on Hetzner say (read on 2026-11-23; tried on no account of ours):

- confirmed by many: a key is ``arn:aws:iam:::user/p<project number>:<access key id>``; one adds that the AWS form with
  an account number matches nobody;
- reported as tested: ``Deny`` statements for a key hold, by action and by prefix, some seconds after they were written;
- in use, but not reported as tested: ``NotPrincipal`` with ``Deny`` and ``s3:*``. Keys that we know are therefore
  denied by name as well, and only keys that we do not know depend on it;
- reported as ignored: ``NotAction``. So every action that is denied stands in the list;
- reported as refused: policies that name ``s3:PutEncryptionConfiguration`` or ``s3:PutBucketOwnershipControls``.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from .buckets import Bucket

READ = (
    "s3:GetBucketLocation",
    "s3:GetBucketVersioning",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "s3:ListMultipartUploadParts",
)
WRITE = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:PutObject",
)
ADMINISTER = (
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteBucketWebsite",
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersion",
    "s3:DeleteObjectVersionTagging",
    "s3:PutBucketAcl",
    "s3:PutBucketCORS",
    "s3:PutBucketLogging",
    "s3:PutBucketNotification",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutBucketWebsite",
    "s3:PutLifecycleConfiguration",
    "s3:PutObjectAcl",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionAcl",
    "s3:PutObjectVersionTagging",
    "s3:PutReplicationConfiguration",
)
"""What no site may do: destroy versions, change who may do what, or shorten how long something is kept."""


def principal(project_id: str, access_key: str) -> str:
    """Hetzner's name of an access key in a policy."""
    return f"arn:aws:iam:::user/p{project_id}:{access_key}"


def bucket_policy(
    bucket: Bucket, project_id: str, administrators: Sequence[str], access_keys: Mapping[str, str]
) -> str:
    """The policy as JSON.

    Args:
        bucket: Whose readers and writers name sites.
        project_id: Number of the Hetzner project that owns bucket and keys.
        administrators: Access key ids that keep every right, Pulumi's own among them.
        access_keys: Site → access key id. A site that neither reads nor writes is denied like a stranger.
    """
    resources = [f"arn:aws:s3:::{bucket.name}", f"arn:aws:s3:::{bucket.name}/*"]
    admitted = {site: key for site, key in access_keys.items() if site in bucket.readers | bucket.writers}
    statements: list[dict[str, object]] = [
        {
            "Sid": "OnlyAdministratorsAndAdmittedSites",
            "Effect": "Deny",
            "NotPrincipal": _keys(project_id, [*administrators, *admitted.values()]),
            "Action": "s3:*",
            "Resource": resources,
        }
    ]
    for site, access_key in sorted(access_keys.items()):
        keys = _keys(project_id, [access_key])
        if site not in admitted:
            statements.append(_statement("Deny", site, keys, ["s3:*"], resources))
            continue
        granted = (*READ, *WRITE) if site in bucket.writers else READ
        refused = ADMINISTER if site in bucket.writers else (*WRITE, *ADMINISTER)
        statements.append(_statement("Allow", site, keys, granted, resources))
        statements.append(_statement("Deny", site, keys, refused, resources))
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


def _statement(
    effect: str, site: str, keys: dict[str, list[str]], actions: Iterable[str], resources: Sequence[str]
) -> dict[str, object]:
    return {
        "Sid": f"{effect}{_sid(site)}",
        "Effect": effect,
        "Principal": keys,
        "Action": sorted(actions),
        "Resource": list(resources),
    }


def _keys(project_id: str, access_keys: Iterable[str]) -> dict[str, list[str]]:
    return {"AWS": sorted(principal(project_id, key) for key in access_keys)}


def _sid(site: str) -> str:
    """Statement ids are made of letters and digits."""
    return "".join(part.capitalize() for part in site.split("-"))
