"""TLS reports: who asks for them, and what they say (RFC 8460)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.delivery.tlsrpt import Result, file_name, mailbox, packed, places, report, web
from tests.delivery.peers import Names, Peer, Wire, courier, server_context

DAY = 20_000  # 4 October 2024


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["v=TLSRPTv1; rua=mailto:tls@peer.example"], ["mailto:tls@peer.example"]),
        (["v=TLSRPTv1;rua=mailto:a@x.example,https://x.example/in;"], ["mailto:a@x.example", "https://x.example/in"]),
        (["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@x.example"], ["mailto:a@x.example"]),
        (["v=TLSRPTv1; rua=mailto:a@x.example , mailto:a@x.example"], ["mailto:a@x.example"]),
        (
            ["v=TLSRPTv1; rua=" + ",".join(f"mailto:{n}@x.example" for n in "abcde")],
            [f"mailto:{n}@x.example" for n in "abc"],
        ),
        ([], []),
        (["v=TLSRPTv1; rua="], []),
        (["v=TLSRPTv1"], []),
        (["v=TLSRPTv2; rua=mailto:a@x.example"], []),
        (["rua=mailto:a@x.example; v=TLSRPTv1"], []),
        (["v=TLSRPTv1; rua=mailto:a@x.example"] * 2, []),
        (["v=TLSRPTv1; rua=http://x.example/,ftp://x.example,mailto:nonsense,https://"], []),
    ],
)
def test_reports_go_where_exactly_one_record_asks(texts: list[str], expected: list[str]) -> None:
    assert places(texts) == expected


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mailto:tls@peer.example", "tls@peer.example"),
        ("MAILTO:tls%2Breports@Peer.Example", "tls+reports@peer.example"),
        ("mailto:tls@peer.example?subject=x&bcc=evil@evil.example", "tls@peer.example"),
        ("mailto:tls%0d%0aBcc:x@peer.example", ""),
        ("mailto:%ff@peer.example", ""),
        ("mailto:", ""),
        ("https://peer.example/", ""),
    ],
)
def test_a_mailto_uri_is_one_address(uri: str, address: str) -> None:
    assert mailbox(uri) == address


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("https://peer.example", ("peer.example", 443, "/")),
        ("https://Peer.Example:8443/in?key=1", ("peer.example", 8443, "/in?key=1")),
        ("https://user:secret@peer.example/", None),
        ("https://127.0.0.1/", None),
        ("https://[::1]/", None),
        ("https://peer.example:99999/", None),
        ("https://peer.example/a b", None),
        ("https://peer.example/\r\nX: y", None),
        ("http://peer.example/", None),
        ("mailto:tls@peer.example", None),
    ],
)
def test_a_web_uri_is_a_named_host_a_port_and_a_path(uri: str, place: object) -> None:
    assert web(uri) == place


@given(st.text(max_size=200))
def test_whatever_a_zone_says_is_a_place_or_nothing(text: str) -> None:
    for uri in places([f"v=TLSRPTv1; rua={text}"]):
        assert bool(mailbox(uri)) != bool(web(uri))


STS = ("sts", ("version: STSv1", "mode: enforce"), ("*.peer.example",))
RESULTS = [
    Result(*STS, "", "mx1.peer.example", "192.0.2.1", 5000),
    Result(*STS, "", "mx2.peer.example", "192.0.2.2", 326),
    Result(*STS, "certificate-expired", "mx1.peer.example", "192.0.2.1", 100),
    Result(*STS, "sts-policy-fetch-error", "", "", 3),
    Result("no-policy-found", (), (), "", "mx1.peer.example", "192.0.2.1", 7),
]


def test_a_report_says_what_the_rfc_wants() -> None:
    """RFC 8460 §4.4 and its example."""
    said = json.loads(
        report("peer.example", DAY, RESULTS, organisation="our.test", contact="postmaster@our.test", ident="7@our.test")
    )
    assert said["date-range"] == {
        "start-datetime": "2024-10-04T00:00:00Z",
        "end-datetime": "2024-10-04T23:59:59Z",
    }
    assert (said["organization-name"], said["contact-info"], said["report-id"]) == (
        "our.test",
        "postmaster@our.test",
        "7@our.test",
    )
    none, sts = said["policies"]
    assert none == {
        "policy": {"policy-type": "no-policy-found", "policy-domain": "peer.example"},
        "summary": {"total-successful-session-count": 7, "total-failure-session-count": 0},
    }
    assert sts["policy"] == {
        "policy-type": "sts",
        "policy-domain": "peer.example",
        "policy-string": ["version: STSv1", "mode: enforce"],
        "mx-host": ["*.peer.example"],
    }
    assert sts["summary"] == {"total-successful-session-count": 5326, "total-failure-session-count": 103}
    assert sts["failure-details"] == [
        {
            "result-type": "certificate-expired",
            "receiving-mx-hostname": "mx1.peer.example",
            "receiving-ip": "192.0.2.1",
            "failed-session-count": 100,
        },
        {"result-type": "sts-policy-fetch-error", "failed-session-count": 3},
    ]


def test_a_report_packs_into_the_same_octets_each_time() -> None:
    assert packed(b"{}") == packed(b"{}")
    assert gzip.decompress(packed(b"{}")) == b"{}"


def test_a_report_has_the_file_name_of_the_rfc() -> None:
    """RFC 8460 §5.1: submitter, domain, begin, end, id."""
    assert file_name("our.test", "peer.example", DAY, "7") == "our.test!peer.example!1728000000!1728086399!7.json.gz"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "delivered"), (202, "delivered"), (301, "failed"), (404, "failed"), (429, "delayed"), (503, "delayed")],
)
def test_a_web_server_takes_a_report_or_does_not(tmp_path: Path, status: int, kind: str) -> None:
    authority, got = trustme.CA(), []
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def serve(wire: Wire) -> None:
        while line := wire.line():
            got.append(line)
        wire._until(b"octets")
        wire.say(f"HTTP/1.1 {status} Well\r\nContent-Length: 0\r\n")

    with Peer(serve=serve, context=server_context(authority, "peer.example"), implicit=True) as host:
        made = courier(
            names=Names(hosts={"peer.example": ["127.0.0.1"]}), allow_private=True, ca_file=tmp_path / "ca.pem"
        )
        outcome = made.post(
            f"https://peer.example:{host.port}/in", b"octets", {"Content-Type": "application/tlsrpt+gzip"}
        )
        made.close()
    assert (outcome.kind, outcome.code, outcome.host) == (kind, status, "peer.example")
    assert "Content-Type: application/tlsrpt+gzip" in got


def test_a_web_server_that_cannot_be_reached_is_a_delay_and_a_bad_url_a_failure() -> None:
    made = courier()
    assert made.post("https://nowhere.example/", b"", {"Content-Type": "application/x"}).kind == "delayed"
    assert made.post("https://127.0.0.1/", b"", {"Content-Type": "application/x"}).kind == "failed"
    made.close()
