"""Where customers hear of what happens, beside the mails of their account: webhooks to their own
programs, Slack, Telegram, and a mail to each member who wants one.

`events.py` is the list of what can be heard, made of notices (billing/mails); start there.
`keeping.py` makes and changes channels, `deliveries.py` brings every event to each of them once,
with patience, by the means in `senders.py`. It may use mails and books.
"""
