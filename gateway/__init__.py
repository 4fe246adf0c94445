"""Tokens: what vendors are asked for on behalf of customers, and what that uses.

Rooms, from the top: `metrics` (for Prometheus) and `mcp` (the account as tools of an agent),
`plane` (one request's way) and `dashboard` (what people see of it), `pricing` (how prices come
about), `reconciliation` (books proven), `archive` (usage of long ago), `stores` (database and
Valkey as one), `state` (answers that are kept for a day), `batches` (requests sent as a file),
`usage` (what was used, and what of it was corrected), `metering` (how much that is), `catalogue`
(what is sold), `vendors` (who serves it), `dialects` (the wire). Each imports only what stands
below it; import-linter checks that. A request starts in `plane/pipeline.py`.
"""
