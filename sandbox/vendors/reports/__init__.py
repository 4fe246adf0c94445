"""What the vendors tell an organization's administrators: usage and costs by day, from the meter.

Like the real ones they take an admin key and no other (Google: the access token of a service
account), a day as the narrowest bucket of costs, and no more days at once than are documented.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from starlette.routing import Route

from sandbox.vendors.reports import anthropic, google, openai

if TYPE_CHECKING:
    from sandbox.vendors.app import Sandbox


def routes(sandbox: "Sandbox") -> Iterator[Route]:
    """The report addresses of all three vendors."""
    for path, endpoint in (
        ("/v1/organizations/usage_report/messages", anthropic.usage),
        ("/v1/organizations/cost_report", anthropic.costs),
        ("/v1/organization/costs", openai.costs),
    ):
        yield Route(path, partial(endpoint, sandbox))
    for kind in openai.KINDS:
        yield Route(f"/v1/organization/usage/{kind.name}", partial(openai.usage, sandbox, kind))
    yield Route("/bigquery/token", partial(google.token, sandbox), methods=["POST"])
    queries = "/bigquery/v2/projects/{project}/queries"
    yield Route(queries, partial(google.query, sandbox), methods=["POST"])
    yield Route(queries + "/{job}", partial(google.results, sandbox))
