"""How does the keeper start? It has the master key, so it is given nothing of the others."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cryptnsend import rights
from cryptnsend.clock import SystemClock
from cryptnsend.config import Config
from cryptnsend.home import Home
from cryptnsend.logs import logger
from cryptnsend.store.sqlite import SqliteEngine

if TYPE_CHECKING:
    from cryptnsend.keeper.providers import Provider
    from cryptnsend.keeper.tokens11 import Pkcs11Provider


def serve_keeper(config: Config, stop: threading.Event, ready: Callable[[], None]) -> None:
    """Serve the keeper's sockets until *stop* is set; without a master key it runs and says that it has none."""
    from cryptnsend.core.passwords import Argon
    from cryptnsend.keeper import server as keeper_server
    from cryptnsend.keeper.context import Settings

    home, clock = Home(config.server.home), SystemClock()
    figures = config.codes
    settings = Settings(
        journal=home.journal,
        domain=config.server.domain,
        origin=lambda: home.base_url(config),
        code_rule=figures.rule,
        digits=figures.digits,
        next_digits=figures.next_digits,
        tries=figures.tries,
        code_hours=figures.hours,
        codes_per_week=figures.per_week,
        codes_on_receipt=figures.on_receipt,
        instead_of_code=figures.instead,
        mail_minutes=figures.mail_minutes,
        invitation_days=config.signup.invite_days,
        session_hours=config.sessions.absolute_hours,
        trusted_days=config.sessions.trusted_days,
        signup=config.signup.mode,
        custody=config.policy.custody,
        argon=Argon(config.argon2.memory_kib, config.argon2.iterations, config.argon2.lanes),
        uids=_peers(config),
    )
    ledger = SqliteEngine(home.ledger)
    try:
        keeper_server.serve(
            *(ledger, provider(config), home.keeper_sockets, clock, os.urandom, settings),
            *(logger("cryptnsend.keeper"), ready, stop),
        )
    finally:
        ledger.close()


def _peers(config: Config) -> Mapping[str, frozenset[int]]:
    """Return whom each socket is for, if this process is the keeper's own user; nothing if it plays all roles."""
    try:
        people = rights.find(config)
    except rights.NotApart:
        return {}
    return people.may_ask() if people.uids["keeper"] == os.geteuid() else {}


def provider(config: Config) -> Provider:
    """Return the provider that the settings name; one of the environment takes its variable out of it."""
    from cryptnsend.keeper.providers import EnvProvider, FileProvider

    if config.keeper.provider == "pkcs11":
        return token(config)
    if config.keeper.provider == "env":
        return EnvProvider(config.keeper.key_variable, os.environ, os.urandom)
    return FileProvider(config.keeper.key_file, os.urandom)


def token(config: Config) -> Pkcs11Provider:
    """Return the provider whose key stays in a token, as the settings name it."""
    from cryptnsend.keeper.tokens11 import Pkcs11Provider

    keeper = config.keeper
    return Pkcs11Provider(
        keeper.pkcs11_module, keeper.pkcs11_token, keeper.pkcs11_key, keeper.pkcs11_pin_file, os.urandom
    )
