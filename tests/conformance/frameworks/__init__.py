"""Frameworks that agents are made of, each in an environment of its own: what is installed, a
driver that does the same four things with it, and what they must come to."""
