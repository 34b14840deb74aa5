"""How is a bucket reached? With the credentials that the store's own tools use.

S3: AWS_ACCESS_KEY_ID and its like, web identity, container and instance roles. Google:
GOOGLE_APPLICATION_CREDENTIALS, instance roles. Azure: AZURE_STORAGE_ACCOUNT_NAME and its like.
"""

from collections.abc import Mapping

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from storage.objects.base import ObjectError
from storage.objects.remote import CLIENT, HASTY_CLIENT, NO_RETRY, RETRY, RemoteObjects


def bucket_objects(
    scheme: str, bucket: str, prefix: str, options: Mapping[str, str], *, hasty: bool = False
) -> RemoteObjects:
    """The objects below a prefix; `options` of S3: endpoint, region.

    `hasty`: each request has three seconds and is not tried again.
    """
    try:
        store = _store(scheme, bucket, prefix or None, options, hasty)
        return RemoteObjects(store, 1) if hasty else RemoteObjects(store)
    except (BaseError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ObjectError(f"{scheme}://{bucket}/{prefix} cannot be used: {first}") from None


def _store(
    scheme: str, bucket: str, prefix: str | None, options: Mapping[str, str], hasty: bool
) -> ObjectStore:
    client, retry = (HASTY_CLIENT, NO_RETRY) if hasty else (CLIENT, RETRY)
    if scheme == "gs":
        return GCSStore(bucket, prefix=prefix, client_options=client, retry_config=retry)
    if scheme == "az":
        return AzureStore(bucket, prefix=prefix, client_options=client, retry_config=retry)
    if options.get("endpoint", "").startswith("http://"):
        client = {**client, "allow_http": True}
    chosen = {name: text for name, text in options.items() if text}
    return S3Store(
        bucket,
        prefix=prefix,
        client_options=client,
        retry_config=retry,
        **chosen,  # type: ignore[arg-type]
    )
