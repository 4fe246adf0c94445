"""A stateful simulator of the part of Stripe that Hontoni uses.

The sandbox (no Stripe keys) pays with it, and the whole test suite runs against it. It stands
alone: no Django, no other module of ours, so the product talks to it as to Stripe, over HTTP.

    python -m sandbox.stripe --port 12111 --state var/stripe.json

Read `api.py` for one call's way, `simulator.py` for the account, `resources/` for the nouns,
`control.py` for the clock and the webhook knobs, `pages/` for what a browser sees.
"""

from sandbox.stripe.app import create_app

__all__ = ["create_app"]
