"""What does a reply, an error or a missing extension mean for the mail? Pure; each returns an `Outcome`.

A refusal for now is "delayed", one for good "failed"; `reason` tells a caller that something else can be done.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import replace

from cryptnsend.delivery.outcome import Outcome, one_line, outcome_of
from cryptnsend.delivery.outgoing import Outgoing
from cryptnsend.delivery.route import Hop
from cryptnsend.delivery.session import Reply, Session


def obstacle(session: Session, host: str, outgoing: Outgoing) -> Outcome | None:
    """Return the failure that is certain from EHLO alone, if there is one."""
    limit = session.size_limit
    if outgoing.envelope.requiretls and not session.offers("requiretls"):
        # RFC 8689 §4.2.1: not to a host that will not promise the same for the rest of the way.
        missing = unproven(f"{host} does not promise TLS for the rest of the way (no REQUIRETLS)", host)
        return replace(missing, status="5.7.30", tls=session.tls, peer_size=limit)
    if limit is not None and outgoing.size > limit:
        return replace(too_large(outgoing.size, limit), host=host, tls=session.tls, peer_size=limit)
    problem = Outcome("failed", None, "", "", host, session.tls, reason=Outcome.NOT_ASCII, peer_size=limit)
    if outgoing.smtputf8 and not session.offers("smtputf8"):
        return replace(problem, status="5.6.7", reply=f"{host} takes only addresses in ASCII letters (no SMTPUTF8)")
    if outgoing.eight_bit and not outgoing.smtputf8 and not session.offers("8bitmime"):
        return replace(problem, status="5.6.3", reply=f"{host} takes only 7-bit content (no 8BITMIME)")
    return None


def judged(outcome: Outcome, content: bool = True) -> Outcome:
    """
    Add the reason that lets a caller do something else: the size, or the content that was seen and refused.

    5.7.20 to 5.7.29 (RFC 7372, RFC 7489) and one large provider's 5.7.509 are about who sends, so that the same mail
    without its content would fare no better.
    """
    if outcome.kind != "failed":
        return outcome
    # RFC 1870 §6.1: 552 alone says the same, by hosts that give no enhanced code.
    if outcome.status in ("5.3.4", "5.2.3") or (outcome.code, outcome.status) == (552, "5.0.0"):
        return replace(outcome, reason=Outcome.TOO_LARGE)
    if outcome.status == "5.7.30":
        return replace(outcome, reason=Outcome.PROOF_MISSING)
    if content and re.match(r"5\.(0\.0|6\.\d+|7\.(?!2\d|509)\d+)\Z", outcome.status):
        return replace(outcome, reason=Outcome.CONTENT)
    return outcome


def answer(session: Session, hop: Hop, reply: Reply) -> Outcome:
    """Judge a reply that is not the one that would let us go on."""
    outcome = outcome_of(*reply, host=hop.host, tls=session.tls)
    # A 2yz that is not the code which belongs here is no consent.
    return out_of_place(outcome) if outcome.kind == "delivered" else outcome


def out_of_place(outcome: Outcome) -> Outcome:
    """Return what a 2yz comes to that is no answer to what was said: nothing was taken, and it may be later."""
    words = one_line(f"an answer that means nothing there: {outcome.reply}")
    return replace(outcome, kind="delayed", status="4.5.0", reply=words, final=False)


def too_large(size: int, limit: int) -> Outcome:
    """Return the failure of a message that is larger than somebody takes; octets."""
    text = f"the message has {size:,} bytes, at most {limit:,} are taken"
    return Outcome("failed", None, "5.3.4", text, reason=Outcome.TOO_LARGE)


def unproven(text: str, host: str = "") -> Outcome:
    """Return the failure of mail that asks for proof, where there is none to be had."""
    return Outcome("failed", None, "5.7.10", text, host, reason=Outcome.PROOF_MISSING)


def looped(session: Session, hop: Hop) -> Outcome:
    """Return the failure of mail that would come back: the host turns out to be ourselves (RFC 5321 §6.3)."""
    text = f"{hop.host} is this server under another name, and does not hold that mail"
    return Outcome("failed", None, "5.4.6", text, hop.host, session.tls)


def tls_failed(error: Exception | None, hop: Hop, *, proof: str, strict: bool) -> Outcome:
    """Judge a handshake that failed, or a certificate that does not prove what it should."""
    if error is None or (isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLCertVerificationError)):
        return Outcome("delayed", None, "4.7.5", f"TLS with {hop.host} does not come about", hop.host)
    text = f"the certificate of {hop.host} does not prove who it is"
    if proof == "dane":
        text = f"{hop.host} does not prove who it is by DANE: {error}"
    if strict:
        return unproven(text, hop.host)
    return Outcome("delayed", None, "4.7.5", text, hop.host)


def tls_not_offered(session: Session, hop: Hop, *, proof: str, strict: bool, content: bool) -> Outcome:
    """Judge a host without STARTTLS; *content* says that the mail was declared plain and may not go in clear."""
    text = f"{hop.host} offers no TLS"
    if strict:
        return unproven(text, hop.host)
    if proof == "none" and content:
        return Outcome("failed", None, "5.7.10", text, hop.host, session.tls, reason=Outcome.TLS_MISSING)
    # Somebody may have cut STARTTLS out, where the domain says that it is there.
    return Outcome("delayed", None, "4.7.10", text, hop.host, session.tls)


def handshake_result(error: Exception) -> str:
    """Return what RFC 8460 §4.3 calls a failed handshake."""
    kind = getattr(error, "kind", "")
    if kind:
        return str(kind)
    if not isinstance(error, ssl.SSLCertVerificationError):
        return "validation-failure"
    # OpenSSL's numbers: X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_CERT_HAS_EXPIRED.
    return {62: "certificate-host-mismatch", 10: "certificate-expired"}.get(
        error.verify_code, "certificate-not-trusted"
    )
