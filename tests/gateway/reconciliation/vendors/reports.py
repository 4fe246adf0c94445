"""The vendors' reports as their documentation has them."""

import json
from typing import Any

DAY = "2026-11-20"
_FROM, _TO = 1763596800 + 365 * 86400, 1763683200 + 365 * 86400  # 2026-11-20 and the day after

ANTHROPIC_USAGE: dict[str, Any] = {
    "data": [
        {
            "starting_at": f"{DAY}T00:00:00Z",
            "ending_at": "2026-11-21T00:00:00Z",
            "results": [
                {
                    "uncached_input_tokens": 1500,
                    "cache_creation": {
                        "ephemeral_1h_input_tokens": 1000,
                        "ephemeral_5m_input_tokens": 500,
                    },
                    "cache_read_input_tokens": 200,
                    "output_tokens": 500,
                    "server_tool_use": {"web_search_requests": 10},
                    "api_key_id": "apikey_01Rj2N8SVvo6BePZj99NhmiT",
                    "workspace_id": "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ",
                    "model": "claude-sonnet-4-20250514",
                    "service_tier": tier,
                    "context_window": "0-200k",
                }
                for tier in ("standard", "batch")  # a bill has both
            ],
        }
    ],
    "has_more": False,
    "next_page": None,
}


def _cost(amount: str, token_type: str | None, cost_type: str = "tokens") -> dict[str, Any]:
    return {
        "currency": "USD",
        "amount": amount,
        "workspace_id": "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ",
        "description": "Claude Sonnet 4 Usage - Input Tokens",
        "cost_type": cost_type,
        "context_window": "0-200k",
        "model": "claude-sonnet-4-20250514" if token_type else None,
        "service_tier": "standard",
        "token_type": token_type,
    }


ANTHROPIC_COSTS: dict[str, Any] = {
    "data": [
        {
            "starting_at": f"{DAY}T00:00:00Z",
            "ending_at": "2026-11-21T00:00:00Z",
            "results": [
                _cost("123.78912", "uncached_input_tokens"),
                _cost("1.5", "output_tokens"),
                _cost("0.012", "cache_read_input_tokens"),
                _cost("0.375", "cache_creation.ephemeral_5m_input_tokens"),
                _cost("1.2", "cache_creation.ephemeral_1h_input_tokens"),
                _cost("20", None, "web_search"),
            ],
        }
    ],
    "has_more": False,
    "next_page": None,
}

OPENAI_USAGE: dict[str, Any] = {
    "object": "page",
    "data": [
        {
            "object": "bucket",
            "start_time": _FROM,
            "end_time": _TO,
            "results": [
                {
                    "object": "organization.usage.completions.result",
                    "input_tokens": 1000,
                    "output_tokens": 500,
                    "input_cached_tokens": 800,
                    "input_audio_tokens": 0,
                    "output_audio_tokens": 0,
                    "num_model_requests": 5,
                    "project_id": "proj_abc",
                    "user_id": None,
                    "api_key_id": "key_one",
                    "model": "gpt-4o-2024-08-06",
                    "batch": None,
                    "service_tier": None,
                }
            ],
        }
    ],
    "has_more": False,
    "next_page": None,
}


def _line(item: str, value: float) -> dict[str, Any]:
    return {
        "object": "organization.costs.result",
        "amount": {"value": value, "currency": "usd"},
        "line_item": item,
        "project_id": "proj_abc",
    }


OPENAI_COSTS: dict[str, Any] = {
    "object": "page",
    "data": [
        {
            "object": "bucket",
            "start_time": _FROM,
            "end_time": _TO,
            "results": [
                _line("gpt-4o-2024-08-06, input", 0.0005),
                _line("gpt-4o-2024-08-06, cached input", 0.001),
                _line("gpt-4o-2024-08-06, output", 0.00500000000000001),
                _line("web search tool calls", 0.03),
            ],
        }
    ],
    "has_more": False,
    "next_page": None,
}

ANTHROPIC_USAGE_CSV = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,"
    "usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
    "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,"
    "web_search_count,inference_geo,speed\n"
    f"{DAY},claude-sonnet-4-20250514,gateway-key,Default,standard,≤ 200k,3000,1000,2000,400,1000,"
    "20,not_available,\n"
)
ANTHROPIC_COSTS_CSV = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,"
    "list_price_usd,cost_type,inference_geo,speed,api_key_id,api_key_status\n"
    f"{DAY},Claude Sonnet 4,Default,gateway-key,message,≤ 200k,input_no_cache,0.05,0.05,token,"
    "not_available,,apikey_01AAA,active\n"
    f"{DAY},Claude Sonnet 4,Default,gateway-key,message,≤ 200k,output,0.02,0.02,token,"
    "not_available,,apikey_01AAA,active\n"
)
OPENAI_USAGE_CSV = (
    "start_time\tend_time\tstart_time_iso\tend_time_iso\tproject_id\tnum_model_requests\tuser_id\t"
    "api_key_id\tmodel\tbatch\tservice_tier\tinput_tokens\toutput_tokens\tinput_cached_tokens\n"
    f"{_FROM}\t{_TO}\tx\ty\tproj_abc\t5\t\tkey_one\tgpt-4o-2024-08-06\t\t\t1000\t500\t800\n"
    f"{_TO}\t{_TO + 86400}\tx\ty\t\t\t\t\t\t\t\t\t\t\n"
)
OPENAI_COSTS_CSV = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,"
    "project_id,organization_id,organization_name\n"
    f'{_FROM},{_TO},x,y,0.8958740000000000,usd,"gpt-4o-2024-08-06, output",proj_abc,org-1,P\n'
    f"{_TO},{_TO + 86400},x,y,,,,,,\n"
)


def _sku(sku: str, cost: str, amount: str, service: str = "Gemini API") -> dict[str, Any]:
    return {
        "billing_account_id": "0X0X0X-0X0X0X-0X0X0X",
        "service": {"id": "AEFD-7695-64FA", "description": service},
        "sku": {"id": "2F6F-C249-0F1B", "description": sku},
        "usage_start_time": f"{DAY} 13:00:00 UTC",
        "usage_end_time": f"{DAY} 14:00:00 UTC",
        "project": {"id": "my-project", "number": "1", "name": "mine"},
        "cost": cost,
        "currency": "USD",
        "currency_conversion_rate": 1,
        "usage": {"amount": amount, "unit": "count"},
        "credits": [],
        "cost_type": "regular",
    }


GOOGLE_ROWS = [
    _sku("Generate content input token count gemini 2.5 pro short input text", "0.0025", "2000"),
    _sku("Generate content cached input token count gemini 2.5 pro input text", "0.0001", "400"),
    _sku("Generate content output token count Gemini 2.5 Pro short output text", "0.01", "1000"),
    _sku("Generate content output token count Gemini 2.5 Pro short output text", "0.02", "2000"),
    _sku("Grounding with Google Search", "0.035", "1"),
    _sku("N1 Predefined Instance Core running in Americas", "12.5", "3600", "Compute Engine"),
]
GOOGLE_ROWS[0]["credits"] = [{"name": "Promotion", "amount": "-0.0005"}]


def _flat(row: dict[str, Any]) -> list[str]:
    credits = json.dumps(row["credits"]).replace('"', '""')
    return [
        row["service"]["description"],
        row["sku"]["description"],
        row["usage_start_time"],
        row["project"]["id"],
        row["cost"],
        row["currency"],
        "1.0",
        row["usage"]["amount"],
        f'"{credits}"',
    ]


GOOGLE_CSV = (
    "service_description,sku_description,usage_start_time,project_id,cost,currency,"
    "currency_conversion_rate,usage_amount,credits\n"
    + "".join(",".join(_flat(row)) + "\n" for row in GOOGLE_ROWS)
)
