"""Daily reports about TLS: counted with each attempt, sent to whoever asks, kept for a while (RFC 8460)."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from cryptnsend.delivery.dns import DnsTrouble
from cryptnsend.delivery.outcome import Seen
from cryptnsend.flow.tlsreports import TlsReports
from tests.delivery.peers import Names
from tests.flow.conftest import DELIVERED, LATER, Desk, parsed
from tests.support.house import DAY, START

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
GOOD = Seen("yahoo.example", "sts", ("mode: enforce",), ("mx.yahoo.example",), "", "mx.yahoo.example", "192.0.2.1")
BAD = replace(GOOD, result="certificate-expired")
ASKED = "v=TLSRPTv1; rua=mailto:tls@yahoo.example"


class Reporting:
    """A house that has written to yahoo.example, and DNS that says who wants reports."""

    def __init__(self, desk: Desk):
        self.desk, self.names = desk, Names()
        house = desk.house
        house.add_subscriber(ANN)
        self.reports = TlsReports(engine=house.engine, resolver=self.names, clock=house.clock, random=os.urandom)
        self.reports._delay = 0

    def asks(self, *texts: str) -> None:
        self.names.text_records["_smtp._tls.yahoo.example"] = list(texts)

    def write(self, *seen: Seen) -> None:
        """Let a mail leave, with this seen on the way."""
        self.desk.house.submit(ANN, [PAT], self.desk.house.mail())
        self.desk.say(replace(DELIVERED, seen=seen), DELIVERED)
        self.desk.deliver()

    def tomorrow(self) -> int:
        """Let the day end; return how many reports are due."""
        self.desk.house.clock.forward(DAY)
        return self.reports.once()

    def counted(self) -> list[tuple[str, int]]:
        rows = self.desk.house.engine.query("SELECT result, sessions FROM tls_results ORDER BY result")
        return [(row["result"], row["sessions"]) for row in rows]

    def sent(self) -> list[Any]:
        """Make every attempt that is due; return the reports that were mailed."""
        self.desk.deliver()
        return self.desk.answers.mails("tls@yahoo.example")


@pytest.fixture
def reporting(desk: Desk) -> Reporting:
    return Reporting(desk)


def test_sessions_are_counted_with_the_attempts_they_belong_to(reporting: Reporting) -> None:
    reporting.write(GOOD)
    reporting.write(GOOD, BAD)
    assert reporting.counted() == [("", 2), ("certificate-expired", 1)]


def test_failed_attempts_count_too(reporting: Reporting) -> None:
    reporting.desk.house.submit(ANN, [PAT], reporting.desk.house.mail())
    reporting.desk.say(replace(LATER, seen=(BAD,)), DELIVERED)
    reporting.desk.deliver()
    assert reporting.counted() == [("certificate-expired", 1)]


def test_a_domain_that_asks_gets_one_report_a_day(reporting: Reporting) -> None:
    reporting.asks(ASKED)
    reporting.write(GOOD, BAD)
    assert reporting.reports.once() == 0, "the day is not over"
    assert reporting.tomorrow() == 1
    assert reporting.reports.once() == 0
    (mail,) = reporting.sent()
    assert mail.get_content_type() == "multipart/report"
    assert mail.get_param("report-type") == "tlsrpt"
    domain = reporting.desk.house.config.server.domain
    assert (mail["TLS-Report-Domain"], mail["TLS-Report-Submitter"]) == ("yahoo.example", domain)
    assert mail["Subject"].startswith(f"Report Domain: yahoo.example Submitter: {domain} Report-ID: <")
    assert mail["DKIM-Signature"] is not None
    words, file = mail.iter_parts()
    assert "yahoo.example" in words.get_content()
    assert file.get_content_type() == "application/tlsrpt+gzip"
    assert file.get_filename().startswith(f"{domain}!yahoo.example!")
    said = json.loads(gzip.decompress(file.get_content()))
    assert said["policies"][0]["summary"] == {
        "total-successful-session-count": 1,
        "total-failure-session-count": 1,
    }
    assert ANN not in json.dumps(said)
    assert PAT not in json.dumps(said)
    assert reporting.tomorrow() == 0, "nothing new happened"


def test_a_report_goes_whatever_the_domain_promises(reporting: Reporting) -> None:
    """RFC 8460 §3: it may be about that very promise."""
    reporting.asks(ASKED)
    reporting.write(BAD)
    reporting.tomorrow()
    reporting.sent()
    assert [each[1] for each in reporting.desk.answers.sent if each[0].recipient == "tls@yahoo.example"] == ["report"]


def test_a_report_that_is_delayed_is_the_same_the_next_time(reporting: Reporting) -> None:
    reporting.asks(ASKED)
    reporting.write(GOOD)
    reporting.tomorrow()
    reporting.desk.say(LATER)
    reporting.sent()
    reporting.desk.house.clock.forward(3_600_000)
    reporting.desk.say(DELIVERED)
    reporting.sent()
    first, second = (each[2] for each in reporting.desk.answers.sent if each[0].recipient == "tls@yahoo.example")
    assert first == second


def test_nobody_who_does_not_ask_gets_a_report(reporting: Reporting) -> None:
    reporting.asks("v=spf1 -all")
    reporting.write(GOOD)
    assert reporting.tomorrow() == 0
    asked = len(reporting.names.asked)
    assert reporting.reports.once() == 0
    assert len(reporting.names.asked) == asked, "whoever did not ask is not looked up again"


def test_trouble_with_dns_is_asked_again(reporting: Reporting) -> None:
    reporting.names.text_records["_smtp._tls.yahoo.example"] = DnsTrouble("no answer")
    reporting.write(GOOD)
    assert reporting.tomorrow() == 0
    reporting.asks(ASKED)
    assert reporting.reports.once() == 1


def test_a_web_server_gets_the_file_itself(reporting: Reporting) -> None:
    posted: list[tuple[str, bytes, str]] = []

    def post(url: str, octets: bytes, headers: Mapping[str, str], *, patient: bool) -> Any:
        assert not patient
        posted.append((url, octets, headers["Content-Type"]))
        return DELIVERED

    vars(reporting.desk.answers)["post"] = post
    reporting.asks("v=TLSRPTv1; rua=https://yahoo.example/tls,mailto:tls@yahoo.example")
    reporting.write(GOOD)
    assert reporting.tomorrow() == 2
    assert len(reporting.sent()) == 1
    ((url, octets, kind),) = posted
    assert (url, kind) == ("https://yahoo.example/tls", "application/tlsrpt+gzip")
    assert json.loads(gzip.decompress(octets))["policies"]
    assert [row["state"] for row in reporting.desk.house.queued("tls-report")] == ["delivered"] * 2


def test_counts_and_promises_end_after_a_while(reporting: Reporting) -> None:
    reporting.asks(ASKED)
    reporting.write(GOOD)
    reporting.tomorrow()
    reporting.sent()
    reporting.desk.house.upkeep.once()
    assert reporting.counted()
    reporting.desk.house.clock.forward(20 * DAY)
    reporting.desk.house.process("courier").upkeep.once()
    assert reporting.counted() == []
    assert reporting.desk.house.engine.query("SELECT id FROM tls_reports") == []


def test_the_days_of_reports_are_utc(reporting: Reporting) -> None:
    reporting.write(GOOD)
    assert [row["day"] for row in reporting.desk.house.engine.query("SELECT day FROM tls_results")] == [START // DAY]


def test_a_mail_that_is_a_report_is_read_by_the_standard_library(reporting: Reporting) -> None:
    reporting.asks(ASKED)
    reporting.write(GOOD)
    reporting.tomorrow()
    reporting.sent()
    octets = reporting.desk.answers.sent[-1][2]
    assert parsed(octets).defects == []
    assert octets.count(b"\n") == octets.count(b"\r\n")
    assert max(map(len, octets.split(b"\r\n"))) <= 998
