"""Counters: windows, slots, holds and what was charged, of subjects that are only names here.

Knows no user, no plan and no model, and has no tables. One script in Valkey decides (`lua/`),
called by `limiter`; `purses` counts money, `rebuilding` and `epochs` bring a store back that was
lost, `headers` and `answers` say to clients where they stand. Start with `limiter.py`.
"""
