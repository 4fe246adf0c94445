"""Our signatures are botocore's, with the day's key remembered."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore import auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.vendors.secrets import AccessKey
from gateway.vendors.sigv4 import SigV4

URL = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/us.anthropic.claude%3A0/invoke"
HEADERS = {
    b"host": b"bedrock-runtime.eu-west-1.amazonaws.com",
    b"content-type": b"application/json",
}
KEY = AccessKey("AKIAEXAMPLE", "secret", "session")


class Clock:
    """The time that botocore signs at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
        for name in ("get_current_datetime",):
            if hasattr(auth, name):
                monkeypatch.setattr(auth, name, lambda *_, **__: self.now.replace(tzinfo=None))


def botocores(body: bytes) -> dict[str, str]:
    signer = SigV4Auth(Credentials("AKIAEXAMPLE", "secret", "session"), "bedrock", "eu-west-1")
    headers = {name.decode(): value.decode() for name, value in HEADERS.items()}
    request = AWSRequest("POST", URL, data=body, headers=headers)
    signer.add_auth(request)
    return {name.lower(): value for name, value in request.headers.items() if name not in headers}


async def test_a_request_is_signed_as_botocore_signs_it_today_and_tomorrow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, ours = Clock(monkeypatch), SigV4(KEY.text(), "eu-west-1")
    for _ in range(3):
        for body in (b"{}", b'{"a": 1}'):
            signed = await ours.headers(URL, HEADERS, body)
            told = {name.decode(): value.decode() for name, value in signed.items()}
            assert told == botocores(body)
            assert f"/{clock.now:%Y%m%d}/eu-west-1/bedrock/" in told["authorization"]
            assert told["x-amz-security-token"] == "session"
        clock.now += timedelta(hours=13)


@pytest.mark.parametrize("wrong", ["", "[]", "{}", '{"access_key_id": "a"}', "sk-key"])
def test_what_is_no_access_key_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):
        SigV4(wrong, "eu-west-1")
