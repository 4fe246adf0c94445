"""What the vendors bill us, beside what we booked, and what is left of it.

* `models`: the vendors' bills, where they came from, and our own days beside them
* `formats`: the vendors' reports as they document them, in JSON and CSV
* `intake`: a report into bills, whole or not at all
* `report_fetching`: reports from the vendors themselves
* `vendor_names`: the vendors' names of models and keys, as ours
* `booked`: what we booked, by the credential that served, written as usage is settled
* `places`: one credential's model on one day, as either side has it
* `tool_calls`: what vendors bill of hosted tools, given to the models that called them
* `comparison`: the difference, in named parts, and the rest that nobody explains
* `warnings`: staff are told of a rest that is too big, once
* `earnings`: revenue less the vendors' bills, by model, day and customer

It reads the books and moves no money.
"""
