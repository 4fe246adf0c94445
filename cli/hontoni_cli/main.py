"""`hontoni`: what can be asked of it. Exit status: 0 good, 1 not, 2 it could not be done."""

import argparse
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hontoni_cli import doctor, login, setup
from hontoni_cli.clients import CLIENTS
from hontoni_cli.gateway import Failed
from hontoni_cli.setup import Wanted


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):  # some terminals know few characters
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    options, rest = _parser().parse_known_args(arguments)
    if rest and options.command != "verify":
        _parser().error(f"what is {rest[0]}?")
    options.rest = rest
    run: Callable[[Any], int] = options.run
    try:
        return run(options)
    except (Failed, OSError) as failed:
        if not isinstance(failed, BrokenPipeError):
            print(failed, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hontoni", description=__doc__.partition(".")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[Any], int], about: str) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=about, description=about)
        found.set_defaults(run=run)
        return found

    command("login", _login, "sign in, by a code that you type on a page").add_argument("url")
    command("logout", _logout, "end the sign-in")
    made = command("setup", _setup, "point a tool at the gateway: shows, asks, backs up")
    made.add_argument("tool", choices=CLIENTS)
    made.add_argument("--model", default="", help="another than our choice")
    made.add_argument("--key", default="", help="a key that you have, in place of a new one")
    made.add_argument("--url", default="", help="with --key: the gateway's address")
    made.add_argument("--yes", action="store_true", help="do not ask")
    undone = command("undo", _undo, "make a tool's settings as they were before")
    undone.add_argument("tool", choices=CLIENTS)
    undone.add_argument("--force", action="store_true", help="even if they were changed since")
    used = command("usage", _usage, "what was used and paid")
    used.add_argument("--by", choices=("day", "model", "key", "member"), default="day")
    used.add_argument("--from", dest="first", help="the first day (UTC), such as 2026-11-01")
    used.add_argument("--to", dest="last", help="the last day")
    receipt = command("receipt", _receipt, "one request, line by line")
    receipt.add_argument("request_id")
    receipt.add_argument("--save", type=Path, help="the signed receipt, for verify")
    checked = command("verify", _verify, "whether a signed receipt is true")
    checked.add_argument("file")
    looked = command("doctor", _doctor, "whether tools reach the gateway, end to end")
    looked.add_argument("tool", nargs="?", choices=CLIENTS)
    looked.add_argument("--free", action="store_true", help="nothing that costs")
    return parser


def _login(options: Any) -> int:
    login.login(options.url, print)
    return 0


def _logout(_: Any) -> int:
    login.logout(print)
    return 0


def _setup(options: Any) -> int:
    wanted = Wanted(options.url, options.key, options.model)
    agreed = (lambda question: True) if options.yes else _ask
    setup.set_up(CLIENTS[options.tool], wanted, print, agreed)
    return 0


def _ask(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _undo(options: Any) -> int:
    setup.undo(CLIENTS[options.tool], print, force=options.force)
    return 0


def _usage(options: Any) -> int:
    query = {"group_by": options.by, "from": options.first, "to": options.last}
    found = login.gateway().get("/api/usage/summary", **query)
    name = {"key": "key_id"}.get(options.by, options.by)
    rows = [*found["data"], {name: "total", **found["total"]}]
    print(f"{options.by:<32}{'requests':>10}{'input':>14}{'output':>14}{'dollars':>16}")
    for row in rows:
        counts = f"{row['requests']:>10}{row['input_tokens']:>14}{row['output_tokens']:>14}"
        print(f"{row[name]!s:<32}{counts}{row['cost']:>16}")
    return 0


def _receipt(options: Any) -> int:
    document = login.gateway().get(f"/api/usage/{options.request_id}/signed")
    receipt = document["receipt"]
    print(f"{receipt['request_id']}  {receipt['model']}  {receipt['created_at']}")
    for line in receipt["lines"]:
        print(f"  {_line(line):<60}{line['cost']:>16}")
    print(f"  {'charged':<60}{receipt['charged']:>16}")
    if options.save:
        options.save.write_text(
            json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8"
        )
        print(f"Kept in {options.save}: hontoni verify {options.save}")
    return 0


def _line(line: Any) -> str:
    if line["kind"] == "calls":
        return f"{line.get('feature', line['kind'])}: {line['calls']} x {line['price_per_call']}"
    price = line["price_per_million_tokens"]
    return f"{line.get('bucket', line['kind'])}: {line['tokens']} x {price} a million"


def _verify(options: Any) -> int:
    from hontoni import verify

    return verify.main([options.file, *options.rest])


def _doctor(options: Any) -> int:
    known = [CLIENTS[options.tool]] if options.tool else [c for c in CLIENTS.values() if c.read()]
    if not known:
        print("No tool is set up: hontoni setup claude-code")
        return 1
    good = [doctor.check(client, print, free=options.free) for client in known]
    return 0 if all(good) else 1
