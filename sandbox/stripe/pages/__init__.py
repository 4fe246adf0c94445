"""The hosted pages: checkout, 3-D-Secure, the customer portal, receipts and invoices.

Plain HTML and forms; they work without JavaScript, at phone width, in light and dark. Links are
relative, so that the pages also work behind a proxy that adds a path.
"""

from starlette.routing import Route

from sandbox.stripe.pages import checkout_page, documents, portal, three_d_secure
from sandbox.stripe.simulator import Simulator


def routes(sim: Simulator) -> list[Route]:
    """Everything a browser may open."""
    return [
        *checkout_page.routes(sim),
        *three_d_secure.routes(sim),
        *portal.routes(sim),
        *documents.routes(sim),
    ]
