"""What clients write, in whatever dialect's words: parts, turns, tools and the choice among them.

Clients mix the dialects: Cursor posts Anthropic's blocks to Chat's path, histories were written by
another gateway, frameworks send Chat's messages as Responses' input. The words of the three
dialects do not collide, so there is one reader for all of them, and every path understands what
any other does. What is said once a body (limits, sampling, formats) is each codec's own.

* `parts`: what stands in a message
* `turns`: messages and items
* `tools`: tools, and the choice among them
* `foreign`: whether a body keeps to the words of its path's dialect
"""
