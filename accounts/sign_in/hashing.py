"""How passwords are hashed: Argon2id, one at a time, in a thread that gives way to the traffic.

A hash is slow on purpose, and anybody may ask for one by trying to sign in. So however many try,
they take one core at most, and that only when nobody else wants it; a few wait for their turn,
and the rest is told to come back. Hashes of before (PBKDF2) still open, and are made anew by the
next sign-in.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import BoundedSemaphore, current_thread
from typing import Any, TypeVar

from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher

from hontoni import errors

MOST = 20  # hashes asked for at once in a process; each takes about 30 ms
_NAME = "hashing"
_room = BoundedSemaphore(MOST)
_Result = TypeVar("_Result")


def in_turn(hashed: Callable[..., _Result], *args: Any) -> _Result:
    """What it answers, once it is its turn. Raises Unavailable where too many wait already."""
    if current_thread().name.startswith(_NAME):  # a hasher that calls itself
        return hashed(*args)
    if not _room.acquire(blocking=False):
        raise errors.Unavailable(
            "Too many people sign in right now. Try again in a moment.",
            headers={"Retry-After": "2"},
        )
    try:
        return _thread().submit(hashed, *args).result()
    finally:
        _room.release()


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix=_NAME, initializer=_give_way)


def _give_way() -> None:
    if sys.platform == "linux":  # elsewhere this would be the whole process
        os.setpriority(os.PRIO_PROCESS, 0, 10)


class Argon2(Argon2PasswordHasher):
    """With the least memory and time OWASP's cheat sheet asks for: 100 MB each, Django's default,
    would be a way to use up ours."""

    time_cost, memory_cost, parallelism = 2, 19 * 1024, 1

    def encode(self, password: str, salt: str) -> str:
        return in_turn(super().encode, password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        return in_turn(super().verify, password, encoded)


class PBKDF2(PBKDF2PasswordHasher):
    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        return in_turn(super().encode, password, salt, iterations)
