"""Zones that are really signed, and a resolver that really validates: Knot and Unbound on loopback.

    with Zones({"test.": "@ MX 10 mx\\nmx A 127.0.0.11\\n"}) as zones:
        resolver = DnsResolver([zones.resolver])

The first zone is the trust anchor's. Zones below it are delegated with their key's DS, without one ("unsigned"), or
with one of another key ("bogus"), so that each kind of answer comes from a program that people run. With "." first the
root is signed too, and the resolver says so.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdata
import dns.rdatatype

from tests.support.waiting import wait_for

SOA = "@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n"
SECONDS = 60.0  # in which a server has to be there; they take less than one


class Zones:
    """One Knot with all the zones and one Unbound before it; `resolver` is where to ask."""

    def __init__(self, zones: Mapping[str, str], *, unsigned: Collection[str] = (), bogus: Collection[str] = ()):
        self._texts, self._unsigned, self._bogus = dict(zones), set(unsigned), set(bogus)
        self._folder = Path(tempfile.mkdtemp(prefix="zones-"))
        self._running: list[subprocess.Popen[bytes]] = []
        self._serial = 1_000_000
        self.authority, self.resolver = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())

    def __enter__(self) -> Zones:
        for tool in ("knotd", "unbound"):
            assert found_tool(tool), f"{tool} is missing: apt-get install knot unbound"
        top = next(iter(self._texts))
        try:
            self._write_zones()
            self._start_knot()
            for name in self._texts:
                if name != top and name not in self._unsigned:
                    self._delegate(top, name)
            self._start_unbound(top)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- Knot ---------------------------------------------------------------------------------------------------------

    def _write_zones(self) -> None:
        top = next(iter(self._texts))
        for name, text in self._texts.items():
            records = f"$ORIGIN {name}\n$TTL 60\n{SOA}{text}\n"
            if name == top:
                # Knot writes no DS by itself, and the parent of a zone needs its name servers, too.
                records += "".join(
                    f"{child} NS ns.{child}\nns.{child} A 127.0.0.1\n" for child in self._texts if child != top
                )
            self._file(name).write_text(records)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}zone"

    def _start_knot(self) -> None:
        zones = "".join(
            f"  - domain: {name}\n    file: {self._file(name)}\n"
            + ("" if name in self._unsigned else "    dnssec-signing: on\n    dnssec-policy: quick\n")
            for name in self._texts
        )
        (self._folder / "knot.conf").write_text(
            f"server:\n  listen: {self.authority[0]}@{self.authority[1]}\n  rundir: {self._folder}\n"
            f"database:\n  storage: {self._folder}\n"
            "policy:\n  - id: quick\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n"
            "template:\n  - id: default\n    zonefile-sync: -1\n    zonefile-load: whole\n    journal-content: none\n"
            f"log:\n  - target: {self._folder}/knot.log\n    any: info\n"
            f"zone:\n{zones}"
        )
        self._run("knotd", "-c", str(self._folder / "knot.conf"))
        for name in self._texts:
            kind = dns.rdatatype.SOA if name in self._unsigned else dns.rdatatype.DNSKEY
            wait_for(lambda name=name, kind=kind: self._ask(name, kind), f"Knot serves {name}", seconds=SECONDS)  # type: ignore[misc]

    def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> list[str]:
        """Return what Knot itself says, without signatures."""
        try:
            answer = dns.query.tcp(
                dns.message.make_query(name, kind), self.authority[0], timeout=5, port=self.authority[1]
            )
        except (OSError, EOFError, dns.exception.DNSException):
            return []
        return [record.to_text() for rrset in answer.answer if rrset.rdtype == kind for record in rrset]

    def _delegate(self, top: str, name: str) -> None:
        """Put the DS of a zone's key into the zone above it, or of no key at all."""
        (key,) = self._ask(name, dns.rdatatype.DNSKEY)
        record = dns.rdata.from_text("IN", "DNSKEY", key)
        ds = dns.dnssec.make_ds(dns.name.from_text(name), record, "SHA256").to_text()
        if name in self._bogus:
            ds = ds[:-8] + ("00000000" if not ds.endswith("00000000") else "11111111")
        with self._file(top).open("a") as file:
            file.write(f"{name} DS {ds}\n")
        serial = self._file(top).read_text().replace("hostmaster 1 ", f"hostmaster {len(self._file(top).read_text())} ")
        self._file(top).write_text(serial)
        self._reload(top)
        wait_for(lambda: self._ask(name, dns.rdatatype.DS), f"Knot delegates {name}", seconds=SECONDS)

    def change(self, name: str, text: str) -> None:
        """Serve other records in a zone from now on; Unbound keeps what it knows for as long as their TTL says."""
        self._serial += 1
        soa = SOA.replace("hostmaster 1 ", f"hostmaster {self._serial} ")
        self._file(name).write_text(f"$ORIGIN {name}\n$TTL 60\n{soa}{text}\n")
        self._reload(name)
        wait_for(
            lambda: any(f" {self._serial} " in each for each in self._ask(name, dns.rdatatype.SOA)),
            f"Knot serves the new {name}",
            seconds=SECONDS,
        )

    def _reload(self, name: str) -> None:
        knotc = [found_tool("knotc"), "-s", f"{self._folder}/knot.sock", "zone-reload", name]
        subprocess.run(knotc, check=True, capture_output=True, timeout=60)

    # -- Unbound ------------------------------------------------------------------------------------------------------

    def _start_unbound(self, top: str) -> None:
        (key,) = self._ask(top, dns.rdatatype.DNSKEY)
        # The root stands here too, so that no question ever leaves this machine.
        stubs = "".join(
            f"stub-zone:\n  name: {name}\n  stub-addr: {self.authority[0]}@{self.authority[1]}\n"
            for name in dict.fromkeys((".", *self._texts))
        )
        # Unbound answers for names of private use by itself, unless told to ask.
        asked = "".join(f"  local-zone: {name} nodefault\n" for name in (*self._texts, "127.in-addr.arpa."))
        (self._folder / "unbound.conf").write_text(
            'server:\n  chroot: ""\n  username: ""\n  do-daemonize: no\n  use-syslog: no\n  pidfile: ""\n'
            f"  directory: {self._folder}\n  logfile: {self._folder}/unbound.log\n"
            f"  interface: {self.resolver[0]}\n  port: {self.resolver[1]}\n"
            "  access-control: 127.0.0.0/8 allow\n  do-not-query-localhost: no\n  do-ip6: no\n"
            '  module-config: "validator iterator"\n  qname-minimisation: no\n'
            f'{asked}  trust-anchor: "{top} DNSKEY {key}"\n'
            f"remote-control:\n  control-enable: no\n{stubs}"
        )
        self._run("unbound", "-c", str(self._folder / "unbound.conf"))
        query = dns.message.make_query(top, dns.rdatatype.SOA)
        query.flags |= dns.flags.AD

        def validates() -> bool:
            try:
                answer = dns.query.udp(query, self.resolver[0], timeout=1, port=self.resolver[1])
            except (OSError, dns.exception.DNSException):
                return False
            return bool(answer.flags & dns.flags.AD)

        wait_for(validates, "Unbound validates", seconds=SECONDS)

    def _run(self, tool: str, *options: str) -> None:
        with (self._folder / f"{tool}.out").open("wb") as out:
            self._running.append(subprocess.Popen([found_tool(tool), *options], stdout=out, stderr=out))


def free_port() -> int:
    """Return a port that is free for UDP and TCP."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            port: int = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def found_tool(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""
