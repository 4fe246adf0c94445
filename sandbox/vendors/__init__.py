"""The sandbox upstream: a simulator of the vendors that speaks all four upstream dialects.

It answers when no vendor key is configured, and it is the strict vendor of the test-suite: it
refuses what the vendors refuse. It stands alone, like a vendor: it imports nothing of ours.

Start reading at `app.py`. `script.py` explains how a prompt asks for a behaviour.
"""
