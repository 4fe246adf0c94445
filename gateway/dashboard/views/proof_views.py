"""What anybody may check: a signed receipt, the keys that signed it, and the books as a whole."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.core.cache import cache
from django.db.models import Max, Q, Sum
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from redis.exceptions import RedisError

from billing.books.models import LedgerAccount, LedgerRoot, Transfer
from gateway.dashboard import signed_receipts
from gateway.dashboard.receipt_serializers import ReceiptSerializer
from hontoni import canonical, health, merkle, verify

_ROOTS_SHOWN, _ROOTS_LISTED = 24, 1000
_FRESH_SECONDS = 15
_MOST_BYTES = 1024 * 1024
_START = "from hontoni.verify import main\n\nraise SystemExit(main())\n"
FINDINGS = {
    ("signature", True): _("The signature is ours, and nothing was changed."),
    ("signature", False): _("The signature is not ours, or something was changed."),
    ("issuer", True): _("It says that we issued it."),
    ("issuer", False): _("It says that somebody else issued it."),
    ("lines", False): _("A line is not what its own numbers make."),
    ("total", True): _("The lines add up to the total."),
    ("total", False): _("The lines do not add up to the total."),
    ("charged", True): _("What was charged follows from the total."),
    ("charged", False): _("More was charged than the total."),
    ("ledger", True): _("Its path leads through a charge in the ledger to a root."),
    ("ledger", False): _("Its path leads nowhere."),
    ("ledger", None): _("It has no path to the ledger yet: roots are made every hour."),
    ("root", True): _("The root is one that we published."),
    ("root", False): _("The root is none that we published."),
    ("books", True): _("The books still say the same."),
    ("books", False): _("The books say something else by now: it was corrected since."),
}


class ReceiptForm(forms.Form):
    """A signed receipt, pasted or as a file."""

    text = forms.CharField(
        label=_("The signed receipt (JSON)"),
        required=False,
        max_length=_MOST_BYTES,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
    )
    file = forms.FileField(label=_("or its file"), required=False)

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        file = fields.get("file")
        raw = file.read(_MOST_BYTES) if file else str(fields.get("text", "")).encode()
        try:
            fields["document"] = json.loads(raw)
        except (ValueError, RecursionError):
            raise forms.ValidationError(_("This is no JSON.")) from None
        return fields


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def check(request: HttpRequest) -> HttpResponse:
    """Whether a receipt is ours and true. Nobody has to sign in, and nothing is kept."""
    form = ReceiptForm(request.POST or None, request.FILES or None)
    context: dict[str, Any] = {"form": form}
    if request.method == "POST" and form.is_valid():
        document = form.cleaned_data["document"]
        try:
            context |= _findings(document)
        except verify.Unreadable:
            form.add_error(None, _("This is no signed receipt."))
    return render(request, "gateway/verify.html", context)


def _findings(document: Any) -> dict[str, Any]:
    """Raises Unreadable."""
    proof = document.get("proof") if isinstance(document, dict) else None
    root_id = proof.get("root_id") if isinstance(proof, dict) else None
    listed = roots_of(root_id) if isinstance(root_id, int) else []
    found = verify.check(
        document, signed_receipts.keys(), {"roots": listed}, issuer=settings.PUBLIC_URL
    )
    good = all(each.good is not False for each in found)
    if good:
        still = signed_receipts.still(document["receipt"])
        found.append(verify.Finding("books", still, ""))
    return {
        "found": [{"good": each.good, "text": FINDINGS[each.name, each.good]} for each in found],
        "good": good,
        "receipt": document["receipt"],
        "sent_at": parse_datetime(document["receipt"]["created_at"]) if good else None,
    }


@require_safe
def program(request: HttpRequest) -> HttpResponse:
    """What checks a receipt, as one file that Python runs: for who does not have our source."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), _START)
        archive.writestr(zipfile.ZipInfo("hontoni/__init__.py"), "")
        for module in (canonical, merkle, verify):
            path = Path(str(module.__file__))
            archive.writestr(zipfile.ZipInfo(f"hontoni/{path.name}"), path.read_text())
    response = HttpResponse(packed.getvalue(), content_type="application/zip")
    response["Content-Disposition"] = 'attachment; filename="verify.pyz"'
    return response


@require_safe
def keys(request: HttpRequest) -> JsonResponse:
    """The public halves of all keys that ever signed."""
    return _open(signed_receipts.keys())


def _open(document: Any) -> JsonResponse:
    """For programs of anybody's, on pages of anybody's."""
    response = JsonResponse(document)
    response["Access-Control-Allow-Origin"] = "*"
    response["Content-Disposition"] = 'attachment; filename="hontoni.json"'
    return response


@require_safe
def proof(request: HttpRequest) -> HttpResponse:
    """The books this very moment, and the roots of the last day."""
    shown: dict[str, Any] | None = cache.get("proof")
    if shown is None:
        shown = _books()
        cache.set("proof", shown, _FRESH_SECONDS)
    recent = LedgerRoot.objects.order_by("-pk").defer("leaves", "salt")[:_ROOTS_SHOWN]
    return render(request, "gateway/proof.html", {**shown, "roots": list(recent)})


def _books() -> dict[str, Any]:
    """What all accounts add up to: nothing, if every transfer was booked on both sides."""
    customers = Sum("balance", filter=Q(code__startswith="wallet:"), default=0)
    ours = Sum("balance", filter=~Q(code__startswith="wallet:"), default=0)
    sums = LedgerAccount.objects.aggregate(customers=customers, ours=ours)
    try:
        last = health.reconciled()
    except RedisError:
        last = None
    return {
        "customers": sums["customers"],
        "ours": sums["ours"],
        "difference": sums["customers"] + sums["ours"],
        "last_transfer": Transfer.objects.aggregate(last=Max("pk"))["last"] or 0,
        "at": timezone.now(),
        "reconciled": last,
    }


@require_safe
def roots(request: HttpRequest) -> HttpResponse:
    """The published roots, the newest first: all of them by `before`, or one by `id`."""
    if number := request.GET.get("id"):
        return _open({"issuer": settings.PUBLIC_URL, "roots": roots_of(_whole(number))})
    found = LedgerRoot.objects.order_by("-pk")
    if before := request.GET.get("before"):
        found = found.filter(pk__lt=_whole(before))
    listed = [_root(each) for each in found.defer("leaves", "salt")[:_ROOTS_LISTED]]
    return _open({"issuer": settings.PUBLIC_URL, "roots": listed})


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 18):
        raise Http404
    return int(text)


def roots_of(number: int) -> list[dict[str, Any]]:
    if not 0 < number < 2**63:
        return []
    return [_root(each) for each in LedgerRoot.objects.filter(pk=number).defer("leaves", "salt")]


def _root(root: LedgerRoot) -> dict[str, Any]:
    return {
        "id": root.pk,
        "made_at": root.made_at.isoformat(),
        "first": f"txn_{root.first}",
        "last": f"txn_{root.last}",
        "transfers": root.transfers,
        "root": root.root,
        "chain": root.chain,
    }


@never_cache
@require_safe
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """A receipt that its owner shared, for whoever has the link."""
    found = signed_receipts.linked(token)
    if found is None:
        return render(request, "gateway/shared_gone.html", status=404)
    event, until = found
    if request.GET.get("as") == "json":
        return receipt_json(signed_receipts.document(event, timezone.now()))
    context = {
        "event": event,
        "receipt": ReceiptSerializer(event).data,
        "until": until,
        "shared": True,
    }
    response = render(request, "gateway/shared_receipt.html", context)
    response["X-Robots-Tag"] = "noindex"
    response["Referrer-Policy"] = "no-referrer"
    return response


def receipt_json(document: dict[str, Any]) -> HttpResponse:
    """The file that `python -m hontoni.verify` takes."""
    name = f"receipt-{document['receipt']['request_id']}.json"
    text = json.dumps(document, indent=1, ensure_ascii=False)
    response = HttpResponse(text, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
