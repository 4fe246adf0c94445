"""A report into bills: in one transaction, so whole or not at all.

A bill is one vendor's, account's, key's (or scope's), model's and day's. The same report again
changes nothing; a newer one replaces what an older one said of the same bills. Every import is
kept: from where, when, by whom, and the hash of what was read.
"""

import hashlib
from collections.abc import Iterable

from django.db import transaction

from gateway.reconciliation.vendors import formats
from gateway.reconciliation.vendors.formats.report import BadReport, Line, Report
from gateway.reconciliation.vendors.models import DEFAULT_ACCOUNT, VendorBill, VendorImport
from gateway.reconciliation.vendors.vendor_names import Names
from gateway.usage.vendor_day import COUNTED

_IDENTITY = ("vendor", "account", "scope", "key", "vendor_model", "day")
_USAGE = (*COUNTED, "calls", "requests", "usage_import")
_COSTS = ("dollars", "costs", "cost_import")


def read_file(data: bytes, *, name: str, by: str, account: str = DEFAULT_ACCOUNT) -> VendorImport:
    """Import a file: a saved answer of a vendor's, or an export. Raises BadReport."""
    report = formats.read(data)
    source, sha256 = name[-300:], hashlib.sha256(data).hexdigest()
    form = "json" if data.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"[") else "csv"
    return keep(report, account=account, source=source, form=form, sha256=sha256, by=by)


@transaction.atomic
def keep(
    report: Report,
    *,
    account: str,
    source: str,
    form: str,
    sha256: str,
    by: str,
    complete: bool = False,
) -> VendorImport:
    """Write a report's bills. `complete`: it tells all there is of its days, so what it no longer
    names is gone. Raises BadReport."""
    if not report.days:
        raise BadReport("It has no days.")
    first, last = min(report.days), max(report.days)
    found = VendorImport.objects.create(
        vendor=report.vendor,
        account=account,
        kind=report.kind,
        form=form,
        source=source,
        sha256=sha256,
        first_day=first,
        last_day=last,
        rows=len(report.lines),
        changed=0,
        by=by,
    )
    known = {
        _identity(bill): bill
        for bill in VendorBill.objects.filter(
            vendor=report.vendor, account=account, day__in=report.days
        ).select_related("usage_import", "cost_import")
    }
    bills = [_bill(line, report, account, known, found) for line in report.lines]
    named = {_identity(bill) for bill in bills}
    others = [bill for identity, bill in known.items() if identity not in named]
    emptied = list(_emptied(others, bills, report, found, complete=complete))
    changed = [bill for bill in (*bills, *emptied) if _differs(bill, known.get(_identity(bill)))]
    _write([*bills, *emptied], report)
    VendorImport.objects.filter(pk=found.pk).update(changed=len(changed))
    found.changed = len(changed)
    return found


def _identity(bill: VendorBill) -> tuple[object, ...]:
    return tuple(getattr(bill, name) for name in _IDENTITY)


def _bill(
    line: Line,
    report: Report,
    account: str,
    known: dict[tuple[object, ...], VendorBill],
    found: VendorImport,
) -> VendorBill:
    """The bill as this line has it; what the report does not tell of stays as it was."""
    bill = VendorBill(
        vendor=report.vendor,
        account=account,
        scope=line.scope[:200],
        key=line.key[:200],
        vendor_model=line.model[:200],
        day=line.day,
    )
    if before := known.get(_identity(bill)):
        for name in (*_USAGE, *_COSTS):
            setattr(bill, name, getattr(before, name))
    if report.usage:
        for name in report.units:
            setattr(bill, name, line.calls if name == "calls" else line.tokens.get(name, 0))
        bill.usage_import = found
        if line.requests is not None or "calls" not in report.units:
            bill.requests = line.requests
    if report.costs:
        bill.dollars, bill.costs = sum(line.costs.values()), line.costs
        bill.cost_import = found
    return bill


def _emptied(
    others: Iterable[VendorBill],
    bills: Iterable[VendorBill],
    report: Report,
    found: VendorImport,
    *,
    complete: bool,
) -> Iterable[VendorBill]:
    """Bills this report does not name although it tells of the same: it is complete, or it calls
    the keys otherwise than the older report, which was of another form (names, not ids)."""
    names = Names(found.first_day, found.last_day)

    def means(bill: VendorBill) -> tuple[object, ...]:
        credential = names.credential(bill.vendor, bill.key, bill.scope)
        model = names.model(bill.vendor_model) or bill.vendor_model
        return credential, model, bill.day

    given = {means(bill) for bill in bills}
    for bill in others:
        last = bill.usage_import if report.usage else bill.cost_import
        if last is None or not (complete or last.form != found.form and means(bill) in given):
            continue
        emptied = VendorBill(**{name: getattr(bill, name) for name in (*_IDENTITY, *_USAGE)})
        for name in _COSTS:
            setattr(emptied, name, getattr(bill, name))
        if report.usage:
            for name in report.units:
                setattr(emptied, name, 0)
            emptied.requests, emptied.usage_import = None, found
        if report.costs:
            emptied.dollars, emptied.costs, emptied.cost_import = 0, {}, found
        yield emptied


def _differs(bill: VendorBill, before: VendorBill | None) -> bool:
    numbers = (*COUNTED, "calls", "requests", "dollars", "costs")
    return before is None or any(getattr(bill, n) != getattr(before, n) for n in numbers)


def _write(bills: list[VendorBill], report: Report) -> None:
    given = (*(_USAGE if report.usage else ()), *(_COSTS if report.costs else ()))
    VendorBill.objects.bulk_create(
        bills,
        batch_size=500,
        update_conflicts=True,
        unique_fields=_IDENTITY,
        update_fields=given,
    )
