"""Check a signed receipt: `python -m hontoni.verify receipt.json`.

Needs neither an account nor the product: this file, canonical.py, merkle.py and the package
`cryptography`. Four things are checked, and each is said:

* the signature is by a key that the issuer publishes at /.well-known/hontoni-receipts.json;
* every line is tokens x price x factor, and the lines add up to the total, rounded once;
* the path in the receipt leads to the root of the ledger it names, if it has been booked yet;
* that root is among those the issuer publishes at /proof.json.

`--keys` and `--roots` take these two documents from files, so that it works without a network and
with copies kept earlier. `--issuer` says who must have signed: without it, whom the receipt names
is asked, so look whom it names. Exit status: 0 good, 1 not, 2 it could not be checked.
"""

import argparse
import base64
import json
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hontoni import canonical, merkle

KEYS, ROOTS = "/.well-known/hontoni-receipts.json", "/proof.json"
TYPE = "hontoni.receipt"
_MOST_BYTES = 8 * 1024 * 1024
_EXACT = Context(prec=60)
# What a document that is not ours, or made to confuse us, runs into.
_ODD = (KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)
_BILLIONTH = Decimal("0.000000001")


class Unreadable(ValueError):
    """This is no signed receipt, or no list of keys or roots."""


@dataclass(frozen=True)
class Finding:
    """One thing that was checked. `name` is for programs, `text` for people; `good` is None where
    there was nothing to check yet."""

    name: str
    good: bool | None
    text: str


def check(document: Any, keys: Any, roots: Any = None, issuer: str | None = None) -> list[Finding]:
    """Everything about a signed receipt. Raises Unreadable."""
    try:
        if document["type"] != TYPE:
            raise Unreadable(f"This is no {TYPE}.")
        findings = [_signed(document, keys), *_adds_up(document["receipt"])]
        if issuer is not None:
            named = str(document["issuer"])
            findings.insert(0, Finding("issuer", named == issuer, f"It is issued by {named}."))
        return [*findings, *_booked(document, roots)]
    except _ODD as error:
        raise Unreadable(f"This is no signed receipt: {error!r}.") from error


def _signed(document: Any, keys: Any) -> Finding:
    """Ed25519 over the canonical JSON of all but the signature itself."""
    signature = document["signature"]
    known = {key["kid"]: key["x"] for key in keys["keys"]}
    if signature["algorithm"] != "Ed25519" or signature["key_id"] not in known:
        return Finding("signature", False, f"{document['issuer']} has no such key.")
    public = Ed25519PublicKey.from_public_bytes(_decoded(known[signature["key_id"]]))
    said = {name: value for name, value in document.items() if name != "signature"}
    try:
        public.verify(_decoded(signature["value"]), canonical.encode(said))
    except (InvalidSignature, ValueError):
        return Finding("signature", False, "The signature does not fit: it was changed.")
    return Finding("signature", True, f"Signed by {document['issuer']}, nothing was changed.")


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise Unreadable(f"This is no base64: {text[:20]!r}.") from error


def _adds_up(receipt: Any) -> Iterator[Finding]:
    """Lines are exact; their sum is rounded half up, once."""
    wrong = [
        at for at, line in enumerate(receipt["lines"], 1) if _cost(line) != _number(line["cost"])
    ]
    if wrong:
        yield Finding("lines", False, f"Line {wrong[0]} is not what its numbers make.")
        return
    exact = Decimal(0)
    for line in receipt["lines"]:
        exact = _EXACT.add(exact, _number(line["cost"]))
    total = exact.quantize(_BILLIONTH, ROUND_HALF_UP, _EXACT)
    good = total == _number(receipt["total"])
    yield Finding("total", good, f"The lines add up to ${receipt['total'] if good else total}.")
    yield from _explained(receipt)


def _cost(line: Any) -> Decimal:
    if line["kind"] == "calls":
        return _EXACT.multiply(Decimal(line["calls"]), _number(line["price_per_call"]))
    tokens = _EXACT.multiply(Decimal(line["tokens"]), _number(line["price_per_million_tokens"]))
    return _EXACT.multiply(tokens, _number(line["factor"])).scaleb(-6, _EXACT)


def _number(text: Any) -> Decimal:
    if not isinstance(text, str):
        raise TypeError(f"an amount is text: {text!r}")
    return Decimal(text)


def _explained(receipt: Any) -> Iterator[Finding]:
    """Something else than the total is charged by a rule of fair billing, or a correction."""
    charged = _number(receipt["charged"])
    if charged == _number(receipt["total"]):
        yield Finding("charged", True, f"${receipt['charged']} was charged: the total.")
        return
    why = receipt["rule"] or ("corrected" if receipt["corrections"] else "given")
    less = charged < _number(receipt["total"])
    said = f"${receipt['charged']} was charged in place of ${receipt['total']} ({why})."
    yield Finding("charged", less or bool(receipt["corrections"]), said)


def _booked(document: Any, roots: Any) -> Iterator[Finding]:
    """From the request to the charge in the ledger, and from there to a published root."""
    proof, receipt = document["proof"], document["receipt"]
    if proof is None:
        yield Finding(
            "ledger", None, "It has no path to the ledger: none was charged, or not yet."
        )
        return
    request = {"request_id": receipt["request_id"], "charged": receipt["settlement"]["charged"]}
    try:
        batch = merkle.climb(
            merkle.leaf(request, bytes.fromhex(proof["request"]["nonce"])),
            proof["request"]["path"],
        )
        charge = proof["charge"]
        start = merkle.leaf(charge["transfer"], bytes.fromhex(charge["nonce"]))
        root = merkle.climb(start, charge["path"]).hex()
    except ValueError as error:
        raise Unreadable(f"This is no path: {error}.") from error
    good = charge["transfer"]["requests"] == batch.hex() and root == proof["root"]
    text = f"It is part of the charge {charge['transfer']['id']} in the ledger."
    yield Finding("ledger", good, text if good else "Its path leads elsewhere.")
    if roots is not None:
        yield _published(proof["root"], roots)


def _published(root: str, roots: Any) -> Finding:
    found = next((each for each in roots["roots"] if each["root"] == root), None)
    if found is None:
        return Finding("root", False, "The issuer does not publish the root it leads to.")
    return Finding("root", True, f"Its root is published since {found['made_at']}.")


# -- The command ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m hontoni.verify", description="Check a receipt."
    )
    parser.add_argument("receipt", help="the file, or - for what is piped in")
    parser.add_argument(
        "--issuer", help="who must have issued it, such as https://hontoni.example"
    )
    parser.add_argument("--keys", help=f"{KEYS} as a file, in place of asking the issuer")
    parser.add_argument("--roots", help=f"{ROOTS} as a file, likewise")
    options = parser.parse_args(arguments)
    try:
        document = _read(options.receipt)
        issuer = options.issuer.rstrip("/") if options.issuer else None
        origin = issuer or _origin(document)
        keys = _read(options.keys) if options.keys else _fetch(origin + KEYS)
        findings = check(document, keys, _roots(document, options.roots, origin), issuer)
    except (OSError, ValueError, HTTPException, *_ODD) as error:
        print(f"It cannot be checked: {error}", file=sys.stderr)  # noqa: T201
        return 2
    for finding in findings:
        mark = {True: "good", False: "BAD", None: "-"}[finding.good]
        print(f"{mark:5}{finding.text}")  # noqa: T201
    return 1 if any(finding.good is False for finding in findings) else 0


def _roots(document: Any, file: str | None, origin: str) -> Any:
    proof = document.get("proof") if isinstance(document, dict) else None
    if file or not proof:
        return _read(file) if file else None
    return _fetch(f"{origin}{ROOTS}?id={int(proof['root_id'])}")


def _origin(document: Any) -> str:
    named = document.get("issuer", "") if isinstance(document, dict) else ""
    if urlsplit(str(named)).scheme not in ("http", "https"):
        raise Unreadable("It names no issuer.")
    return str(named)


def _read(name: str) -> Any:
    raw = sys.stdin.buffer.read(_MOST_BYTES) if name == "-" else Path(name).read_bytes()
    return json.loads(raw)


def _fetch(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:  # its scheme was checked
        return json.loads(answer.read(_MOST_BYTES))


if __name__ == "__main__":
    sys.exit(main())
