"""Tokens: what vendors are asked for on behalf of customers, and what that uses.

Rooms, from the top: `plane` (one request's way), `dashboard` (what people see of it),
`reconciliation` (books proven), `usage` (what was used, and what of it was corrected),
`metering` (how much that is), `catalogue` (what is sold), `vendors` (who serves it), `dialects`
(the wire). Each imports only what stands below it; import-linter checks that.
"""
