"""What MAIL and RCPT may say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.errors import Refusal, TooBig
from cryptnsend.submission.contract import Rcpt
from cryptnsend.submission.syntax import Mail, read_mail, read_rcpt, xtext


def mail(argument: str | None, *, limit: int = 1000, extended: bool = True, tls: bool = True) -> Mail:
    return read_mail(argument, limit=limit, extended=extended, tls=tls)


def rcpt(argument: str | None, *, extended: bool = True, smtputf8: bool = False) -> Rcpt:
    return read_rcpt(argument, hostname="mail.example", extended=extended, smtputf8=smtputf8)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM:<a@b.example>", Mail("a@b.example")),
        ("FROM: \t<a@b.example>", Mail("a@b.example")),
        ("from:a@b.example", Mail("a@b.example")),
        ("FROM:<>", Mail("")),
        ("FROM:<> SIZE=5", Mail("", size=5)),
        ("FROM:<Ann.Ruiz+tag@B.example> size=0", Mail("Ann.Ruiz+tag@B.example", size=0)),
        ("FROM:<@x.example,@y.example:a@b.example>", Mail("a@b.example")),
        ('FROM:<"a b"@b.example> BODY=7bit', Mail('"a b"@b.example')),
        ('FROM:<"a>b\\"c"@b.example>', Mail('"a>b\\"c"@b.example')),
        ("FROM:<a@b.example> body=8BitMime SMTPUTF8", Mail("a@b.example", body_8bit=True, smtputf8=True)),
        ("FROM:<a@b.example> RET=full ENVID=Qq+2BX", Mail("a@b.example", ret="FULL", envid="Qq+X")),
        ("FROM:<a@b.example> RET=HDRS", Mail("a@b.example", ret="HDRS")),
        ("FROM:<a@b.example> AUTH=e+3Dmc2@example.com", Mail("a@b.example")),
        ("FROM:<a@b.example> AUTH=<>", Mail("a@b.example")),
        ("FROM:<a@b.example>   SIZE=10   REQUIRETLS ", Mail("a@b.example", size=10, requiretls=True)),
        ("FROM:<josé@b.example> SMTPUTF8", Mail("josé@b.example", smtputf8=True)),
        ("FROM:josé@b.example SMTPUTF8", Mail("josé@b.example", smtputf8=True)),
    ],
)
def test_mail_is_read_as_clients_write_it(argument: str, expected: Mail) -> None:
    assert mail(argument) == expected


@pytest.mark.parametrize(
    ("argument", "code", "status"),
    [
        (None, 501, "5.5.4"),
        ("", 501, "5.5.4"),
        ("FROM", 501, "5.5.4"),
        ("FROM:", 501, "5.5.4"),
        ("FROM:<a@b.example", 501, "5.5.4"),
        ("FROM:<a@b.example>x", 501, "5.5.4"),
        ("FROM:a>", 553, "5.1.7"),
        ("FROM:<a b@c.example>", 553, "5.1.7"),
        ("FROM:<a@b@c.example>", 553, "5.1.7"),
        ("FROM:<a@b..example>", 553, "5.1.7"),
        ("FROM:<a@-b.example>", 553, "5.1.7"),
        ("FROM:<.a@b.example>", 553, "5.1.7"),
        ("FROM:<@b.example>", 553, "5.1.7"),
        ("FROM:<a@>", 553, "5.1.7"),
        ("FROM:<a@[192.0.2.1]>", 553, "5.1.7"),
        ("FROM:< a@b.example >", 553, "5.1.7"),
        ("FROM:<a\x01@b.example>", 553, "5.1.7"),
        ("FROM:<a\u202e@b.example> SMTPUTF8", 553, "5.1.7"),
        ("FROM:<jos\udce9@b.example> SMTPUTF8", 553, "5.1.7"),
        (f"FROM:<{'a' * 65}@b.example>", 553, "5.1.7"),
        ("FROM:<josé@b.example>", 553, "5.6.7"),
        ("FROM:<josé@b.example> SIZE=4", 553, "5.6.7"),
        ("FROM:<a@b.example> SIZE", 501, "5.5.4"),
        ("FROM:<a@b.example> SIZE=", 501, "5.5.4"),
        ("FROM:<a@b.example> SIZE=1e3", 501, "5.5.4"),
        ("FROM:<a@b.example> SIZE=\u0663", 501, "5.5.4"),
        ("FROM:<a@b.example> SIZE=1 size=1", 501, "5.5.4"),
        ("FROM:<a@b.example> =1", 501, "5.5.4"),
        ("FROM:<a@b.example> BODY=BINARYMIME", 501, "5.5.4"),
        ("FROM:<a@b.example> BODY", 501, "5.5.4"),
        ("FROM:<a@b.example> SMTPUTF8=yes", 501, "5.5.4"),
        ("FROM:<a@b.example> RET=SOME", 501, "5.5.4"),
        ("FROM:<a@b.example> ENVID=+", 501, "5.5.4"),
        (f"FROM:<a@b.example> ENVID={'x' * 101}", 501, "5.5.4"),
        ("FROM:<a@b.example> NOTIFY=NEVER", 555, "5.5.4"),
        ("FROM:<a@b.example> X-MAGIC", 555, "5.5.4"),
    ],
)
def test_mail_that_is_wrong_is_told_what_is_wrong(argument: str | None, code: int, status: str) -> None:
    with pytest.raises(Refusal) as refusal:
        mail(argument)
    assert (refusal.value.code, refusal.value.status) == (code, status)


def test_size_over_the_limit_is_refused_at_mail() -> None:
    assert mail("FROM:<a@b.example> SIZE=1000").size == 1000
    with pytest.raises(TooBig):
        mail("FROM:<a@b.example> SIZE=1001")


def test_parameters_need_ehlo_and_requiretls_needs_tls() -> None:
    with pytest.raises(Refusal, match="EHLO"):
        mail("FROM:<a@b.example> SIZE=1", extended=False)
    with pytest.raises(Refusal, match="EHLO"):
        rcpt("TO:<a@b.example> NOTIFY=NEVER", extended=False)
    with pytest.raises(Refusal, match="REQUIRETLS is not supported"):
        mail("FROM:<a@b.example> REQUIRETLS", tls=False)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("TO:<a@b.example>", Rcpt("a@b.example")),
        ("to: <a@b.example> ", Rcpt("a@b.example")),
        ("TO:<Postmaster>", Rcpt("postmaster@mail.example")),
        ("TO:<a@b.example> NOTIFY=NEVER", Rcpt("a@b.example", frozenset())),
        ("TO:<a@b.example> notify=success,Delay", Rcpt("a@b.example", frozenset({"SUCCESS", "DELAY"}))),
        ("TO:<a@b.example> ORCPT=rfc822;Bob+40c@D", Rcpt("a@b.example", None, "rfc822;Bob@c@D")),
        ("TO:<a@b.example> ORCPT=utf-8;jos\\x{E9}@d", Rcpt("a@b.example", None, "utf-8;josé@d")),
    ],
)
def test_rcpt_is_read_as_clients_write_it(argument: str, expected: Rcpt) -> None:
    assert rcpt(argument) == expected


@pytest.mark.parametrize(
    "parameters",
    [
        "NOTIFY",
        "NOTIFY=",
        "NOTIFY=SUCCESS,NEVER",
        "NOTIFY=SUCCESS,SUCCESS",
        "NOTIFY=OFTEN",
        "ORCPT=bob@c.example",
        "ORCPT=rfc822;",
        "ORCPT=;bob",
        "ORCPT=rfc822;a+0D+0AX:+20y",
        "ORCPT=rfc822;a=b",
        "ORCPT=rfc822;a+2b",
        "ORCPT=utf-8;a\\x{A}b",
        "ORCPT=utf-8;a\\x{202E}b",
        "ORCPT=utf-8;a\\x{FFFFFF}b",
        f"ORCPT=rfc822;{'x' * 500}",
    ],
)
def test_dsn_parameters_that_could_harm_a_report_are_refused(parameters: str) -> None:
    with pytest.raises(Refusal) as refusal:
        rcpt(f"TO:<a@b.example> {parameters}")
    assert (refusal.value.code, refusal.value.status) == (501, "5.5.4")


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_xtext_is_decoded_to_what_was_encoded(text: str) -> None:
    """RFC 3461 §4."""
    encoded = "".join(f"+{ord(char):02X}" if char in "+=" else char for char in text)
    assert xtext(encoded, "ENVID", longest=200) == text


@given(st.text(max_size=120), st.sampled_from(["FROM:", "TO:", "from:<", "TO:<a@b.example> ", "FROM:<a@b.example> "]))
def test_whatever_is_said_is_read_or_refused(text: str, lead: str) -> None:
    """Also lone surrogates, which stand for octets that are not UTF-8."""
    text = text.replace("\r", "").replace("\n", "")
    for argument in (lead + text, lead + text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")):
        for read in (mail, rcpt):
            code, address = 250, ""
            try:
                found = read(argument)
                address = found.reverse_path if isinstance(found, Mail) else found.address
            except Refusal as refusal:
                code = refusal.code
            assert code in {250, 501, 552, 553, 555}
            assert not address or "@" in address
            assert address == "" or address.isprintable()
