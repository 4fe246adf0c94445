"""SePay's e-invoices: made, issued, replaced, adjusted and handed out, one step after another.

Every request is done a moment later: `check` answers Pending the first time it is asked. Shapes
and refusals: developer.sepay.vn/en/einvoice-api/v1.
"""

import base64
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.sepay import invoice_lint
from sandbox.sepay.invoice_lint import ACCOUNT, Refusal

Object = dict[str, Any]


@dataclass
class Office:
    """Invoices by reference code, and what is being done by tracking code. `down`: answers 500;
    `fails`: the next is refused by the tax office; `loses`: the next of that path ("issue") is
    done, and its answer lost."""

    client_id: str
    client_secret: str
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    invoices: dict[str, Object] = field(default_factory=dict)
    jobs: dict[str, Object] = field(default_factory=dict)
    numbers: int = 0
    down: bool = False
    fails: str = ""
    loses: str = ""

    # -- What is asked for ---------------------------------------------------------------------

    def create(self, given: Object) -> Object:
        invoice_lint.check(given)
        return self._begin("create", self._keep(given, "new"), issue=not given["is_draft"])

    def replace(self, given: Object) -> Object:
        origin = self._origin(given)
        if origin["status"] == "replaced":
            raise Refusal(400, "The original invoice was replaced already.")
        invoice_lint.check(given)
        invoice_lint.check_reason(given)
        kept = self._keep(given, "replacement", origin)
        return self._begin("create", kept, issue=not given["is_draft"])

    def adjust(self, given: Object) -> Object:
        origin = self._origin(given)
        if origin["status"] == "replaced":
            raise Refusal(400, "The original invoice was replaced.")
        invoice_lint.check(given)
        invoice_lint.check_reason(given)
        invoice_lint.check_adjustment(given, origin)
        kept = self._keep(given, "adjustment", origin)
        return self._begin("create", kept, issue=not given["is_draft"])

    def issue(self, given: Object) -> Object:
        invoice = self.invoices.get(str(given.get("reference_code", "")))
        if invoice is None or invoice["status"] != "draft":
            raise Refusal(404, "Draft invoice not found.")
        invoice["status"] = "issuing"
        return self._begin("issue", invoice, issue=True)

    # -- What becomes of it --------------------------------------------------------------------

    def check(self, step: str, code: str) -> Object:
        job = self.jobs.get(code)
        if job is None or job["step"] != step:
            raise Refusal(404, "There is no such request.")
        if job["asked"] == 0:
            job["asked"] = 1
            return {"reference_code": job["invoice"]["reference_code"], "status": "Pending"}
        self._finish(job)
        shown = {"reference_code": job["invoice"]["reference_code"], "status": job["status"]}
        return shown | {"message": job["message"], "invoice": _shown(job["invoice"])}

    def show(self, code: str) -> Object:
        found = self.invoices.get(code)
        if found is None:
            raise Refusal(404, "There is no such invoice.")
        shown = _shown(found)
        for job in self.jobs.values():
            if job["invoice"] is found:
                self._finish(job)
        return shown

    def _finish(self, job: Object) -> None:
        invoice: Object = job["invoice"]
        if job["status"] != "Pending":
            return
        if self.fails:
            job["status"], job["message"] = "Failed", self.fails
            self.fails, invoice["status"] = "", "failed"
            return
        job["status"], job["message"] = "Success", "OK"
        if not job["issue"]:
            invoice["status"] = "draft"
            return
        self.numbers += 1
        invoice["status"], invoice["invoice_number"] = "issued", str(self.numbers)
        origin = invoice["origin"]
        if origin is not None and invoice["kind"] == "replacement":
            origin["status"] = "replaced"
        if origin is not None and invoice["kind"] == "adjustment":
            origin["adjusted"] += invoice["total_amount"]

    def download(self, code: str, type: str) -> Object:
        if type not in ("pdf", "xml"):
            raise Refusal(400, "type: pdf or xml")
        job = self.jobs.get(code)
        invoice = self.invoices.get(code) or (job and job["invoice"])
        if not invoice or invoice["status"] not in ("issued", "replaced"):
            raise Refusal(404, "There is no such invoice.")
        name = f"HD_{int(invoice['invoice_number']):07d}.{type}"
        content = _pdf(invoice) if type == "pdf" else _xml(invoice)
        coded = base64.b64encode(content).decode()
        return {"file_type": type, "file_name": name, "content": coded}

    # -- Behind it -----------------------------------------------------------------------------

    def _origin(self, given: Object) -> Object:
        origin = self.invoices.get(str(given.get("original_invoice_reference_code", "")))
        if origin is None or origin["account"] != given.get("provider_account_id"):
            raise Refusal(404, "The original invoice was not found.")
        if origin["status"] not in ("issued", "replaced"):
            raise Refusal(400, "The original invoice is not issued.")
        return origin

    def _keep(self, given: Object, kind: str, origin: Object | None = None) -> Object:
        code = str(given.get("reference_code") or uuid.uuid4())
        if code in self.invoices and self.invoices[code]["status"] != "failed":
            raise Refusal(400, "reference_code: it exists already.")
        net, tax = invoice_lint.sums(given)
        self.invoices[code] = {
            **{"reference_code": code, "kind": kind, "status": "pending", "invoice_number": "0"},
            **{"buyer": given["buyer"], "items": given["items"], "notes": given.get("notes", "")},
            **{"issued_date": given["issued_date"], "account": given["provider_account_id"]},
            **{"total_before_tax": net, "tax_amount": tax, "total_amount": net + tax},
            **{"origin": origin, "adjusted": 0, "given": given},
        }
        return self.invoices[code]

    def _begin(self, step: str, invoice: Object, *, issue: bool) -> Object:
        code = str(uuid.uuid4())
        self.jobs[code] = {
            **{"step": step, "invoice": invoice, "issue": issue, "asked": 0},
            **{"status": "Pending", "message": ""},
        }
        return {
            "tracking_code": code,
            "tracking_url": f"/v1/invoices/{step}/check/{code}",
            "message": "OK",
        }


_SHOWN = (
    *("reference_code", "invoice_number", "issued_date", "status", "buyer", "notes", "items"),
    *("total_before_tax", "tax_amount", "total_amount"),
)


def _shown(invoice: Object) -> Object:
    return {name: invoice[name] for name in _SHOWN} | {"pdf_url": None, "xml_url": None}


def _pdf(invoice: Object) -> bytes:
    said = f"Hoa don {invoice['invoice_number']}: {invoice['total_amount']} VND"
    return b"%PDF-1.4\n% " + said.encode() + b"\n%%EOF\n"


def _xml(invoice: Object) -> bytes:
    return (
        f"<HDon><SHDon>{invoice['invoice_number']}</SHDon><TgTCThue>{invoice['total_before_tax']}"
        f"</TgTCThue><TgTThue>{invoice['tax_amount']}</TgTThue><TgTTTBSo>"
        f"{invoice['total_amount']}</TgTTTBSo></HDon>"
    ).encode()


def _answer(body: Object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


Deed = Callable[[Request, Object], Object]


def routes(office: Office) -> list[Route]:
    """SePay's, and one control: what goes wrong next."""

    def door(path: str, deed: Deed, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            if office.down:
                return _answer({"success": False, "message": "Internal Server Error"}, 500)
            if request.headers.get("authorization") != f"Bearer {office.token}":
                return _answer({"success": False, "message": "Unauthorized"}, 401)
            body = await request.body()
            try:
                data = deed(request, orjson.loads(body) if body else {})
            except Refusal as refusal:
                said = {"success": False, "message": str(refusal)}
                return _answer(said, refusal.status)
            if office.loses and path == f"invoices/{office.loses}":
                office.loses = ""
                return _answer({"success": False, "message": "Bad Gateway"}, 502)
            return _answer({"success": True, "data": data})

        return Route(f"/v1/{path}", endpoint, methods=[method])

    async def token(request: Request) -> Response:
        pair = base64.b64encode(f"{office.client_id}:{office.client_secret}".encode()).decode()
        if office.down or request.headers.get("authorization") != f"Basic {pair}":
            return _answer({"success": False, "message": "Unauthorized"}, 401)
        shown = {"access_token": office.token, "token_type": "Bearer", "expires_in": 86400}
        return _answer({"success": True, "data": shown})

    async def control(request: Request) -> Response:
        given = orjson.loads(await request.body())
        office.down, office.fails = bool(given.get("down")), str(given.get("fails", ""))
        office.loses = str(given.get("loses", ""))
        return _answer({"down": office.down, "fails": office.fails, "loses": office.loses})

    def account(request: Request, _given: Object) -> Object:
        if request.path_params["id"] != ACCOUNT["id"]:
            raise Refusal(404, "There is no such account.")
        return ACCOUNT

    def one(request: Request, _given: Object) -> Object:
        return office.show(request.path_params["code"])

    def file(request: Request, _given: Object) -> Object:
        return office.download(request.path_params["code"], request.query_params.get("type", ""))

    def check(step: str) -> Deed:
        return lambda request, _given: office.check(step, request.path_params["code"])

    return [
        Route("/v1/token", token, methods=["POST"]),
        Route("/__control/einvoices", control, methods=["POST"]),
        door("provider-accounts/{id}", account),
        door("usage", lambda *_: {"quota_remaining": 1000}),
        door("invoices/create", lambda _, given: office.create(given), "POST"),
        door("invoices/replace", lambda _, given: office.replace(given), "POST"),
        door("invoices/adjust", lambda _, given: office.adjust(given), "POST"),
        door("invoices/issue", lambda _, given: office.issue(given), "POST"),
        door("invoices/create/check/{code}", check("create")),
        door("invoices/issue/check/{code}", check("issue")),
        door("invoices/{code}/download", file),
        door("invoices/{code}", one),
    ]
