"""The pages under /billing: a form in, one step of a room below, a page out.

A module of views for each field, with its forms beside it. It knows neither `api` nor `staff`:
what two doors need is a function in a room below.
"""
