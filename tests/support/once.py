"""What tests ask the same thing of a hundred times is worked out once per process: the answers are the real ones.

An RSA key is looked at for its primes whenever it is read, a tenth of a second, and all homes of tests have the same
signing keys. Judging a password goes through word lists, and most people of tests have the same one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization

from cryptnsend.core import passwords


def settle() -> None:
    """Remember the answers of both."""
    read: Callable[..., Any] = serialization.load_pem_private_key
    vars(serialization)["load_pem_private_key"] = cache(read)
    score = vars(passwords)["_score"]
    known = cache(lambda password, words: score(password, list(words)))
    vars(passwords)["_score"] = lambda password, words: known(password, tuple(words))
