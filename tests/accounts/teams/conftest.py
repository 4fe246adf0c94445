"""Mails are sent at once."""

import pytest

from accounts.sign_in import mail_adapter


@pytest.fixture(autouse=True)
def _mails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_adapter.send_mail, "delay", mail_adapter.send_mail)
