"""AWS's signature of a request, made by botocore: about 50 µs of CPU, and no network.

The key it signs with is good for a day and a region: it is derived once a day. The path is signed
as it is sent, escaped once more, as every service of AWS but S3 has it.
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.vendors.secrets import AccessKey

SERVICE = "bedrock"
_SIGNED = (b"host", b"content-type")  # the proxies of a network may change the others


class _Signer(SigV4Auth):  # type: ignore[misc]  # botocore is not typed
    """Remembers the day's key."""

    _day, _key = "", b""

    def signature(self, string_to_sign: str, request: Any) -> str:
        day = request.context["timestamp"][:8]
        if self._day != day:
            key = f"AWS4{self.credentials.secret_key}".encode()
            for part in (day, self._region_name, self._service_name, "aws4_request"):
                key = hmac.digest(key, part.encode(), sha256)
            self._day, self._key = day, key
        return hmac.digest(self._key, string_to_sign.encode(), sha256).hex()


class SigV4:
    """Of one access key in one region."""

    def __init__(self, secret: str, region: str) -> None:
        key = AccessKey.parse(secret)
        credentials = Credentials(key.access_key_id, key.secret_access_key, key.session_token)
        self._signer = _Signer(credentials, SERVICE, region)

    async def headers(
        self, url: str, headers: Mapping[bytes, bytes], body: bytes
    ) -> dict[bytes, bytes]:
        given = {name.decode(): headers[name].decode() for name in _SIGNED}
        request = AWSRequest("POST", url, data=body, headers=given)
        self._signer.add_auth(request)
        return {
            name.lower().encode(): value.encode()
            for name, value in request.headers.items()
            if name.lower() not in given
        }

    def due(self) -> bool:
        return False

    async def renew(self) -> None:
        pass

    def refused(self) -> None:
        pass
