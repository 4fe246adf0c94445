"""A simulator of the part of payOS that Hontoni uses: an account and a code for every order.

    python -m sandbox payos --port 12122 --webhook-url http://127.0.0.1:8000/webhooks/payos

`app.py` has all of it. `/__control/pay` is not payOS's: there, somebody pays.
"""

from sandbox.payos.app import create_app

__all__ = ["create_app"]
