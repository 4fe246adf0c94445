"""/api/billing, /api/subscription and /webhooks/stripe: JSON in, one step below, JSON out.

A module for each field, with its serializers beside it. It knows neither `pages` nor `staff`:
what two doors need is a function in a room below.
"""
