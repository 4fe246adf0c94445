"""The environment variables of money from Vietnam: bank transfers, the rate, e-invoices.

What becomes of them is in `vietnam_settings.py`.
"""

from hontoni.operating_options import Option

VIETNAM = (
    Option(
        "VIETQR_BANK",
        "none",
        "six digits, Napas's number of the bank (such as `970436`) whose account SePay watches",
    ),
    Option("VIETQR_ACCOUNT", "none", "that account's number; customers transfer to it"),
    Option("VIETQR_HOLDER", "none", "whose account it is, as customers' banks show it"),
    Option("VIETQR_MINUTES", "`30`", "how long an order by bank transfer keeps its rate"),
    Option(
        "SEPAY_API_TOKEN",
        "none",
        "reads SePay's list of transfers, for what no callback told; both ways are one",
    ),
    Option("SEPAY_API_BASE", "`https://userapi.sepay.vn`", "where SePay's API is"),
    Option(
        "SEPAY_WEBHOOK_SECRET",
        "none",
        "of SePay's callback at `/webhooks/sepay`, signed by HMAC-SHA256: the better way",
    ),
    Option(
        "SEPAY_WEBHOOK_KEY",
        "none",
        "in its place, the API key that the callback carries; at least 16 characters",
    ),
    Option("PAYOS_CLIENT_ID", "none", "payOS, which is offered beside SePay or alone"),
    Option("PAYOS_API_KEY", "none", "payOS"),
    Option(
        "PAYOS_CHECKSUM_KEY",
        "none",
        "signs what payOS and we tell each other; its callback is `/webhooks/payos`",
    ),
    Option("PAYOS_API_BASE", "`https://api-merchant.payos.vn`", "where payOS is"),
    Option("VIETNAM_TIMEOUT_SECONDS", "`10`", "how long SePay or payOS may take"),
    Option(
        "DONG_RATE_SOURCE",
        "none",
        (
            "an address that says what a dollar costs, read each morning as a proposal for staff: "
            "Vietcombank's XML, or JSON with `rates.VND`"
        ),
    ),
    Option(
        "DONG_RATE_DAYS",
        "`30`",
        "a rate older than this is not sold at: transfers are not offered until staff set one",
    ),
    Option("EINVOICE_CLIENT_ID", "none", "SePay's e-invoices, which our invoices are handed to"),
    Option("EINVOICE_CLIENT_SECRET", "none", "SePay's e-invoices"),
    Option("EINVOICE_API_BASE", "`https://einvoice-api.sepay.vn`", "where they are made"),
    Option("EINVOICE_ACCOUNT", "none", "the id of your provider account there"),
    Option("EINVOICE_TEMPLATE", "`1`", "the template: `1` is the VAT invoice"),
    Option("EINVOICE_SERIES", "none", "the series registered with the tax office: `C26THT`"),
    Option(
        "EINVOICE_SINCE",
        "none",
        "the first day (`2026-12-01`, Vietnam's time) whose invoices are handed over",
    ),
)
