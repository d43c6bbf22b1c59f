"""Can the doors show their certificate, do clients believe it, and can profiles be signed? A part of `doctor`."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator

from cryptography import x509

from cryptnsend.cli.dns import own_hosts
from cryptnsend.cli.findings import Finding, error, ok, warning
from cryptnsend.config import Config
from cryptnsend.core import discovery
from cryptnsend.core.profile import CannotSign, sign
from cryptnsend.core.transport import policy_host
from cryptnsend.home import Home
from cryptnsend.making import is_for

RENEW_DAYS = 14  # days before its end at which a certificate should have been renewed


def certificate(config: Config) -> Iterator[Finding]:
    """Look at the certificate of the doors: usable, its names, its dates, and whether clients believe its chain."""
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(config.tls.certificate, config.tls.key)
        shown = x509.load_pem_x509_certificate(config.tls.certificate.read_bytes())
    except (OSError, ValueError) as trouble:
        words = f"{config.tls.certificate} and {config.tls.key} cannot be used: {type(trouble).__name__}."
        yield error("certificate", words, "Put a certificate chain and its key there, as PEM.")
        return
    now = datetime.datetime.now(datetime.UTC)
    end = shown.not_valid_after_utc
    missing = [name for name in _names(config) if not is_for(shown, name)]
    if config.server.hostname in missing:
        host = config.server.hostname
        yield error("certificate", f"It is not for {host}, so mail clients refuse it.", f"Get one for {host}.")
    elif end <= now:
        yield error("certificate", f"It ended {(now - end).days} days ago.", "Renew it; no restart is needed.")
    elif shown.not_valid_before_utc > now:
        words = f"It begins at {shown.not_valid_before_utc:%Y-%m-%d %H:%M}Z only."
        yield error("certificate", words, "Look at this machine's clock, or wait.")
    elif (end - now).days < RENEW_DAYS:
        yield warning("certificate", f"It ends in {(end - now).days} days.", "Renew it; no restart is needed.")
    elif shown.issuer == shown.subject:
        words = "It signs itself, so clients and browsers warn. Fine for trying things."
        yield warning("certificate", words, "Get one of a public authority for people.")
    elif objection := _disbelieved(config, server):
        remedy = "Put the authority's intermediate certificates behind it into the file."
        yield error("certificate", f"Clients cannot follow its chain to an authority: {objection}.", remedy)
    elif missing:
        words = f"It is for {config.server.hostname}, and not for {', '.join(missing)}."
        yield warning(
            "certificate",
            words,
            "Get one with these names too, or what goes by them fails: links, MTA-STS, mail programs.",
        )
    else:
        words = f"It is for {config.server.hostname}, clients believe it, and it ends in {(end - now).days} days."
        yield ok("certificate", words)


def _names(config: Config) -> list[str]:
    """Return the names by which people and servers speak TLS to us."""
    names = [config.server.hostname]
    if config.portal.base_url:
        names.append(config.portal.base_url.removeprefix("https://").partition(":")[0])
    if config.inbound.enabled:
        names.append(policy_host(config.server.domain))
    servers = Home(config.server.home).servers(config, {})
    for domain in config.programs.domains:
        names += [name for name, _ in discovery.hosts(servers, domain)]
    names += own_hosts(config)
    return list(dict.fromkeys(names))


def _disbelieved(config: Config, server: ssl.SSLContext) -> str:
    """Shake hands in memory as a client would, and return what it objects to, "" for nothing."""
    authorities = config.server.home / config.delivery.authorities if config.delivery.authorities else None
    client = ssl.create_default_context(cafile=str(authorities) if authorities else None)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname=config.server.hostname)
    for _ in range(10):  # flights; TLS 1.3 takes two
        for end in (theirs, ours):
            try:
                end.do_handshake()
                if end is theirs:
                    return ""
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as objection:
                return str(objection.verify_message)
            except ssl.SSLError as trouble:
                return trouble.reason or "no handshake"
    return "no handshake"


def profiles(config: Config) -> Iterator[Finding]:
    """Look whether Apple's profiles can be signed: by a certificate of their own, or by that of the doors."""
    if not config.mailbox.enabled:
        return
    files, whose = (config.tls.certificate, config.tls.key), "the doors"
    if config.programs.profile_key:
        home = config.server.home
        files, whose = (home / config.programs.profile_certificate, home / config.programs.profile_key), "profiles"
    try:
        chain = files[0].read_bytes()
        sign(b"", chain, files[1].read_bytes())
    except (OSError, CannotSign) as trouble:
        words = f"Profiles for Apple devices cannot be signed by {files[0]}: {trouble}"
        yield error("profiles", words, "Put a certificate chain and its RSA or ECDSA key there, as PEM.")
        return
    if x509.load_pem_x509_certificate(chain).not_valid_after_utc <= datetime.datetime.now(datetime.UTC):
        yield error("profiles", f"The certificate of {whose} has ended, so profiles are not verified.", "Renew it.")
    else:
        yield ok("profiles", f"Profiles for Apple devices are signed by the certificate of {whose}.")
