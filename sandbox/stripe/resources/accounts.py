"""The account itself (https://docs.stripe.com/api/accounts)."""

from sandbox.stripe.errors import Object, no_such
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import blank, listing

ID = "acct_1HontoniSandbox0"


def account(sim: Simulator, call: Call) -> Object:
    """One US account in test mode, ready to take cards."""
    if call.ids.get("id", ID) != ID:
        raise no_such("account", call.id)
    return {
        "id": ID,
        "object": "account",
        "business_profile": blank(
            "annual_revenue estimated_worker_count mcc product_description support_address"
            " support_email support_phone support_url url minority_owned_business_designation"
        )
        | {"name": "Hontoni sandbox"},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": "US",
        "created": 1_700_000_000,
        "default_currency": "usd",
        "details_submitted": True,
        "email": "sandbox@example.com",
        "external_accounts": listing([], f"/v1/accounts/{ID}/external_accounts"),
        "metadata": {},
        "payouts_enabled": True,
        "settings": _settings(),
        "type": "standard",
    }


def _settings() -> Object:
    prefixes = "statement_descriptor_prefix_kana statement_descriptor_prefix_kanji"
    plain = "statement_descriptor_kana statement_descriptor_kanji"
    return {
        "branding": blank("icon logo primary_color secondary_color"),
        "card_payments": blank(f"statement_descriptor_prefix {prefixes}"),
        "dashboard": {"display_name": "Hontoni sandbox", "timezone": "Etc/UTC"},
        "payments": blank(f"{plain} {prefixes}") | {"statement_descriptor": "HONTONI SANDBOX"},
    }


ROUTES = (
    Route("GET", "/v1/account", account),
    Route("GET", "/v1/accounts/{id}", account),
)
