"""`make run` from a fresh clone, as a newcomer meets it: nothing but a URL and a shell."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests import prepared
from tests.ports import free_port
from tests.waiting import until

ROOT = Path(__file__).parent.parent
PASSWORD = "correct horse battery"
PATIENCE = 90  # seconds: for a machine that is busy with other things

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a newcomer has after `git clone`; packages are installed already."""
    there = tmp_path_factory.mktemp("newcomer") / "hontoni"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(there)], check=True)
    os.utime(there / "requirements.txt", (0, 0))  # older than the virtualenv's marker
    return there


class Copy:
    """One `make run` in a process group of its own, as a shell would start it."""

    def __init__(self, clone: Path, home: Path, **settings: str) -> None:
        home.mkdir(exist_ok=True)
        self.clone, self.data_dir, self.port = clone, home / "data", free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "output"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            **settings,
        }

    def start(self) -> None:
        self.began = time.monotonic()
        with self.log.open("wb") as output:
            self.make = subprocess.Popen(
                self._command("run"),
                cwd=self.clone,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def ready(self) -> float:
        """Seconds until it said so."""
        until(lambda: "ready on" in self.output or self.make.poll() is not None, self.output)
        assert self.make.poll() is None, self.output
        return time.monotonic() - self.began

    def manage(self, command: str) -> subprocess.CompletedProcess[str]:
        words = self._command("manage", f"CMD={command}")
        return subprocess.run(
            words, cwd=self.clone, env=self.environment, capture_output=True, text=True
        )

    def shell(self, code: str) -> None:
        """What staff would do in the admin."""
        command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", code]
        subprocess.run(command, cwd=self.clone, env=self.environment, check=True)

    def _command(self, *words: str) -> list[str]:
        return ["make", "--no-print-directory", *words, f"VENV={sys.prefix}"]

    @property
    def output(self) -> str:
        return self.log.read_text()

    def processes(self) -> dict[int, str]:
        """Every process of this copy, by its environment; where there is no /proc: none."""
        mine, found = f"DATA_DIR={self.data_dir}\0".encode(), {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mine in (folder / "environ").read_bytes() + b"\0":
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if command:  # a zombie has none
                        found[int(folder.name)] = command
            except OSError:
                continue
        return found

    def pid(self, word: str) -> int:
        (pid,) = (pid for pid, command in self.processes().items() if word in command)
        return pid

    def is_private(self) -> bool:
        """Nobody else on the machine reads the database, Valkey's file or the secret."""
        made = [self.data_dir, *self.data_dir.rglob("*")]
        assert len(made) > 4
        return not any(path.lstat().st_mode & 0o077 for path in made if path.exists())

    def http(self, token: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def ended(self) -> int:
        """The exit status. Nothing is left: no process, no port, no socket, no traceback."""
        status = self.make.wait(PATIENCE)
        assert self.processes() == {}
        assert not (self.data_dir / "valkey.sock").exists()
        assert "Traceback" not in self.output, self.output
        with socket.create_server(("127.0.0.1", self.port)):
            return status

    def press_control_c(self) -> int:
        """As a terminal sends it: to make and to all it has in its group, at once."""
        os.killpg(self.make.pid, signal.SIGINT)
        status = self.ended()
        assert "stopped" in self.output
        return status

    def terminate(self) -> int:
        os.kill(self.pid("-m hontoni.watching"), signal.SIGTERM)
        status = self.ended()
        assert f"stopped; {self.url} is free again" in self.output
        return status

    def destroy(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.make.wait()


@contextmanager
def running(clone: Path, home: Path, *, fresh: bool = False, **settings: str) -> Iterator[Copy]:
    """Until it is ready; a `fresh` one has nothing before its first start."""
    copy = Copy(clone, home, **settings)
    if not fresh:
        prepared.install(copy.data_dir)
    copy.start()
    try:
        copy.ready()
        yield copy
    finally:
        copy.destroy()


class Newcomer:
    """Signs up, makes a key, and keeps every receipt."""

    def __init__(self, copy: Copy, email: str) -> None:
        self.copy, self.email = copy, email
        body = {"email": email, "password": PASSWORD, "name": "New"}
        with copy.http() as http:
            registered = http.post("/api/auth/register", json=body)
        assert registered.status_code == 201, registered.text
        self.api = copy.http(registered.json()["access_token"])
        made = self.api.post("/api/keys", json={"name": "laptop"})
        assert made.status_code == 201, made.text
        self.key: str = made.json()["key"]
        self.openai = openai.OpenAI(api_key=self.key, base_url=f"{copy.url}/v1", max_retries=0)
        self.anthropic = anthropic.Anthropic(api_key=self.key, base_url=copy.url, max_retries=0)

    def confirm(self) -> None:
        """Follow the link in the mail, which the sandbox prints."""

        def link() -> str:
            letters = self.copy.output.split("Subject: ")
            mine = [letter for letter in letters if f"To: {self.email}" in letter]
            found = re.findall(r"/account/confirm-email/[^\s\"<]+", "".join(mine))
            return str(found[-1]) if found else ""

        path = until(link, f"no mail to {self.email}")
        with self.copy.http() as http:
            page = http.get(path)
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
            assert token is not None
            answer = http.post(path, data={"csrfmiddlewaretoken": token[1], "password": PASSWORD})
        assert answer.status_code == 302, (path, answer.text, self.copy.output)

    def balance(self) -> dict[str, Decimal]:
        found = self.api.get("/api/billing/balance").json()
        return {name: Decimal(found[name]) for name in ("balance", "held", "available")}

    def top_up(self, amount: str) -> None:
        answer = self.api.post(
            "/api/billing/topup", json={"amount": amount}, headers={"Idempotency-Key": "first"}
        )
        assert answer.status_code in (200, 201), answer.text

    def receipt(self, request_id: str) -> dict[str, Any]:
        """Once the worker has written it into the books."""

        def written() -> Any:
            answer = self.api.get(f"/api/usage/{request_id}")
            return answer.json() if answer.status_code == 200 else None

        found: dict[str, Any] = until(written, f"no receipt of {request_id}")
        lines = sum(Decimal(line["cost"]) for line in found["lines"])
        assert lines == Decimal(found["total"]) == Decimal(found["charged"]) > 0
        return found

    def close(self) -> None:
        for client in (self.api, self.openai, self.anthropic):
            client.close()


def _ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


def _chat(someone: Newcomer, stream: bool) -> tuple[str, int, int]:
    """Request id, tokens in and tokens out, as the SDK tells them."""
    options: Any = {"stream_options": {"include_usage": True}} if stream else {}
    raw = someone.openai.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=_ask("[[say: a few words]]"), stream=stream, **options
    )
    assert raw.headers["x-hontoni-sandbox"] == "true"
    reply: Any = raw.parse()
    usage = list(reply)[-1].usage if stream else reply.usage
    return raw.headers["x-request-id"], usage.prompt_tokens, usage.completion_tokens


def _messages(someone: Newcomer, stream: bool) -> tuple[str, int, int]:
    raw: Any = someone.anthropic.messages.with_raw_response.create(
        model="claude-sonnet-4",
        max_tokens=200,
        messages=_ask("[[say: a few words]]"),
        stream=stream,
    )
    reply = raw.parse()
    if not stream:
        return raw.headers["request-id"], reply.usage.input_tokens, reply.usage.output_tokens
    events = list(reply)
    first = next(e for e in events if e.type == "message_start").message.usage
    last = next(e for e in events if e.type == "message_delta").usage
    return raw.headers["request-id"], first.input_tokens, last.output_tokens


def _banner(http: httpx.Client, path: str) -> None:
    page = http.get(path, follow_redirects=True)
    assert page.status_code == 200
    assert re.search("sandbox", page.text, re.IGNORECASE), f"{path} has no banner"


def test_a_newcomer_sees_exactly_what_was_charged(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(clone, tmp_path, fresh=True) as copy:
        assert copy.is_private()
        assert not (copy.data_dir / "backups").exists()  # of nothing
        empty = copy.ready()
        with copy.http() as http:
            assert http.get("/healthz").json() == {"status": "ok"}
            assert http.get("/readyz").json()["status"] == "ok"
            for path in ("/", "/api/docs", "/account/login/", "/admin/login/"):
                _banner(http, path)
        someone = Newcomer(copy, "new@example.com")
        assert someone.balance()["balance"] == 0
        someone.confirm()
        someone.top_up("7.5")
        credited = copy.manage("credit new@example.com 25 --reason test")
        assert credited.returncode == 0, credited.stderr
        charged = Decimal(0)
        for call in (_chat, _messages):
            for stream in (False, True):
                request_id, tokens_in, tokens_out = call(someone, stream)
                receipt = someone.receipt(request_id)
                assert receipt["input"] + receipt["cache_read"] == tokens_in
                assert receipt["output"] + receipt["reasoning"] == tokens_out
                assert (receipt["estimated"], receipt["stream"]) == (False, stream)
                charged += Decimal(receipt["charged"])
        expected = Decimal(5) + Decimal("7.5") + 25 - charged
        assert someone.balance() == {"balance": expected, "held": 0, "available": expected}
        proved = copy.manage("reconcile")
        assert proved.returncode == 0, proved.stderr
        assert copy.terminate() == 0

        copy.start()  # again, on the same data
        warm = copy.ready()
        assert someone.balance()["balance"] == expected
        _chat(someone, stream=True)
        copy.press_control_c()
        someone.close()
    with capsys.disabled():  # goals, no verdicts: 20 s on an empty folder, 5 s on a used one
        sys.stdout.write(f"\nmake run: ready after {empty:.1f} s empty, {warm:.1f} s warm\n")


def _billing_rows() -> set[tuple[str, str]]:
    """Method and path of every row under "Billing Endpoints" of the public documentation."""
    return {
        ("GET", "/api/billing/balance"),
        ("POST", "/api/billing/topup"),
        ("POST", "/api/billing/topup/checkout"),
        ("POST", "/api/billing/topup/intent"),
        ("GET", "/api/billing/transactions"),
        ("GET", "/api/billing/invoices"),
        ("GET", "/api/billing/invoices/:id/pdf"),
        ("GET", "/api/billing/referral"),
        ("POST", "/api/billing/referral"),
        ("POST", "/api/billing/promo-code"),
    }


PROMO = """
from django.utils import timezone
from billing.models import PromoCode
from hontoni.money import nanos
PromoCode.objects.create(code="WELCOME", kind="credit", amount=nanos("3"), max_uses=1,
                         valid_from=timezone.now())
"""


def _pay(url: str) -> None:
    """On the page of the simulated Stripe, as a customer's browser does."""
    with httpx.Client(timeout=30) as browser:
        paid = browser.post(url, data={"card": "pm_card_visa", "email": "new@example.com"})
    assert paid.status_code == 303, paid.text


def _pdf(someone: Newcomer, invoice: str) -> bytes:
    url = someone.api.get(f"/api/billing/invoices/{invoice}/pdf").json()["url"]
    with httpx.Client(timeout=30) as browser:
        return browser.get(url, follow_redirects=True).content


def test_every_billing_endpoint_answers_a_newcomer(clone: Path, tmp_path: Path) -> None:
    with running(clone, tmp_path) as copy:
        copy.shell(PROMO)
        friend, someone = Newcomer(copy, "a@one.example"), Newcomer(copy, "b@two.example")
        someone.confirm()
        used: set[tuple[str, str]] = set()

        def ask(method: str, path: str, status: int = 200, **body: Any) -> Any:
            used.add((method, f"/api/billing/{path}"))
            answer = someone.api.request(
                method,
                f"/api/billing/{path}",
                json=body or None,
                headers={"Idempotency-Key": path},
            )
            assert answer.status_code == status, answer.text
            return answer.json()

        def rises_to(amount: str) -> None:
            until(lambda: someone.balance()["balance"] == Decimal(amount), f"never {amount}")

        code = friend.api.get("/api/billing/referral").json()["code"]
        assert ask("POST", "referral", 201, code=code)
        assert ask("GET", "referral")["code"] != code
        assert Decimal(ask("GET", "balance")["balance"]) == 5
        ask("POST", "topup", 201, amount="7.5")
        _pay(ask("POST", "topup/checkout", 201, amount="25", save_card=True)["url"])
        rises_to("37.5")
        card = someone.api.get("/api/billing/payment-methods").json()["payment_methods"][0]["id"]
        intent = ask("POST", "topup/intent", 201, amount="10", payment_method=card)
        assert (intent["status"], intent["state"]) == ("succeeded", "paid")
        rises_to("47.5")
        ask("POST", "promo-code", code="welcome")
        ask("POST", "promo-code", code="WELCOME", apply=True)
        rises_to("50.5")
        bought = someone.api.post("/api/subscription", json={"plan": "basic"})
        assert bought.status_code == 201, bought.text
        kinds = [row["kind"] for row in ask("GET", "transactions")["results"]]
        assert kinds == ["subscription", "promo", "topup", "topup", "sandbox", "signup"]
        invoices = ask("GET", "invoices")["results"]
        assert [invoice["kind"] for invoice in invoices] == ["invoice", "invoice", "stripe"]
        used.add(("GET", "/api/billing/invoices/:id/pdf"))
        for invoice in invoices:
            assert _pdf(someone, invoice["id"]).startswith(b"%PDF")
        assert used == _billing_rows()
        # And a plan that Stripe bills.
        plan = {"plan": "premium", "payment_method": "stripe"}
        _pay(friend.api.post("/api/subscription", json=plan).json()["payment_url"])
        until(
            lambda: friend.api.get("/api/subscription").json()["plan"]["id"] == "premium",
            "Stripe's webhook never came",
        )
        for newcomer in (friend, someone):
            newcomer.close()
        assert copy.manage("reconcile").returncode == 0


def test_two_copies_run_side_by_side(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with running(clone, tmp_path / "a") as one, running(clone, tmp_path / "b") as two:
        first, second = Newcomer(one, "x@example.com"), Newcomer(two, "x@example.com")
        first.top_up("1")
        assert first.balance()["balance"] == 1
        assert second.balance()["balance"] == 0
        with two.http(first.key) as http:
            assert http.get("/v1/models").status_code == 401
        first.close()
        second.close()
        one.press_control_c()
        assert two.terminate() == 0


def test_ctrl_c_before_it_is_ready_leaves_nothing(clone: Path, tmp_path: Path) -> None:
    copy = Copy(clone, tmp_path)
    copy.start()
    try:
        until(lambda: "web, worker and beat" in copy.output, copy.output)
        copy.press_control_c()
        assert "ready on" not in copy.output
    finally:
        copy.destroy()


def test_a_taken_port_is_said_plainly(clone: Path, tmp_path: Path) -> None:
    copy = Copy(clone, tmp_path)
    prepared.install(copy.data_dir)
    with socket.create_server(("127.0.0.1", copy.port)):
        copy.start()
        try:
            assert copy.make.wait(PATIENCE) != 0
        finally:
            copy.destroy()
    assert f"port {copy.port}" in copy.output
    assert "in use" in copy.output
    assert copy.ended() != 0


def test_a_killed_web_process_leaves_no_slot_and_no_hold(clone: Path, tmp_path: Path) -> None:
    with running(clone, tmp_path, LEASE_SECONDS="3") as copy:
        someone = Newcomer(copy, "killed@example.com")
        someone.top_up("5")
        text = "one two three four five six seven eight nine ten " * 20
        raw = someone.openai.chat.completions.with_raw_response.create(
            model="gpt-4o", messages=_ask(f"[[slow: 0.1]] [[say: {text}]]"), stream=True
        )
        request_id = raw.headers["x-request-id"]
        stream = iter(raw.parse())
        beaten = time.monotonic() + 3  # longer than a heartbeat
        while time.monotonic() < beaten:
            next(stream)
        assert someone.balance()["held"] > 0
        os.kill(copy.pid("uvicorn"), signal.SIGKILL)
        with pytest.raises((openai.APIError, httpx.HTTPError)):
            list(stream)
        assert copy.ended() != 0  # the supervisor noticed, and stopped the rest
        assert "web ended unexpectedly" in copy.output

        copy.start()
        copy.ready()
        until(lambda: someone.balance()["held"] == 0, "the hold of a dead request is still there")
        receipt = someone.receipt(request_id)
        assert (receipt["error"], receipt["estimated"]) == ("process_lost", True)
        spent = Decimal(receipt["charged"])
        assert 0 < spent <= Decimal(receipt["settlement"]["held"])
        assert someone.balance()["balance"] == Decimal(5) - spent
        _chat(someone, stream=False)  # its only slot is free
        proved = copy.manage("reconcile")
        assert proved.returncode == 0, proved.stderr
        someone.close()
        assert copy.terminate() == 0


def test_make_itself_passes_a_sigterm_on(clone: Path, tmp_path: Path) -> None:
    assert shutil.which("make")
    with running(clone, tmp_path) as copy:
        copy.make.terminate()
        copy.ended()
        assert "stopped" in copy.output


@contextmanager
def vendors() -> Iterator[str]:
    """The sandbox vendors in a process of their own, which outlives the product's."""
    command = [sys.executable, "-m", "sandbox.vendors", "--port", "0", "--pace", "0", "--control"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _leave(someone: Newcomer, text: str) -> str:
    """At the first word; the request's id."""
    with someone.copy.http(someone.key) as http:
        body = {"model": "gpt-5.2:max", "input": text, "stream": True, "max_output_tokens": 40_000}
        with http.stream("POST", "/v1/responses", json=body) as reply:
            assert reply.status_code == 200, reply.read()
            for chunk in reply.iter_bytes():
                if b"output_text.delta" in chunk:
                    return reply.headers["x-request-id"]
    raise AssertionError("it never said a word")


def _metered(url: str) -> list[int]:
    """Output and reasoning tokens of every answer, by the vendors' own meter."""
    bills = httpx.get(f"{url}/__meter").json()
    sums = [[line["tokens"] for line in bill["lines"]] for bill in bills]
    return [sum(each["output"] + each["reasoning"] for each in lines) for lines in sums]


def test_a_sigterm_loses_no_answer_that_is_heard_out(clone: Path, tmp_path: Path) -> None:
    """Some end within the grace, and are paid by their numbers; the rest by an estimate."""
    with vendors() as url:
        named = {f"{name}_API_KEY": "sk-x" for name in ("OPENAI", "ANTHROPIC", "GEMINI")}
        named |= {name.replace("API_KEY", "BASE_URL"): url for name in named}
        with running(clone, tmp_path, **named) as copy:
            someone = Newcomer(copy, "leaving@example.com")
            credited = copy.manage("credit leaving@example.com 50 --reason test")
            assert credited.returncode == 0, credited.stderr
            before = someone.balance()["balance"]
            think, words = "[[reason: 20000]] [[ponder: 0.5]]", "one two three four " * 20
            short = _leave(someone, f"{think} [[slow: 0.05]] [[say: {words}]]")
            long = _leave(someone, f"{think} [[slow: 0.5]] [[say: {words}]]")
            assert someone.balance()["held"] > 0
            assert copy.terminate() == 0

            copy.start()
            copy.ready()
            until(lambda: someone.balance()["held"] == 0, "a hold outlived its process")
            heard, guessed = someone.receipt(short), someone.receipt(long)
            assert (heard["rule"], heard["estimated"]) == ("drained", False)
            assert (guessed["rule"], guessed["estimated"]) == ("estimated", True)
            exact, cut = _metered(url)
            assert heard["output"] + heard["reasoning"] == exact > 20_000
            assert guessed["output"] + guessed["reasoning"] >= cut * 3 // 4
            spent = sum(Decimal(receipt["charged"]) for receipt in (heard, guessed))
            assert someone.balance()["balance"] == before - spent
            assert copy.manage("reconcile").returncode == 0
            someone.close()
            assert copy.terminate() == 0
