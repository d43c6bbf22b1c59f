"""The commands that need no running server: init, dns, and how all of them take passwords and give answers."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
import trustme
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from cryptnsend.__main__ import COMMANDS, main
from cryptnsend.cli import options
from cryptnsend.cli.dns import records, zone_line
from cryptnsend.config import Config
from cryptnsend.core import errors
from cryptnsend.core.transport import policy_record, policy_text
from cryptnsend.delivery.mtasts import parse, record_id
from cryptnsend.home import Home
from tests.support.homes import make_home


def run(*arguments: object, **more: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="cryptnsend", **more)


def test_init_makes_a_home_that_can_be_loaded(short_folder):
    path = short_folder / "home"
    done = run("init", "--home", path, "--hostname", "mail.example", "--domain", "example", "--free-ports")
    assert done.exit_code == 0, done.output
    config = Config.load(path, {})
    assert (config.server.hostname, config.server.domain) == ("mail.example", "example")
    assert (config.ports.submissions, config.ports.submission, config.ports.portal) == (0, 0, 0)
    assert config.ports.bind == "127.0.0.1"
    assert config.tls.certificate.exists()


def test_init_takes_a_smarthost(short_folder):
    path = short_folder / "home"
    done = run("init", "--home", path, "--hostname", "mail.example", "--smarthost", "smtp://relay.example:25")
    assert done.exit_code == 0
    assert Config.load(path, {}).delivery.smarthost == "smtp://relay.example:25"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_overview_says_of_each_command_what_its_own_help_says_first(name):
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert COMMANDS[name][1] == command.get_short_help_str(500)


def test_the_overview_brings_in_no_command():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cryptnsend", "--help"], capture_output=True, text=True, check=True
    )
    brought = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cryptnsend.cli.options" in brought
    assert not {name for name in brought if name.startswith(("cryptnsend.flow", "cryptnsend.store", "structlog"))}


def test_a_value_that_is_not_allowed_ends_with_3_and_says_what_is(short_folder):
    done = run("init", "--home", short_folder / "home", "--hostname", "Mail Example")
    assert done.exit_code == 3
    assert '[server] hostname = "Mail Example": allowed is a host name' in done.output


def test_a_missing_home_ends_with_3_and_says_how_to_make_one(short_folder):
    done = run("dns", "--home", short_folder / "nowhere")
    assert done.exit_code == 3
    assert "`cryptnsend init` makes one" in done.output


def test_wrong_use_ends_with_2(short_folder):
    assert run("init", "--home", short_folder / "home").exit_code == 2
    assert run("no-such-command").exit_code == 2


def test_the_home_can_come_from_the_environment(config, home):
    done = run("dns", "--json", env={"CRYPTNSEND_HOME": str(home.path)})
    assert done.exit_code == 0
    assert {record["type"] for record in json.loads(done.output)} >= {"MX", "TXT", "file"}


@pytest.fixture
def installed(short_folder):
    """A home as `init` makes it; returns its path and the code of its recovery file."""
    done = run("init", "--home", short_folder / "home", "--hostname", "mail.example")
    assert done.exit_code == 0, done.output
    return short_folder / "home", done.output.partition("belongs in another place: ")[2].split()[0]


def test_cutting_off_what_a_command_wrote_shows_at_once(installed):
    home, _ = installed
    words = "harbour violet tractor ninety\n"
    added = run("subscriber", "add", "ann@gmail.example", "--own", "--home", home, "--password-stdin", input=words)
    assert added.exit_code == 0, added.output
    assert run("audit", "verify", "--home", home).exit_code == 0
    with contextlib.closing(sqlite3.connect(home / "data" / "main.db")) as rows:
        newest = "SELECT max(seq) FROM audit b WHERE b.org = audit.org"
        rows.execute(f"DELETE FROM audit WHERE org > 0 AND seq = ({newest})")  # noqa: S608 - both texts are ours
        rows.commit()
    assert run("audit", "verify", "--home", home).exit_code == 1


def test_a_password_set_without_the_old_one_says_what_that_closes(installed):
    home, _ = installed
    old, new = "harbour violet tractor ninety\n", "lantern gravel mosaic forty\n"
    who = ("ann@gmail.example", "--home", home, "--password-stdin")
    assert run("subscriber", "add", *who, "--own", input=old).exit_code == 0
    usual = run("subscriber", "passwd", *who, input=old + new)
    assert usual.output == "ann@gmail.example has a new password; other sessions have ended, devices stay.\n"
    weak = run("subscriber", "passwd", *who, "--forgotten", input=old)
    assert "set without the old one" in weak.output
    assert "Mail from before stays closed" in weak.output
    assert "the recovery code, a device password, or an officer's word" in weak.output


def test_an_address_at_the_servers_own_domain_cannot_be_added(installed):
    home, _ = installed
    done = run("subscriber", "add", "ann@mail.example", "--own", "--home", home, "--password-stdin",
               input="harbour violet tractor ninety\n")  # fmt: skip
    assert (done.exit_code, "the domain of this server's own addresses" in done.output) == (4, True)


def test_the_recovery_file_brings_the_master_key_back(installed, short_folder):
    home, code = installed
    file, key = home / "recovery" / "installation.txt", home / "keeper" / "master.key"
    assert code not in file.read_text()
    other = short_folder / "other"
    assert run("init", "--home", other, "--hostname", "mail.example", "--for-restore").exit_code == 0
    assert not list((other / "keeper").iterdir())
    assert run("recover", file, "--home", other, "--password-stdin", input=f"{code}\n").exit_code == 0
    assert (other / "keeper" / "master.key").read_bytes() == key.read_bytes()
    again = run("recover", file, "--home", other, "--password-stdin")  # and asks for no code
    assert (again.exit_code, "there is a master key here already" in again.output) == (4, True)


def test_what_a_phone_reads_from_the_printed_sheet_is_the_recovery_file(installed, short_folder, browser):
    home, code = installed
    text = (home / "recovery" / "installation.txt").read_text()
    page = browser.new_page(viewport={"width": 794, "height": 1123})  # A4 at 96 dots an inch
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((home / "recovery" / "installation.html").as_uri())
    page.screenshot(path=short_folder / "sheet.png")
    assert page.evaluate("document.documentElement.scrollHeight") <= 1123  # one sheet of paper
    page.close()
    assert len(asked) == 1
    assert code not in (home / "recovery" / "installation.html").read_text()
    read = subprocess.run(
        ["zbarimg", "--raw", "-q", short_folder / "sheet.png"], capture_output=True, text=True, check=True
    )
    assert read.stdout.strip()
    assert text.startswith(read.stdout.strip())
    scanned, other = short_folder / "scanned.txt", short_folder / "other"
    scanned.write_text(read.stdout)
    assert run("init", "--home", other, "--hostname", "mail.example", "--for-restore").exit_code == 0
    assert run("recover", scanned, "--home", other, "--password-stdin", input=f"{code}\n").exit_code == 0
    assert (other / "keeper" / "master.key").read_bytes() == (home / "keeper" / "master.key").read_bytes()


def test_a_recovery_file_is_worth_nothing_without_its_code(installed, short_folder):
    home, code = installed
    assert run("init", "--home", short_folder / "other", "--hostname", "mail.example", "--for-restore").exit_code == 0
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    for tried in (wrong, "", "plum"):
        done = run(
            "recover",
            *(home / "recovery" / "installation.txt", "--home", short_folder / "other", "--password-stdin"),
            input=f"{tried}\n",
        )
        assert done.exit_code in (2, 4)
    assert not list((short_folder / "other" / "keeper").iterdir())


def test_a_master_key_of_another_installation_is_not_left_in_a_home(installed, short_folder):
    home, code = installed
    assert run("init", "--home", short_folder / "other", "--hostname", "mail.example").exit_code == 0
    (short_folder / "other" / "keeper" / "master.key").unlink()
    file = home / "recovery" / "installation.txt"
    done = run("recover", file, "--home", short_folder / "other", "--password-stdin", input=f"{code}\n")
    assert (done.exit_code, "does not open the ledger of this home" in done.output) == (4, True)
    assert not (short_folder / "other" / "keeper" / "master.key").exists()


def test_dns_prints_zone_lines_with_strings_of_at_most_255(config, home):
    done = run("dns", "--zone", "--address", "192.0.2.1", "--address", "2001:db8::1", "--home", home.path)
    lines = [line for line in done.output.splitlines() if not line.startswith(";")]
    assert [(line.split()[0].removesuffix("mail.clinic.example."), line.split()[3]) for line in lines] == [
        ("", "A"), ("", "AAAA"), ("", "MX"), ("", "TXT"), ("ed1._domainkey.", "TXT"), ("rsa1._domainkey.", "TXT"),
        ("_dmarc.", "TXT"), ("_mta-sts.", "TXT"), ("mta-sts.", "CNAME"), ("_smtp._tls.", "TXT"), ("_25._tcp.", "TLSA"),
    ]  # fmt: skip
    for line in lines:
        for string in line.split('"')[1::2]:
            assert len(string) <= 255
    assert "; 1.2.0.192.in-addr.arpa. 3600 IN PTR mail.clinic.example." in done.output.splitlines()
    assert ";   mode: testing" in done.output


@pytest.mark.parametrize("kind", ["key", "certificate"])
def test_dns_prints_a_second_tlsa_record_for_the_key_that_comes_next(config, home, kind):
    """Servers that go by DANE remember the old record for a while (RFC 7671 §8.1)."""
    (now,) = [each for each in records(config) if each.type == "TLSA"]
    assert f"put that as {home.path}/tls/next-key.pem" in now.why
    leaf = trustme.CA().issue_cert("mail.clinic.example")
    pem = leaf.private_key_pem if kind == "key" else leaf.cert_chain_pems[0]
    pem.write_to_path(home.path / "tls" / "next-key.pem")
    certificate = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    first, second = [each.value for each in records(config) if each.type == "TLSA"]
    assert (first, second) == (now.value, f"3 1 1 {hashlib.sha256(octets).hexdigest()}")
    (home.path / "tls" / "next-key.pem").write_bytes(b"nonsense")
    assert [each.value for each in records(config) if each.type == "TLSA"] == [now.value]


def test_dns_tells_what_only_the_operator_knows(config, home):
    told = json.loads(run("dns", "--json", "--home", home.path).output)
    assert [each["type"] for each in told if not each["value"]] == ["A", "AAAA"]
    assert all(each["why"] for each in told)
    assert "its public IPv4 address" in run("dns", "--home", home.path).output
    bound = replace(config, ports=replace(config.ports, bind="192.0.2.1"))
    assert [each.value for each in records(bound) if each.type in ("A", "AAAA")] == ["192.0.2.1"]
    done = run("dns", "--address", "mail.clinic.example", "--home", home.path)
    assert (done.exit_code, "not an IPv4 or IPv6 address" in done.output) == (2, True)


def test_dns_prints_nothing_that_a_door_would_have_to_keep_that_is_not_there(config):
    closed = replace(config, inbound=replace(config.inbound, enabled=False))
    assert {each.type for each in records(closed)} == {"A", "AAAA", "PTR", "TXT"}
    relayed = replace(config, delivery=replace(config.delivery, smarthost="smtp://relay.example:25"))
    assert "PTR" not in {each.type for each in records(relayed)}
    assert any("your smarthost" in each.why for each in records(relayed))


@pytest.mark.parametrize("mode", ["enforce", "testing", "none"])
def test_our_policy_is_one_and_its_id_follows_it(config, mode):
    changed = replace(config, inbound=replace(config.inbound, mta_sts=mode))
    ((text, record),) = [(each.value, id_.value) for each in records(changed) if each.type == "file"
                         for id_ in records(changed) if id_.name.startswith("_mta-sts.")]  # fmt: skip
    policy = parse(text.encode())
    assert (policy.mode, policy.allows("mail.clinic.example")) == (mode, mode != "none")
    assert record_id([record])
    other = "none" if mode != "none" else "enforce"
    assert policy_record(policy_text(other, "mail.clinic.example")) != record


def test_the_published_key_verifies_what_the_signing_key_signs(config, home):
    """RFC 6376 §3.6.1: p= is the SubjectPublicKeyInfo of an RSA key; RFC 8463 §4.2: the 32 octets of an Ed25519 key."""
    published = {
        record.name.partition(".")[0]: record.value for record in records(config) if "_domainkey" in record.name
    }
    keys = {name: base64.b64decode(value.partition("p=")[2]) for name, value in published.items()}
    private = {name: load_pem_private_key((home.dkim / f"{name}.pem").read_bytes(), None) for name in keys}
    assert load_der_public_key(keys["rsa1"]) == private["rsa1"].public_key()
    Ed25519PublicKey.from_public_bytes(keys["ed1"]).verify(private["ed1"].sign(b"mail"), b"mail")


def test_fixed_ports_are_announced_to_clients(short_folder):
    config = make_home(short_folder / "home", {"ports": {"submissions": 465, "submission": 587}})
    lines = [zone_line(record) for record in records(config)]
    assert "_submissions._tcp.mail.clinic.example. 3600 IN SRV 0 1 465 mail.clinic.example." in lines
    assert "_submission._tcp.mail.clinic.example. 3600 IN SRV 0 1 587 mail.clinic.example." in lines
    config = make_home(short_folder / "other", {"ports": {"imaps": 993, "pop3s": 995}})
    read = [(each.name, each.value) for each in records(config) if each.type == "SRV"]
    assert read == [
        ("_imaps._tcp.mail.clinic.example", "0 1 993 mail.clinic.example."),
        ("_pop3s._tcp.mail.clinic.example", "0 1 995 mail.clinic.example."),
    ]
    closed = replace(config, mailbox=replace(config.mailbox, enabled=False))
    assert "SRV" not in {each.type for each in records(closed)}


def test_a_file_in_dkim_that_is_no_signing_key_is_told(config, home):
    (home.dkim / "ed1.pem").write_bytes(config.tls.key.read_bytes())
    done = run("dns", "--home", home.path)
    assert done.exit_code == 3
    assert "a DKIM key is RSA or Ed25519" in done.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("c"), 3),
        (errors.WrongSecret("w"), 4),
        (errors.NoGrant("n"), 4),
        (errors.Refusal("r"), 4),
        (errors.SealBroken("s"), 4),
        (errors.KeeperGone("k"), 5),
        (errors.StoreBroken("b"), 5),
    ],
)
def test_each_kind_of_error_has_its_exit_code_and_shows_its_text(error, code):
    @click.group(cls=options.Commands)
    def group() -> None:
        """A group."""

    @group.command()
    def fails() -> None:
        """Fail."""
        raise error

    done = CliRunner().invoke(group, ["fails"])
    assert done.exit_code == code
    assert done.output == f"Error: {error}\n"


@click.command()
@options.password_option
def asks(from_stdin: bool) -> None:
    """Ask for two passwords."""
    click.echo([options.read_password(from_stdin, "Old"), options.read_password(from_stdin, "New", new=True)])


def test_passwords_come_from_standard_input_one_a_line_with_their_spaces():
    done = CliRunner().invoke(asks, ["--password-stdin"], input=" old pass \nnéw pass\r\n")
    assert done.output == "[' old pass ', 'néw pass']\n"


def test_a_missing_line_on_standard_input_is_told():
    done = CliRunner().invoke(asks, ["--password-stdin"], input="only one\n")
    assert done.exit_code == 2
    assert "has no line for: New" in done.output


def test_a_new_password_is_typed_twice_and_not_shown():
    done = CliRunner().invoke(asks, input="old\nnew\nnew\n")
    assert done.exit_code == 0
    assert "old" not in done.output.partition("[")[0]
    assert done.output.endswith("['old', 'new']\n")


def test_what_strangers_wrote_cannot_steer_the_terminal(capsys):
    options.show_table([{"name": "a\x1b[2Jb\u202ec"}], {"name": "who"}, empty="none")
    assert capsys.readouterr().out == "who\na\ufffd[2Jb\ufffdc\n"


class Watched(io.StringIO):
    """A terminal somebody sits at."""

    def isatty(self) -> bool:
        return True


def test_bars_come_one_after_the_other_and_only_where_somebody_watches(monkeypatch):
    for stream in (Watched(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        with options.Progress() as progress:
            for what in ("main.db", "blobs"):
                for done in (1, 2, 4):
                    progress(what, done, 4)
        lines = stream.getvalue().split("\n")[:-1]
        if stream.isatty():
            last = [line.rpartition("\r")[2] for line in lines]
            assert [("main.db" in line, "blobs" in line, "100%" in line) for line in last] == [
                (True, False, True), (False, True, True),
            ]  # fmt: skip
        else:
            assert lines == []


def test_an_empty_table_says_so(capsys):
    options.show_table([], {"name": "who"}, empty="Nobody is here.")
    assert capsys.readouterr().out == "Nobody is here.\n"


def test_places_of_a_home_are_where_the_documentation_says(home):
    text = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
    for place in (home.main_db, home.ledger, home.journal, home.ports_file):
        assert str(place.relative_to(home.path)) in text or place.name in text
    assert Home(home.path) == home


def test_recover_looks_at_the_file_before_it_asks_for_a_code(installed, short_folder):
    home, _ = installed
    words = "harbour violet tractor ninety\n"
    assert run("subscriber", "add", "ann@gmail.example", "--home", home, "--password-stdin", input=words).exit_code == 0
    other = short_folder / "other"
    assert run("init", "--home", other, "--hostname", "mail.example", "--for-restore").exit_code == 0
    for file, said in (
        (home / "recovery" / "archive-ann@gmail.example.txt", "the recovery file of an organisation's archive"),
        (home / "cryptnsend.toml", "This is not a recovery file."),
        (home / "data" / "main.db", "cannot be read as a recovery file"),
    ):
        done = run("recover", file, "--home", other, "--password-stdin")
        assert (done.exit_code, said in done.output) == (4, True), done.output


def test_an_international_name_is_taken_as_people_write_it(short_folder):
    done = run(
        "init", "--home", short_folder / "home", "--hostname", "Bücher.example", "--domain", "secure.Bücher.example"
    )
    assert done.exit_code == 0, done.output
    server = Config.load(short_folder / "home", {}).server
    assert (server.hostname, server.domain) == ("xn--bcher-kva.example", "secure.xn--bcher-kva.example")


@pytest.mark.parametrize(
    ("officer", "said"),
    [
        ("ann@bücher.example", "at bücher.example, the domain of the server's own addresses"),
        ("ann@XN--BCHER-KVA.example", "the domain of the server's own addresses"),
        ("ann", "'ann' is not a mail address: An address needs a name, an @ and a domain."),
        ("ann@[127.0.0.1]", "is not a mail address"),
    ],
)
def test_init_makes_nothing_for_an_officer_who_cannot_be(short_folder, officer, said):
    for host in ("bücher.example", "xn--bcher-kva.example"):
        done = run(
            "init", "--home", short_folder / "home", "--hostname", host, "--officer", officer, "--password-stdin"
        )
        assert (done.exit_code, said.replace("bücher.example,", f"{host},") in done.output) == (2, True), done.output
        assert not (short_folder / "home").exists()


def test_an_officers_password_of_an_interrupted_init_is_asked_for_again(short_folder, monkeypatch):
    init = ("init", "--home", short_folder / "home", "--hostname", "mail.example", "--officer", "ann@gmail.example")
    first, other = "harbour violet tractor ninety\n", "lantern gravel mosaic forty\n"

    def broken(_config):
        raise errors.KeeperGone("The power went out.")

    with monkeypatch.context() as interrupted:
        interrupted.setattr("cryptnsend.cli.init.finish", broken)
        assert run(*init, "--password-stdin", input=first).exit_code == 5
    done = run(*init, "--password-stdin", input=other)
    assert (done.exit_code, "has given ann@gmail.example another password" in done.output) == (4, True), done.output
    assert run(*init, "--password-stdin", input=first).exit_code == 0


@pytest.mark.parametrize(
    "own", [("--hostname", "clinic.example"), ("--hostname", "h.example", "--domain", "clinic.example")]
)
def test_init_refuses_an_officer_whose_mailbox_would_lose_its_mail_to_us(short_folder, own):
    done = run("init", "--home", short_folder / "home", *own, "--officer", "ann@Clinic.example", "--password-stdin")
    assert done.exit_code == 2
    assert "--domain secure.clinic.example" in done.output
    assert not (short_folder / "home").exists()
