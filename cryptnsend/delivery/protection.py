"""What must this connection show before mail may pass? Decided once per delivery and host, before connecting.

What the recipient's domain promises comes first and holds for all mail to it: DANE (RFC 7672 §2), then MTA-STS in mode
enforce (RFC 8461 §5). Then what the mail itself wants: its TLS class, and REQUIRETLS (RFC 8689). A promise that cannot
be looked up now is a delay, never a reason to do without.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cryptnsend.delivery.dane import TRUST_ANCHOR, is_usable
from cryptnsend.delivery.dns import DnsTrouble, NoSuchDomain, Resolver, Tlsa
from cryptnsend.delivery.mtasts import NOTHING, Found, Policies, StsPolicy
from cryptnsend.delivery.outcome import Outcome, Seen
from cryptnsend.delivery.route import Hop, Route
from cryptnsend.delivery.tls import Proof, TlsClass, Vouched
from cryptnsend.delivery.verdicts import unproven

NO_POLICY = "no-policy-found"
_MISMATCH = "validation-failure"  # RFC 8460 has no word of its own for a host that the policy does not name


@dataclass(frozen=True, slots=True)
class Promise:
    """A domain's TLS policy as reports name it (RFC 8460 §4.2)."""

    domain: str
    kind: str  # tlsa, sts or no-policy-found
    lines: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def seen(self, result: str, host: str, address: str = "") -> Seen:
        """Return what a connection showed about it; *result* is "" for success."""
        return Seen(self.domain, self.kind, self.lines, self.hosts, result, host, address)


@dataclass(frozen=True, slots=True)
class Demand:
    """
    What a connection to one host has to show.

    `encrypted`: TLS or nothing. `proof`: by what its certificate is judged. `name`: said in SNI and looked for in the
    certificate; `records` and `names` are DANE's. `strict`: the mail asks for proof, so that the operator's own network
    is no excuse. `trial`: a policy in testing is looked at, and nothing depends on it; `flaw` is what was found before.
    """

    encrypted: bool
    proof: Proof = "none"
    name: str = ""
    records: tuple[Tlsa, ...] = ()
    names: tuple[str, ...] = ()
    strict: bool = False
    trial: bool = False
    flaw: str = ""
    requiretls: bool = False
    promise: Promise | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the mail itself wants: its class, whether clear text is allowed to class plain, and RFC 8689."""

    tls_class: TlsClass
    cleartext: bool = False
    requiretls: bool = False
    tls_optional: bool = False

    @property
    def ignores_promises(self) -> bool:
        """
        Say whether what the domain promises need not hold.

        Reports may be about just that. Plain mail may say so itself (RFC 8689 §4.2.2); where a proof is asked for, by
        REQUIRETLS or by the class, what it says counts for nothing (§4.1).
        """
        return self.tls_class == "report" or (self.tls_optional and self.tls_class == "plain" and not self.requiretls)

    @property
    def proof(self) -> bool:
        """Say whether the host has to be proven."""
        return self.tls_class == "proven" or self.requiretls

    @property
    def encryption(self) -> bool:
        """Say whether there has to be TLS at all."""
        return self.proof or (self.tls_class == "plain" and not self.cleartext)


class Barred(Exception):
    """This host may not be spoken to, or not now; `seen` is what that says about the domain's policy."""

    def __init__(self, outcome: Outcome, seen: Seen | None = None):
        super().__init__(outcome.reply)
        self.outcome, self.seen = outcome, seen


class Protection:
    """Decides; safe for many threads."""

    def __init__(self, resolver: Resolver, policies: Policies, vouched: Vouched):
        self._resolver, self._policies, self._vouched = resolver, policies, vouched

    def promised(self, route: Route, wanted: Wanted) -> Found:
        """Return the MTA-STS policy to hold to on this way."""
        if route.hops[0].chosen or wanted.ignores_promises:
            return NOTHING
        return self._policies.of(route.domain)

    def demand(self, route: Route, hop: Hop, found: Found, wanted: Wanted) -> Demand:
        """Return what a connection to *hop* has to show. Raises `Barred`."""
        if hop.chosen:
            return replace(self._of_chosen(route, hop, wanted), requiretls=wanted.requiretls)
        if wanted.ignores_promises:
            return Demand(wanted.encryption, name=hop.host)
        demand = self._by_dane(route, hop)
        if demand is None or demand.proof == "none":
            unusable, demand = demand, self._by_policy(route, hop, found, wanted)
            if unusable is not None:
                # Records that nobody can use still say that there is TLS (RFC 7672 §2.2).
                demand = replace(demand, encrypted=True, promise=demand.promise if found.policy else unusable.promise)
        if wanted.proof and demand.proof == "none":
            demand = self._by_operator(route, hop, demand)
        return replace(
            demand,
            encrypted=demand.encrypted or wanted.encryption,
            strict=wanted.proof,
            requiretls=wanted.requiretls,
        )

    def _of_chosen(self, route: Route, hop: Hop, wanted: Wanted) -> Demand:
        """Decide for a host that the operator named: nobody has to prove that it is the one."""
        checked = Demand(True, "operator", hop.host, strict=wanted.proof)
        if wanted.tls_class == "proven":
            if hop.relay:
                # A smarthost's certificate says nothing about the way from there.
                raise Barred(unproven("the relay cannot promise protection on the whole way"))
            if route.domain not in self._vouched:
                raise Barred(unproven(f"nobody vouches for the mail hosts of {route.domain}"))
            return checked
        if wanted.requiretls or hop.user:
            return checked  # a relay that offers REQUIRETLS promises it for the way from there (RFC 8689 §4.2.1)
        return Demand(wanted.encryption, name=hop.host)

    def _by_dane(self, route: Route, hop: Hop) -> Demand | None:
        """Return what the host's TLSA records demand, None where there are none that count (RFC 7672 §2.2)."""
        if not route.secure:
            return None
        try:
            bases = self._bases(hop.host)
            for base in bases:
                records = self._resolver.tlsa(f"_{hop.port}._tcp.{base}")
                if records and records.secure:
                    return _dane(route, base, tuple(records))
        except NoSuchDomain:
            return None  # and nobody to connect to, as will turn out
        except DnsTrouble:
            # Bogus, or kept from us: an attacker must not be able to switch DANE off by that (RFC 7672 §2.1.2).
            text = f"what DNS promises about {hop.host} cannot be looked up"
            promise = Promise(route.domain, "tlsa", hosts=(hop.host,))
            raise Barred(
                Outcome("delayed", None, "4.7.5", text, hop.host), promise.seen("dnssec-invalid", hop.host)
            ) from None
        return None

    def _bases(self, host: str) -> list[str]:
        """Return the names under which TLSA records may stand: where an alias leads, and the host (RFC 7672 §2.2.3)."""
        found = self._resolver.addresses(host)
        if found.secure:
            return list(dict.fromkeys((found.name, host)))
        if found.name != host and self._resolver.alias_is_secure(host):
            return [host]
        return []

    def _by_policy(self, route: Route, hop: Hop, found: Found, wanted: Wanted) -> Demand:
        policy = found.policy
        if policy is None or policy.mode == "none":
            return Demand(False, name=hop.host, promise=Promise(route.domain, NO_POLICY))
        promise = Promise(route.domain, "sts", _lines(policy), policy.mx)
        if policy.allows(hop.host):
            if policy.mode == "enforce":
                return Demand(True, "mta-sts", hop.host, promise=promise)
            return Demand(False, name=hop.host, trial=True, promise=promise)
        if policy.mode == "testing":
            return Demand(False, name=hop.host, flaw=_MISMATCH, promise=promise)
        text = f"{hop.host} is not among the hosts that {route.domain} promises by MTA-STS"
        outcome = Outcome("delayed", None, "4.7.5", text, hop.host)
        raise Barred(unproven(text, hop.host) if wanted.proof else outcome, promise.seen(_MISMATCH, hop.host))

    def _by_operator(self, route: Route, hop: Hop, demand: Demand) -> Demand:
        """Let the operator's word count where the domain promises nothing."""
        if self._vouched.allows(route.domain, hop.host):
            return replace(demand, encrypted=True, proof="operator", name=hop.host, trial=False)
        if route.domain in self._vouched:
            text = f"the mail hosts of {route.domain} are not those that were vouched for"
        else:
            text = f"nobody vouches for the mail hosts of {route.domain}"
        raise Barred(unproven(text, hop.host))


def _dane(route: Route, base: str, records: tuple[Tlsa, ...]) -> Demand:
    """Return what secure TLSA records at *base* demand; proof "none" if none of them can be used."""
    promise = Promise(route.domain, "tlsa", tuple(map(str, records)), (base,))
    usable = tuple(record for record in records if is_usable(record))
    if not usable:
        return Demand(True, name=base, promise=promise)
    # Only usage 2 looks at names: the host's, or those the mail was for (RFC 7672 §3.2.2).
    several = any(record.usage == TRUST_ANCHOR for record in usable)
    names = tuple(dict.fromkeys((base, route.domain, route.alias or route.domain))) if several else (base,)
    return Demand(True, "dane", base, usable, names, promise=promise)


def _lines(policy: StsPolicy) -> tuple[str, ...]:
    fields = ("version: STSv1", f"mode: {policy.mode}", *(f"mx: {each}" for each in policy.mx))
    return (*fields, f"max_age: {policy.max_age}")
