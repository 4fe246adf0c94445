"""Requests of editors that cannot be run without a screen, in the shapes that public reports of
gateways quote (each file names its source). Of Windsurf none was found: its row is missing."""
