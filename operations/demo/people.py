"""Who is there: customers of a few kinds, and the staff who look after them."""

import itertools
import random
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.keys import api_keys
from accounts.legal import consents
from accounts.models import ApiKey, User
from billing.rewards import gifts

PASSWORD = "demo-demo-demo"
SECOND_FACTOR = "JBSWY3DPEHPK3PXP"
OWNER = "owner@example.com"
ROLES = ("support", "finance", "catalogue", "auditor")

_FIRST = [
    "Mai",
    "Linh",
    "Minh",
    "Anna",
    "Jonas",
    "Priya",
    "Omar",
    "Sofia",
    "Lucas",
    "Emma",
    "Noah",
    "Yuki",
    "Chen",
    "Ines",
    "Paul",
    "Nora",
]
_LAST = [
    "Tran",
    "Nguyen",
    "Weber",
    "Silva",
    "Khan",
    "Rossi",
    "Novak",
    "Haas",
    "Sato",
    "Li",
    "Costa",
    "Berg",
    "Meyer",
    "Ortiz",
]
_HOSTS = ("fernlight.example", "harbor.example", "mail.example", "kite.example", "loom.example")


@dataclass(frozen=True, slots=True)
class Habit:
    """A kind of customer. `weight`: its part of the traffic; `top_up` in dollars."""

    share: int  # how many of a hundred
    weight: float
    plan: str
    top_up: int
    models: tuple[str, ...]
    agents: tuple[str, ...]


_AGENTS = ("claude-cli/2.1.8", "codex_cli_rs/0.63.0", "OpenAI/Python 2.8.1", "curl/8.5.0")
HABITS = (
    Habit(40, 1.0, "", 5, ("gpt-4o-mini", "claude-haiku-4.5"), _AGENTS[2:]),
    Habit(22, 3.0, "basic", 12, ("gpt-4o", "gemini-2.5-pro"), _AGENTS[2:]),
    Habit(20, 6.0, "standard", 20, ("claude-sonnet-4.5", "gpt-5.4-mini"), _AGENTS[:3]),
    Habit(12, 16.0, "premium", 50, ("claude-sonnet-4.6", "gpt-5.3-codex"), _AGENTS[:2]),
    Habit(6, 45.0, "ultimate", 100, ("claude-sonnet-4.6", "claude-opus-4.6"), _AGENTS[:2]),
)


@dataclass(slots=True)
class Customer:
    """One of them. `raw` numbers are for this process: what is true is in the database."""

    user: User
    habit: Habit
    weight: float
    address: str
    since: datetime
    until: datetime
    keys: list[int] = field(default_factory=list)
    card: str = ""


def draw(chance: random.Random, count: int, begin: datetime, end: datetime) -> list[Customer]:
    """So many customers, in the order in which they will have signed up. Two of three were there
    in the first days; one of eight has stopped coming."""
    names = [f"{first} {last}" for first, last in itertools.product(_FIRST, _LAST)]
    chance.shuffle(names)
    length = end - begin
    drawn = []
    for number in range(count):
        name = names[number % len(names)]
        early = chance.random() < 0.66
        since = begin + length * (chance.random() * (0.08 if early else 0.9))
        stays = chance.random() > 0.12
        until = end if stays else since + (end - since) * chance.uniform(0.2, 0.8)
        habit = chance.choices(HABITS, [each.share for each in HABITS])[0]
        email = f"{name.lower().replace(' ', '.')}{number or ''}@{chance.choice(_HOSTS)}"
        address = f"203.0.113.{chance.randrange(1, 255)}"
        weight = habit.weight * chance.lognormvariate(0, 0.6)
        user = User(email=email, name=name, language=chance.choice(("en", "en", "vi")))
        drawn.append(Customer(user, habit, weight, address, since, until))
    return sorted(drawn, key=lambda each: each.since)


def sign_up(customer: Customer, chance: random.Random) -> None:
    """Open the account now, with a confirmed address, a browser that is signed in, and keys."""
    now, user = timezone.now(), customer.user
    user.set_unusable_password()
    user.created_at = now
    user.save()
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    consents.record(user, through="page", now=now)
    gifts.welcome(user.pk)
    UserSession.objects.create(
        user=user,
        ip=customer.address,
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        session_key=f"demo{uuid.UUID(int=chance.getrandbits(128)).hex[:28]}",
        last_seen_at=now,
    )
    names = ("laptop", "server", "ci", "notebook")[: 1 + (customer.habit.weight > 5)]
    for name in names:
        key, _raw = api_keys.mint(user, name, made_from=customer.address)
        customer.keys.append(key.pk)
    ApiKey.objects.filter(pk__in=customer.keys).update(created_at=now)


def hire() -> list[User]:
    """The owner and one of each role, with a password and a second factor that are told."""
    staff = [User.objects.create_superuser(OWNER, PASSWORD, name="Owner")]
    for role in ROLES:
        user = User.objects.create_user(f"{role}@example.com", PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        staff.append(user)
    for user in staff:
        EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
        TOTP.activate(user, SECOND_FACTOR)
    User.objects.filter(is_staff=True).update(created_at=timezone.now() - timedelta(days=90))
    return staff
