"""Money from Vietnam, as the environment says: bank transfers by VietQR, the rate, e-invoices.

Nothing of it is offered until it is set. settings.py takes every name from here, after `.env` is
read.
"""

from hontoni.environment import Environment

env = Environment()

# The account that SePay watches, as VietQR names it.
VIETQR_BANK: str = env("VIETQR_BANK", default="")  # six digits, Napas's number of the bank
VIETQR_ACCOUNT: str = env("VIETQR_ACCOUNT", default="")
VIETQR_HOLDER: str = env("VIETQR_HOLDER", default="")
VIETQR_MINUTES: int = env.int("VIETQR_MINUTES", default=30)
SEPAY_API_TOKEN: str = env("SEPAY_API_TOKEN", default="")
SEPAY_API_BASE: str = env("SEPAY_API_BASE", default="https://userapi.sepay.vn")
SEPAY_WEBHOOK_SECRET: str = env("SEPAY_WEBHOOK_SECRET", default="")
SEPAY_WEBHOOK_KEY: str = env("SEPAY_WEBHOOK_KEY", default="")
PAYOS_CLIENT_ID: str = env("PAYOS_CLIENT_ID", default="")
PAYOS_API_KEY: str = env("PAYOS_API_KEY", default="")
PAYOS_CHECKSUM_KEY: str = env("PAYOS_CHECKSUM_KEY", default="")
PAYOS_API_BASE: str = env("PAYOS_API_BASE", default="https://api-merchant.payos.vn")
VIETNAM_TIMEOUT_SECONDS: float = env.float("VIETNAM_TIMEOUT_SECONDS", default=10)
DONG_RATE_SOURCE: str = env("DONG_RATE_SOURCE", default="")
DONG_RATE_DAYS: int = env.int("DONG_RATE_DAYS", default=30)
EINVOICE_CLIENT_ID: str = env("EINVOICE_CLIENT_ID", default="")
EINVOICE_CLIENT_SECRET: str = env("EINVOICE_CLIENT_SECRET", default="")
EINVOICE_API_BASE: str = env("EINVOICE_API_BASE", default="https://einvoice-api.sepay.vn")
EINVOICE_ACCOUNT: str = env("EINVOICE_ACCOUNT", default="")
EINVOICE_TEMPLATE: str = env("EINVOICE_TEMPLATE", default="1")
EINVOICE_SERIES: str = env("EINVOICE_SERIES", default="")
EINVOICE_SINCE: str = env("EINVOICE_SINCE", default="")  # a day, such as 2026-12-01
