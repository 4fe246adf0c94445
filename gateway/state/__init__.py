"""What clients of Responses assume is kept: an answer, and what was asked, for a day.

Sealed, in Valkey, for STATE_HOURS; then nobody has it. Its customer can delete one, or have none
kept. A request that points at one (`previous_response_id`, `item_reference`) is made whole before
anything else looks at it, so that it costs what the whole costs, on any model. It knows accounts
by number and dialects not at all; start at `records.py`.
"""
