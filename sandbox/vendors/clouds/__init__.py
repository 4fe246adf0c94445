"""The clouds that have other vendors' models, and hosts that speak another vendor's dialect.

Each answers as the vendor does whose model it is, behind a door of its own: other paths, other
keys, other refusals. `azure.py`, `bedrock.py`, `vertex.py` and `hosts.py` have the doors;
`signature.py` and `tokens.py` check who asks; `converse.py` is Bedrock's own dialect.
"""

from collections.abc import Iterator

from starlette.routing import Route

from sandbox.vendors.clouds import azure, bedrock, hosts, tokens, vertex
from sandbox.vendors.clouds.door import Serve
from sandbox.vendors.clouds.identities import Identities


def routes(serve: Serve, known: Identities) -> Iterator[Route]:
    """Every path of theirs."""
    for door in (azure, bedrock, vertex):
        yield from door.routes(serve, known)
    yield from hosts.routes(serve)
    yield from tokens.routes(known)
