"""Whose a domain of mail is: shown by a TXT record, or by who reads its administrators' mail.

Until it is proven a domain opens nothing, and any team may claim it; the first to prove it has it.
Domains where anybody gets a mailbox are nobody's.
"""

import secrets
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership, Role, SignOn, TeamDomain, User
from accounts.teams import events, letters
from hontoni import errors, origins

RECORD = "hontoni-domain="
# RFC 2142, and what certificate authorities write to: nobody else is given these mailboxes.
MAILBOXES = ("postmaster", "hostmaster", "admin", "administrator", "webmaster")
MOST = 20
_PUBLIC = frozenset(
    {
        *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com"),
        *("yahoo.com", "ymail.com", "icloud.com", "me.com", "mac.com", "aol.com", "gmx.com"),
        *("gmx.de", "web.de", "mail.com", "mail.ru", "yandex.ru", "yandex.com", "proton.me"),
        *("protonmail.com", "pm.me", "qq.com", "163.com", "126.com", "zoho.com", "tutanota.com"),
        *("fastmail.com", "hey.com", "duck.com", "laposte.net", "orange.fr", "t-online.de"),
    }
)


def is_address(email: str) -> bool:
    """Whether mail can be sent there: a provider and a directory may say anything."""
    try:
        validate_email(email)
    except ValidationError:
        return False
    return True


def of(email: str) -> str:
    return email.rpartition("@")[2].lower()


def proven(account_id: int) -> set[str]:
    """The domains that a team has shown to be its own."""
    found = TeamDomain.objects.filter(account=account_id, proven_at__isnull=False)
    return set(found.values_list("name", flat=True))


def add(by: Membership, name: str, *, ip: str | None = None) -> TeamDomain:
    """Claim one. Raises BadRequest and Conflict."""
    name = _spelled(name)
    if name in _PUBLIC:
        raise errors.BadRequest("Anybody gets a mailbox there.", code="domain_public")
    if TeamDomain.objects.filter(account=by.account_id).count() >= MOST:
        raise errors.Conflict(f"A team has {MOST} domains at the most.", code="too_many_domains")
    with transaction.atomic():
        made, fresh = TeamDomain.objects.get_or_create(
            account_id=by.account_id, name=name, defaults={"secret": secrets.token_urlsafe(24)}
        )
        if fresh:
            events.record(by.account_id, by.person, "domain_added", name, ip=ip)
    return made


def _spelled(name: str) -> str:
    """As the DNS has it. Raises BadRequest."""
    try:
        found = name.strip().strip(".").lower().encode("idna").decode("ascii")
    except UnicodeError:
        found = ""
    labels = found.split(".")
    fine = len(labels) > 1 and all(
        label and label.replace("-", "").isalnum() and not label.startswith("-")
        for label in labels
    )
    if not fine or len(found) > 253 or labels[-1].isdecimal():
        raise errors.BadRequest("This is not a domain.", code="domain_malformed")
    return found


def prove_by_record(by: Membership, domain: TeamDomain, *, ip: str | None = None) -> None:
    """Look for the TXT record. Raises BadRequest where it is not there, Conflict where another
    team was first."""
    if f"{RECORD}{domain.secret}" not in _records(domain.name):
        raise errors.BadRequest(
            "The TXT record is not there (yet): the DNS may take a while.",
            code="domain_record_missing",
        )
    _prove(domain, by.person, ip)


def _records(name: str) -> set[str]:
    import dns.exception  # 3 MB, for a page that few teams ever see
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=not settings.DNS_SERVER)
    if settings.DNS_SERVER:
        address, _, port = settings.DNS_SERVER.rpartition(":")
        resolver.nameservers, resolver.port = [address.strip("[]")], int(port)
    resolver.lifetime = 5.0
    try:
        answer = resolver.resolve(name, "TXT")
    except dns.exception.DNSException:
        return set()
    return {b"".join(row.strings).decode("utf-8", "replace") for row in answer}


def send_proof(by: Membership, domain: TeamDomain, mailbox: str) -> None:
    """A link to one of the domain's administrators. Raises BadRequest for any other mailbox."""
    if mailbox not in MAILBOXES:
        raise errors.BadRequest("This mailbox does not stand for a domain.", code="domain_mailbox")
    link = origins.absolute(reverse("domain-proof", args=(domain.pk, domain.secret)))
    facts = {"team": by.account.name, "domain": domain.name, "link": link}
    with transaction.atomic():
        letters.send("team_domain", f"{mailbox}@{domain.name}", by.person.language, **facts)


def prove_by_mail(pk: int, secret: str) -> TeamDomain:
    """Whoever opened the link reads that mailbox. Raises NotFound and Conflict."""
    found = TeamDomain.objects.select_related("account").filter(pk=pk).first()
    if found is None or not secrets.compare_digest(found.secret, secret):
        raise errors.NotFound("This link proves nothing any more.", code="domain_link_ended")
    _prove(found, None, None)
    return found


def _prove(domain: TeamDomain, actor: User | None, ip: str | None) -> None:
    now: datetime = timezone.now()
    try:
        with transaction.atomic():
            if TeamDomain.objects.filter(pk=domain.pk, proven_at=None).update(proven_at=now):
                who = f"@{domain.name}"  # whoever reads its administrators' mail
                events.record(
                    domain.account_id, actor, "domain_proven", domain.name, ip=ip, who=who
                )
                if SignOn.objects.filter(pk=domain.account_id, enforced=True).exclude(issuer=""):
                    end_sessions(domain.account_id, [domain.name])
    except IntegrityError:
        taken = errors.Conflict("Another team has proven this domain.", code="domain_taken")
        raise taken from None
    domain.refresh_from_db()


def end_sessions(account_id: int, names: Iterable[str]) -> None:
    """Of everybody with an address there, so that they sign in anew, with the team's provider; but
    the team's owner, who need not, and staff."""
    theirs = Q(pk__in=())
    for name in names:
        theirs |= Q(email__endswith=f"@{name}")
    owner = Membership.objects.active().filter(account=account_id, role=Role.OWNER)
    people = User.objects.filter(theirs, is_staff=False, is_team=False)
    people.exclude(pk__in=owner.values("person")).update(session_epoch=F("session_epoch") + 1)


def remove(by: Membership, domain: TeamDomain, *, ip: str | None = None) -> None:
    """It opens nothing from now on."""
    with transaction.atomic():
        domain.delete()
        events.record(by.account_id, by.person, "domain_removed", domain.name, ip=ip)
