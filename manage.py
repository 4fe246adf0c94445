#!/usr/bin/env python
"""Django's command line, with the settings of `make run`; settlement has fewer apps to load."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hontoni.settings")
    if sys.argv[1:2] == ["settle"] and os.environ["DJANGO_SETTINGS_MODULE"] == "hontoni.settings":
        os.environ["DJANGO_SETTINGS_MODULE"] = "hontoni.settlement_settings"
    execute_from_command_line(sys.argv)
