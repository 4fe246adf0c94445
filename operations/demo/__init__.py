"""A business to look at: two hundred customers and their last weeks, made up in a minute.

What happens to them is done by the domains themselves, as it would have been done then: the clock
of this process and that of the simulated Stripe are put back (`clock.py`) and go through the days
in order (`weeks.py`). So the books balance because nothing went past them. `people.py` says who
they are, `purchases.py` what they pay, `traffic.py` what they ask for.
"""
