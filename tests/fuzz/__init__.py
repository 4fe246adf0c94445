"""Bytes nobody would send, fed to every parser of ours: what may happen, and nothing else.

`make fuzz` runs each target under atheris (libFuzzer), guided by what it covers; the tests here
run them for a moment.
"""
