"""Is what should be published really there, as others see it? The part of `doctor` that asks DNS and the policy's host.

Each check is a generator of findings over what it can look up. Answers that do not come are findings too; after two of
them nothing more is asked, so that dead name servers cost seconds and not minutes.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cryptnsend.cli.dns import SMTP_PORT, Record, leading, next_digest, next_key, own_hosts, records
from cryptnsend.cli.findings import Finding, error, ok, warning
from cryptnsend.config import Config
from cryptnsend.core import transport
from cryptnsend.delivery.authenticity import dmarc_record
from cryptnsend.delivery.dane import NotProven, is_usable, verify
from cryptnsend.delivery.dns import Answer, DnsTrouble, NoSuchDomain
from cryptnsend.delivery.https import Https, HttpsTrouble
from cryptnsend.delivery.mtasts import MAX_POLICY, PolicyInvalid, StsPolicy, parse, record_id
from cryptnsend.delivery.names import DnsNames
from cryptnsend.delivery.route import is_public
from cryptnsend.delivery.spf import check_spf

SECONDS = 3.0  # for one question to the name servers
FETCH_SECONDS = 10.0
PATIENCE = 2  # questions without an answer after which none is asked any more
# Nobody can publish anything under these (RFC 2606, RFC 6761 §6.3 to §6.5).
RESERVED = re.compile(r"(?:.*\.)?(?:example|invalid|localhost|example\.(?:com|net|org))")
PUBLISH = "Publish what `cryptnsend dns` prints."


@dataclass(frozen=True, slots=True)
class Outside:
    """This server as others see it: its configuration, and whom to ask."""

    config: Config
    names: DnsNames
    https: Https

    @property
    def host(self) -> str:
        return self.config.server.hostname

    @property
    def domain(self) -> str:
        return self.config.server.domain

    def addresses(self) -> list[str]:
        """Return where the host is; nothing if it has no address."""
        try:
            return list(self.names.addresses(self.host))
        except NoSuchDomain:
            return []


Check = Callable[[Outside], Iterator[Finding]]


def published(config: Config) -> Iterator[Finding]:
    """Look up everything that `dns` prints, by the name servers that the courier asks."""
    places = [entry.rpartition(":") for entry in config.delivery.nameservers]
    names = DnsNames([(host.strip("[]"), int(port)) for host, _, port in places], lifetime=SECONDS)
    authorities = config.server.home / config.delivery.authorities if config.delivery.authorities else None
    # Our own policy's host may be behind the same firewall as we are.
    https = Https(names, ca_file=authorities, allow_private=True, seconds=FETCH_SECONDS)
    yield from compare(Outside(config, names, https))


def compare(outside: Outside) -> Iterator[Finding]:
    """Yield what each check finds."""
    for name in dict.fromkeys((outside.host, outside.domain)):
        if RESERVED.fullmatch(name):
            words = f"{name} is a name for examples and trials, so nothing can be published for it; none was looked up."
            yield warning("DNS", words, "Give [server] hostname and domain names of your own.")
            return
    silent = 0
    for name, check in CHECKS.items():
        try:
            yield from check(outside)
        except DnsTrouble:
            silent += 1
            if silent == 1 and any(outside.names.is_held_back(each) for each in (outside.host, outside.domain)):
                words = (
                    f"A zone of {outside.host} or {outside.domain} is signed wrongly (DNSSEC), so others do not see it."
                )
                yield error("DNSSEC", words, "Sign it anew, and let the zone above it have the DS record of its key.")
                return
            words = f"The name servers gave no answer that counts within {SECONDS:g} seconds."
            yield error(name, words, "Ask them, and those of your zone, with `dig`; then try again.")
            if silent == PATIENCE:
                yield error("DNS", "Nothing more was looked up.", "Start the name servers, or name others.")
                return


def host(outside: Outside) -> Iterator[Finding]:
    """Look whether the host has one that others can reach."""
    found = outside.addresses()
    hidden = [each for each in found if not is_public(each)]
    if not found:
        yield error("address", f"{outside.host} has no address, so nobody finds this server.", PUBLISH)
    elif hidden and not outside.config.delivery.allow_private:
        words = f"{outside.host} is at {', '.join(hidden)}, which is not on the public Internet."
        yield error("address", words, "Publish the address that others reach this machine by.")
    else:
        yield ok("address", f"{outside.host} is at {', '.join(found)}.")


def mx(outside: Outside) -> Iterator[Finding]:
    """Look whether mail to our own addresses comes here."""
    if not outside.config.inbound.enabled:
        yield ok("MX", "No mail is taken from other servers ([inbound] enabled), so none has to come here.")
        return
    try:
        found = outside.names.mx(outside.domain)
    except NoSuchDomain:
        found = Answer()
    hosts = [each.host for each in sorted(found, key=lambda each: each.preference)]
    if not hosts:
        words = f"{outside.domain} has no MX record, so bounces and answers do not come here."
        if outside.host == outside.domain and outside.addresses():
            words = f"{outside.domain} has no MX record; mail comes here by its address only."
            yield warning("MX", words, PUBLISH)
        else:
            yield error("MX", words, PUBLISH)
    elif outside.host not in hosts:
        words = f"Mail to {outside.domain} goes to {', '.join(hosts) or 'nobody'} and not to {outside.host}."
        yield error("MX", words, PUBLISH)
    elif hosts != [outside.host]:
        others = ", ".join(each for each in hosts if each != outside.host)
        words = f"Mail to {outside.domain} may go to {others} too, who cannot know our addresses."
        yield warning("MX", words, f"Take all MX records away but {outside.host}'s.")
    else:
        yield ok("MX", f"Mail to {outside.domain} comes to {outside.host}.")


def ptr(outside: Outside) -> Iterator[Finding]:
    """Look whether our addresses have a name that leads back to them, without which large receivers refuse our mail."""
    if outside.config.delivery.smarthost:
        yield ok("PTR", "The relay connects to receivers, so its names count and not ours.")
        return
    for address in outside.addresses():
        yield _backwards(outside, address)


def _backwards(outside: Outside, address: str) -> Finding:
    remedy = f"Let the provider of the address set its reverse name to {outside.host}."
    try:
        found = outside.names.ptr(ipaddress.ip_address(address).reverse_pointer)
    except NoSuchDomain:
        found = []
    if not found:
        return error("PTR", f"{address} has no name, and many receivers refuse mail from there.", remedy)
    confirmed = [name for name in found if address in _known(outside.names, name)]
    if not confirmed:
        return error("PTR", f"{address} is called {', '.join(found)}, which does not lead back to it.", remedy)
    if outside.host not in confirmed:
        return warning("PTR", f"{address} is called {', '.join(confirmed)} and not {outside.host}.", remedy)
    return ok("PTR", f"{address} is called {outside.host}, and that leads back to it.")


def _known(names: DnsNames, name: str) -> list[str]:
    try:
        return list(names.addresses(name))
    except NoSuchDomain:
        return []


def spf(outside: Outside) -> Iterator[Finding]:
    """Look whether our host may send with our names."""
    found = [text for text in outside.names.texts(outside.domain) if re.match(r"v=spf1(?: |\Z)", text, re.IGNORECASE)]
    if not found:
        yield error("SPF", f"{outside.domain} has no SPF record, so our mail is taken for spam.", PUBLISH)
        return
    if len(found) > 1:
        words = f"{outside.domain} has {len(found)} SPF records, and so none that counts."
        yield error("SPF", words, "Put what they allow into one record.")
        return
    if outside.config.delivery.smarthost:
        yield _spf_of_relay(found[0])
        return
    for address in outside.addresses():
        yield _spf(outside, address, f"bounces@{outside.domain}", outside.domain)
        if outside.host != outside.domain:
            yield _spf(outside, address, "", outside.host)


def _spf_of_relay(text: str) -> Finding:
    if re.search(r"(?i)[ +](?:include:|redirect=|ip[46]:|mx\b|exists:)", text):
        return ok(
            "SPF", "There is a record, and it names more than this host; whether the relay, only its owner knows."
        )
    words = "The record names this host only, though all mail leaves by the relay."
    return warning("SPF", words, "Add what the relay's owner tells you to include.")


def _spf(outside: Outside, address: str, reverse_path: str, name: str) -> Finding:
    result, _ = check_spf(outside.names, address, reverse_path, outside.host)
    if result == "temperror":
        raise DnsTrouble(name)
    if result == "pass":
        return ok("SPF", f"{address} may send for {name}.")
    if result == "none":
        return warning("SPF", f"{name} has no SPF record for reports, which go by the host's name.", PUBLISH)
    return error("SPF", f"{address} may not send for {name}: the record comes to “{result}”.", PUBLISH)


def dkim(outside: Outside) -> Iterator[Finding]:
    """Look whether the published key of each selector is the one that we sign with."""
    for record in records(outside.config):
        if "._domainkey." not in record.name or record.action == "remove":
            continue
        wrong = error if record.action == "publish" else warning  # no mail is signed with it now
        wanted, found = _tags(record.value), [_tags(text) for text in outside.names.texts(record.name)]
        if not found:
            yield wrong("DKIM", f"There is no key at {record.name}.", PUBLISH)
        elif len(found) > 1:
            yield wrong("DKIM", f"There are {len(found)} records at {record.name}, so none counts.", "Leave ours only.")
        elif found[0].get("p") == "":
            yield wrong("DKIM", f"The key at {record.name} was revoked, and counts still.", PUBLISH)
        elif (found[0].get("p"), found[0].get("k", "rsa")) != (wanted["p"], wanted["k"]):
            yield wrong("DKIM", f"The key at {record.name} is not the one that signs our mail.", PUBLISH)
        elif "y" in found[0].get("t", "").split(":"):
            words = f"The key at {record.name} is ours, but says that it is being tried (t=y)."
            yield warning("DKIM", words, "Take t=y away, or receivers treat our mail as unsigned.")
        else:
            stands = "is the one that signs our mail" if record.action == "publish" else "is ours"
            yield ok("DKIM", f"The key at {record.name} {stands}.")


def _tags(text: str) -> dict[str, str]:
    """Read a tag list (RFC 6376 §3.2); white space inside a key does not count."""
    fields = (field.partition("=") for field in text.split(";"))
    return {name.strip(): re.sub(r"\s", "", value) for name, equals, value in fields if equals}


def dmarc(outside: Outside) -> Iterator[Finding]:
    """Look whether others are told to refuse mail that only says it is ours."""
    tags = dmarc_record(outside.domain, outside.names)
    if not tags:
        yield error("DMARC", f"{outside.domain} has no DMARC record that counts.", PUBLISH)
        return
    own = any(re.match(r"v\s*=\s*DMARC1", text) for text in outside.names.texts(f"_dmarc.{outside.domain}"))
    policy = tags.get("p", "") if own else tags.get("sp", tags.get("p", ""))
    share = tags.get("pct", "100")
    if policy not in ("none", "quarantine", "reject"):
        yield error("DMARC", "The record has no policy (p=) that is known, so it does not count.", PUBLISH)
    elif policy == "none":
        yield warning("DMARC", "The policy is none: anybody may write in our name.", f"{PUBLISH} It says p=reject.")
    elif share != "100":
        yield warning("DMARC", f"The policy is for {share} % of mail only.", "Take pct= away.")
    else:
        whose = "" if own else ", from the domain above"
        yield ok("DMARC", f"The policy is {policy}{whose}; our mail is signed by the domain itself.")


def mta_sts(outside: Outside) -> Iterator[Finding]:
    """Look whether record and policy promise checked TLS to this host."""
    config = outside.config
    if not config.inbound.enabled:
        return
    texts = [text for text in outside.names.texts(f"_mta-sts.{outside.domain}") if text.startswith("v=STSv1")]
    if not texts:
        words = "Nothing is promised, so whoever sits on the way can read what others send us."
        yield warning("MTA-STS", words, PUBLISH)
        return
    if record_id(texts) is None:
        yield error("MTA-STS", f"What stands at _mta-sts.{outside.domain} is not one record with one id.", PUBLISH)
        return
    web = transport.policy_host(outside.domain)
    try:
        octets = outside.https.get(web, transport.POLICY_PATH, media_type=transport.POLICY_TYPE, most=MAX_POLICY)
        policy = parse(octets)
    except HttpsTrouble as trouble:
        remedy = f"Let {web} lead to the portal at port 443, with a certificate that carries this name."
        yield error("MTA-STS", f"The policy cannot be fetched: {trouble}.", remedy)
        return
    except PolicyInvalid as flaw:
        yield error("MTA-STS", f"What {web} shows is no policy: {flaw}.", "Serve what `cryptnsend dns` prints.")
        return
    yield _promised(outside, policy, octets.decode(), texts)


def _promised(outside: Outside, policy: StsPolicy, text: str, texts: list[str]) -> Finding:
    """Compare a policy that can be read with where our mail is to go, and with our own."""
    ours = transport.policy_text(outside.config.inbound.mta_sts, outside.host)
    if policy.mode != "none" and not policy.allows(outside.host):
        words = f"The policy names {', '.join(policy.mx)} and not {outside.host}, so mail to us "
        words += "fails." if policy.mode == "enforce" else "would fail if it were enforced."
        level = error if policy.mode == "enforce" else warning
        return level("MTA-STS", words, "Serve what `cryptnsend dns` prints.")
    if text.split() != ours.split():
        words = f"The policy (mode {policy.mode}) is another than ours (mode {outside.config.inbound.mta_sts})."
        return warning("MTA-STS", words, "Serve what `cryptnsend dns` prints, or change [inbound] mta_sts.")
    if record_id(texts) != record_id([transport.policy_record(ours)]):
        words = "The record's id is not that of the policy, so others go on with the policy of before."
        return warning("MTA-STS", words, PUBLISH)
    return ok("MTA-STS", f"Record and policy fit each other and this host; the mode is {policy.mode}.")


def tls_reports(outside: Outside) -> Iterator[Finding]:
    """Look whether others know whom to tell when TLS to us fails."""
    if not outside.config.inbound.enabled:
        return
    found = [text for text in outside.names.texts(f"_smtp._tls.{outside.domain}") if text.startswith("v=TLSRPTv1")]
    if len(found) == 1 and "rua=" in found[0]:
        yield ok("TLS reports", f"Others report to {found[0].partition('rua=')[2].strip(' ;')}.")
    elif found:
        yield error("TLS reports", "The record at _smtp._tls names nobody, or is there twice.", PUBLISH)
    else:
        yield warning("TLS reports", "Nobody is told when TLS to us fails.", PUBLISH)


def tlsa(outside: Outside) -> Iterator[Finding]:
    """Look whether what DNS says about our certificate fits it (RFC 7672)."""
    config = outside.config
    if not config.inbound.enabled:
        return
    found = outside.names.tlsa(f"_{SMTP_PORT}._tcp.{outside.host}")
    if not found:
        if not outside.names.is_near:
            yield ok("TLSA", "There is no record; whether one would count, only a validating resolver could tell.")
        elif _is_signed(outside):
            yield warning("TLSA", "The zone is signed, but says nothing about our certificate.", PUBLISH)
        else:
            yield ok("TLSA", "There is no record, and none would count, as our zones are not all signed.")
        return
    try:
        chain = x509.load_pem_x509_certificates(config.tls.certificate.read_bytes())
    except (OSError, ValueError):
        return  # what is wrong with the certificate is said where it is looked at
    shown = [each.public_bytes(Encoding.DER) for each in chain]
    try:
        if not any(is_usable(record) for record in found):
            raise NotProven("No record can be used by mail servers")
        verify(found, shown, [outside.host, outside.domain], int(time.time() * 1000))
    except NotProven as flaw:
        words = f"TLSA records do not fit our certificate: {str(flaw)[0].lower()}{str(flaw)[1:]}."
        yield error("TLSA", f"{words} Servers that go by DANE send us nothing.", PUBLISH)
        return
    following = next_digest(config)
    if outside.names.is_near and not found.secure:
        yield warning("TLSA", "TLSA records fit our certificate but do not count.", "Sign the zone (DNSSEC).")
    elif outside.names.is_near and not _mx_is_signed(outside):
        words = f"TLSA records fit our certificate but do not count, as {outside.domain} is not signed."
        yield warning("TLSA", words, f"Sign the zone of {outside.domain} (DNSSEC), where the MX record is.")
    elif following is not None and following not in {each.data.hex() for each in found}:
        words = f"TLSA records fit our certificate, and there is none for the key in {next_key(config)}."
        yield warning("TLSA", words, PUBLISH)
    else:
        yield ok("TLSA", "TLSA records fit our certificate.")


def programs(outside: Outside) -> Iterator[Finding]:
    """Look whether each domain whose people's mail programs should find us leads them here."""
    for domain in outside.config.programs.domains:
        remedy = f"Let the owner of {domain} publish what `cryptnsend dns --for {domain}` prints, or take it out of"
        wrong = [each.name for each in leading(outside.config, domain) if not _leads(outside, each)]
        if wrong:
            words = f"Mail programs with addresses of {domain} do not find this server: {', '.join(wrong)}"
            yield warning("mail programs", f"{words} not there, or otherwise.", f"{remedy} [programs] domains.")
        else:
            yield ok("mail programs", f"Mail programs with addresses of {domain} find this server.")


def _leads(outside: Outside, record: Record) -> bool:
    """Say whether a record of `leading` is there; a name leads here too if it has an address of ours."""
    try:
        if record.type == "TXT":
            return record.value in outside.names.texts(record.name)
        if record.type == "SRV":
            _, _, port, target = record.value.split()
            return (target.rstrip("."), int(port)) in outside.names.srv(record.name)
        return bool(set(outside.names.addresses(record.name)) & set(outside.addresses()))
    except NoSuchDomain:
        return False


def _is_signed(outside: Outside) -> bool:
    try:
        return _mx_is_signed(outside) and outside.names.addresses(outside.host).secure
    except NoSuchDomain:
        return False


def _mx_is_signed(outside: Outside) -> bool:
    """Say whether others can prove that our mail goes to our host; else they ask for no TLSA (RFC 7672 §2.2.1)."""
    try:
        return outside.names.mx(outside.domain).secure
    except NoSuchDomain as none:
        return none.secure


def hosts(outside: Outside) -> Iterator[Finding]:
    """Look whether organisations' own hosts lead here; to those that do not, links in their mail lead into nothing."""
    names = own_hosts(outside.config)
    ours, lost = set(outside.addresses()) if names else set(), []
    for name in names:
        try:
            if not ours & set(outside.names.addresses(name)):
                lost.append(name)
        except NoSuchDomain:
            lost.append(name)
    if lost:
        words = f"{', '.join(lost)}: pages of organisations are there, and it does not lead to {outside.host}."
        yield error("organisations", words, PUBLISH)
    elif names:
        yield ok("organisations", f"Their hosts lead here: {', '.join(names)}.")


CHECKS: Mapping[str, Check] = {
    "address": host,
    "MX": mx,
    "PTR": ptr,
    "SPF": spf,
    "DKIM": dkim,
    "DMARC": dmarc,
    "MTA-STS": mta_sts,
    "TLS reports": tls_reports,
    "TLSA": tlsa,
    "mail programs": programs,
    "organisations": hosts,
}
