"""What all apps stand on, and what starts them: settings, wiring and processes, and tools that
know no app (money, errors, Redis, logs, storage).

Start with `settings.py` (declared in `options.py`) and `asgi.py`; `supervisor.py` is `make run`.
import-linter checks that no tool imports an app.
"""
