"""The environment variables there are: their defaults as documentation words them, their meaning.

`settings.py` can read no other, and `docs/configuration.md` is printed from here: both by
`environment.py`.
"""

from hontoni.operating_options import OPERATING, Option
from hontoni.vietnam_options import VIETNAM

OPTIONS = (
    Option("HOST", "`127.0.0.1`", "the address the web listens on"),
    Option("PORT", "`8000`", "the port the web listens on"),
    Option("WEB_CONCURRENCY", "`1`", "how many web processes share it, one a core at most"),
    Option(
        "PUBLIC_URL",
        "`http://HOST:PORT`",
        (
            "where customers find you: every link we give away. An https address turns on secure "
            "cookies, HSTS and the redirect to it; then what ends TLS is one of `TRUSTED_PROXIES`"
        ),
    ),
    Option("DATA_DIR", "`var`", "the embedded database, Valkey's file, the generated secret"),
    Option(
        "SPOOL_DIR",
        "`DATA_DIR/spool`",
        "where a gateway keeps usage events until the books have them: a disk that outlives it",
    ),
    Option(
        "SPOOL_KEEP_SECONDS",
        "`3600`",
        "how long it keeps them at least: a database restored to a moment before gets them back",
    ),
    Option("DATABASE_URL", "SQLite in `DATA_DIR`", "`postgres://…` in production"),
    Option("DATABASE_POOL", "`16`", "connections to Postgres a process may have"),
    Option("DATABASE_POOL_SECONDS", "`5`", "how long work waits for one of them"),
    Option("DATABASE_CONNECT_SECONDS", "`3`", "how long Postgres may take to accept a connection"),
    Option(
        "DATABASE_THREADS",
        "`8`",
        "threads in which a web process asks the database beside its pages",
    ),
    Option(
        "DATABASE_PATIENCE_SECONDS",
        "`1.5`",
        "how long a request on `/v1` waits for the database before its 503",
    ),
    Option(
        "SNAPSHOT_SECONDS",
        "`900`",
        (
            "how long, while the database is away, keys and prices are gone by as they were last "
            "read, as long as Redis knows of no change"
        ),
    ),
    Option(
        "REDIS_URL",
        "embedded Valkey",
        (
            "limits, money in flight, usage on its way to the books: `redis://host:6379/0`, "
            "`redis+cluster://host:6379,host:6379`, or "
            "`redis+sentinel://host:26379,host:26379/service/0`; with TLS `rediss…`"
        ),
    ),
    Option("DEBUG", "`false`", "Django's; never in production"),
    Option("SECRET_KEY", "generated in `DATA_DIR`", "required beside `DATABASE_URL`"),
    Option(
        "ALLOWED_HOSTS", "loopback, `HOST` and `PUBLIC_URL`'s", "Django's: hosts that are served"
    ),
    Option("CSRF_TRUSTED_ORIGINS", "`PUBLIC_URL`", "Django's: origins that may post forms"),
    Option(
        "TRUSTED_PROXIES",
        "`0`",
        "how many proxies of yours stand in front; so many `X-Forwarded-` entries are believed",
    ),
    Option("SECURE_COOKIES", "`true` if `PUBLIC_URL` is https", "cookies over HTTPS only"),
    Option(
        "HSTS_SECONDS", "a year if `PUBLIC_URL` is https", "browsers ask by HTTPS only, so long"
    ),
    Option("REDIS_CLUSTER", "`false`", "`redis://` in `REDIS_URL` means `redis+cluster://`"),
    Option("BROKER_URL", "`REDIS_URL`", "Celery's broker; in the same forms, or any of Celery's"),
    Option("CACHE_URL", "`REDIS_URL`", "Django's cache; in the same forms"),
    Option("ACCESS_TOKEN_MINUTES", "`30`", "how long an access token of `/api` is good"),
    Option("REFRESH_TOKEN_DAYS", "`30`", "how long a session of `/api` can be renewed"),
    Option(
        "KEY_PEPPER", "`SECRET_KEY`", "what API keys are hashed with; changing it ends every key"
    ),
    Option(
        "GITHUB_SCANNING_KEYS_URL",
        "`https://api.github.com/meta/public_keys/secret_scanning`",
        "whose signatures reports of leaked keys at `/api/leaks/github` carry",
    ),
    Option(
        "SIGN_ON_PRIVATE_NETWORKS",
        "`false`",
        (
            "whether teams' own sign-in providers may be at private addresses and without TLS: "
            "for an installation in a network of its own"
        ),
    ),
    Option(
        "WEBHOOK_PRIVATE_NETWORKS",
        "`false`",
        (
            "whether customers' webhooks and Slack addresses may be at private addresses and "
            "without TLS: for an installation in a network of its own"
        ),
    ),
    Option(
        "TELEGRAM_BOT_TOKEN",
        "none",
        "the bot that sends customers' notifications by Telegram; without it that is not offered",
    ),
    Option("TELEGRAM_API_URL", "`https://api.telegram.org`", "where Telegram's Bot API is asked"),
    Option("DNS_SERVER", "the system's", "who is asked for TXT records, as `address:port`"),
    Option("GITHUB_CLIENT_ID", "none", "sign-in with GitHub"),
    Option("GITHUB_CLIENT_SECRET", "none", "sign-in with GitHub"),
    Option("GOOGLE_CLIENT_ID", "none", "sign-in with Google"),
    Option("GOOGLE_CLIENT_SECRET", "none", "sign-in with Google"),
    Option(
        "EMAIL_URL",
        "the console; outside the sandbox none",
        "such as `smtp+tls://user:password@host:587`; without one nothing is mailed, and no link "
        "logged",
    ),
    Option("EMAIL_TIMEOUT", "`10`", "seconds a mail server may take"),
    Option("DEFAULT_FROM_EMAIL", "`Hontoni <no-reply@localhost>`", "who mails are from"),
    Option("OPENAI_API_KEY", "none", "serves GPT models until the admin has a credential"),
    Option("OPENAI_BASE_URL", "`https://api.openai.com/v1`", "with or without `/v1`"),
    Option("ANTHROPIC_API_KEY", "none", "serves Claude models until the admin has a credential"),
    Option("ANTHROPIC_BASE_URL", "`https://api.anthropic.com`", "with or without `/v1`"),
    Option("GEMINI_API_KEY", "none", "serves Gemini models until the admin has a credential"),
    Option(
        "GEMINI_BASE_URL", "`https://generativelanguage.googleapis.com`", "with or without `/v1`"
    ),
    Option(
        "SANDBOX",
        "`true` while no vendor's key is set",
        "play every vendor; `false` where all credentials are kept in the admin",
    ),
    Option(
        "CREDENTIAL_KEYS",
        "`SECRET_KEY`",
        (
            "what the credentials in the admin, second factors and queued mails are sealed "
            "with: the first seals, all open; each at least 32 characters"
        ),
    ),
    Option(
        "UPSTREAM_CONNECT_SECONDS", "`10`", "how long a vendor may take to accept a connection"
    ),
    Option("UPSTREAM_SILENCE_SECONDS", "`300`", "how long a vendor may say nothing"),
    Option("UPSTREAM_TOTAL_SECONDS", "`3600`", "how long a request may take in all"),
    Option("DRAIN_SECONDS", "`300`", "how long an answer is read on after its client has left"),
    Option("DRAIN_BYTES", "16 MiB", "how many bytes of it at most"),
    Option("DRAINS_AT_ONCE", "`256`", "how many answers at once are read on so, per process"),
    Option(
        "VENDOR_ALERT_DOLLARS",
        "`1`",
        (
            "staff are mailed when more than this of a vendor's bill is unexplained, by"
            " credential, model and day, and"
        ),
    ),
    Option("VENDOR_ALERT_PERCENT", "`2`", "more than this percentage of it"),
    Option(
        "STATE_HOURS",
        "`24`",
        (
            "how long answers of `/v1/responses` are kept, sealed, in Valkey, for clients that "
            "point at them; `0`: not at all"
        ),
    ),
    Option("STATE_ACCOUNT_BYTES", "16 MiB", "how much of it an account may have; the oldest go"),
    Option("FILES_DAYS", "`30`", "how long files of `/v1/files` and results of batches are kept"),
    Option("FILES_ACCOUNT_BYTES", "256 MiB", "how much of them an account may have"),
    Option("BATCH_REQUESTS", "`10000`", "how many requests a batch may have"),
    Option("BATCHES_PER_ACCOUNT", "`20`", "how many batches of an account may be open"),
    Option(
        "BATCH_CONCURRENCY", "`8`", "how many requests of batches a process sends at once, in all"
    ),
    Option("BATCH_ACCOUNT_CONCURRENCY", "`4`", "how many of one account's, in all processes"),
    Option("MAX_BODY_BYTES", "32 MiB", "the largest request on `/v1`, decompressed"),
    Option(
        "MAX_BODIES_BYTES",
        "256 MiB",
        (
            "request bodies and fetched files that a process holds at once, beyond 64 KiB of "
            "each; above it 503. Half of it is one account's, or one address's, at most"
        ),
    ),
    Option(
        "PREPARERS",
        "`1`",
        (
            "processes beside a web process that read and translate large requests for it; they "
            "are there while there are any. `0`: it does so itself"
        ),
    ),
    Option("MAX_FETCHED_BYTES", "32 MiB", "what one request may have us fetch by URL, in all"),
    Option("MAX_CONNECTIONS", "`5000`", "clients connected to a process at once"),
    Option(
        "MAX_CONNECTIONS_PER_ADDRESS",
        "`1000`",
        "of them from one address (IPv6: a /64); without effect behind `TRUSTED_PROXIES`",
    ),
    Option("SOCKETS_PER_ACCOUNT", "`64`", "open WebSockets of one account in a process"),
    Option("SOCKET_IDLE_SECONDS", "`900`", "after so long without a request such a one is closed"),
    Option("MAX_HEADER_BYTES", "32 KiB", "a request's line and headers; above it 431"),
    Option("MAX_HEADERS", "`100`", "a request's headers; above it 431"),
    Option("HEADER_SECONDS", "`10`", "how long a client may take to send them"),
    Option("BODY_SECONDS", "`10`", "in each of these spans of a body must come, in seconds and"),
    Option("BODY_BYTES_PER_SECOND", "`1024`", "bytes a second; else 408"),
    Option("ANSWER_SECONDS", "`120`", "how long a client may take nothing of its answer"),
    Option(
        "CONCURRENCY_WAIT_SECONDS", "`10`", "how long a request waits for a slot before its 429"
    ),
    Option("LEASE_SECONDS", "`45`", "how long a dead process's requests keep their slot and hold"),
    Option(
        "FAIR_BILL_DAILY",
        "`1`",
        "dollars the fair-billing policy may give an account away in a UTC day",
    ),
    Option(
        "FREEZE_AFTER_STRANGE_BILLS",
        "`3`",
        (
            "this many bills in 24 hours above their hold, or that cannot be true, "
            "freeze an account; `0`: never"
        ),
    ),
    Option(
        "SIGNUP_CREDIT",
        "`0`, in the sandbox `5`",
        "dollars for a new person, once their e-mail address is confirmed",
    ),
    Option(
        "SUPPORT_CREDIT_LIMIT",
        "`25`",
        "dollars that one member of support may credit in 24 hours; more needs a second person",
    ),
    Option(
        "STRIPE_SECRET_KEY",
        "none",
        (
            "without one, `make run` simulates Stripe; a live one is refused beside the"
            " sandbox or `DEBUG`"
        ),
    ),
    Option(
        "STRIPE_PUBLISHABLE_KEY",
        "none",
        "for the card form in the browser; live or test like the secret key",
    ),
    Option(
        "STRIPE_WEBHOOK_SECRET",
        "none",
        "of the endpoint `/webhooks/stripe`; must be set with the secret key",
    ),
    Option(
        "STRIPE_API_BASE", "`https://api.stripe.com`", "where Stripe is; refused beside live keys"
    ),
    Option("STRIPE_TIMEOUT_SECONDS", "`10`", "how long Stripe may take"),
    Option(
        "STRIPE_TAX",
        "`false`",
        "Stripe Tax on top of top-ups and plans; only Checkout is offered then",
    ),
    Option("TOPUP_MIN", "`5`", "dollars: the least one top-up by card"),
    Option("TOPUP_MAX", "`5000`", "dollars: the most"),
    Option(
        "PRICE_NOTICE_DAYS",
        "`30`",
        (
            "how long before it binds a renewal a higher price of a plan or an add-on, or "
            "requests past a window a higher surcharge, is announced to who has it"
        ),
    ),
    Option(
        "MODEL_PRICE_NOTICE_DAYS",
        "`14`",
        "how long before it binds a higher price of a model is told to who has used it lately",
    ),
    Option(
        "CATALOGUE_SYNC",
        "`false`",
        "read what public sources say about models and prices each day, as proposals for staff",
    ),
    Option(
        "CATALOGUE_MIRROR",
        "none: each source's own address",
        "an address that has copies of them all, named as in `gateway/pricing/sources/data`",
    ),
    Option("PROBE_DAILY_DOLLARS", "`0`", "asking idle vendors may cost so much a day; `0`: never"),
    Option("PROBE_SECONDS", "`300`", "how often one gateway does so, a few at a time"),
    Option(
        "MARGIN_ALARM_DOLLARS",
        "`1`",
        "mail staff of a model's or customer's day that lost so much",
    ),
    Option(
        "STRIPE_MIRROR",
        "`true`",
        ("keep a copy of Stripe's objects (dj-stripe) for staff; nothing depends on it"),
    ),
    Option(
        "STRIPE_SIMULATOR_PORT",
        "none; `8001` in `make run`",
        "where the simulated Stripe listens; its card is 4242 4242 4242 4242",
    ),
    *VIETNAM,
    Option("SELLER_NAME", "`Hontoni`", "printed on invoices"),
    Option("SELLER_ADDRESS", "none", "printed on invoices; lines are separated by `; `"),
    Option("SELLER_TAX_ID", "none", "printed on invoices"),
    Option("SELLER_EMAIL", "none", "printed on invoices"),
    Option(
        "SECURITY_CONTACT",
        "the page `/leaked-key`",
        (
            "e-mail addresses or URLs in `/.well-known/security.txt`, separated by commas: where "
            "a weakness of this deployment is reported"
        ),
    ),
    Option(
        "SELLER_COUNTRY",
        "none",
        (
            "two letters, such as `VN`; a buyer with a valid tax ID of another country gets "
            "the sentence of reverse charge, and no tax"
        ),
    ),
    Option(
        "SELLER_TAX_RATE",
        "`0`",
        (
            "percent of tax that top-ups, and plans paid by card, contain (never added on"
            " top), as a line of our invoices and, by a tax rate, of Stripe's; not with"
            " `STRIPE_TAX`"
        ),
    ),
    Option("SELLER_TAX_NAME", "`VAT`", "what that tax is called"),
    *OPERATING,
)
