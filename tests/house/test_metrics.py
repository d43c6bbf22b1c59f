"""The page for monitoring programs: what stands on it, that it adds up, and what never stands on it."""

from __future__ import annotations

import http.client
import imaplib
import poplib
import re
import smtplib
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from cryptnsend import metrics
from cryptnsend.config import Config
from cryptnsend.core.errors import ConfigError, Denied, Temporary, Throttled, WrongSecret
from cryptnsend.core.places import is_near
from cryptnsend.delivery.outcome import Outcome
from cryptnsend.demo.house import House as Served
from cryptnsend.flow.deliver import _count
from cryptnsend.home import Home
from cryptnsend.monitoring import _BROKEN, Figures, _entries, exposed
from cryptnsend.rights import ROLES
from tests.support.house import House
from tests.support.waiting import wait_for

DOCS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
PASSWORD = "harbour violet tractor ninety"


class _UnixConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self.host)


def page(place: Path | tuple[str, int], path: str = "/metrics") -> tuple[int, str, str]:
    """Return status, content type and text of the page."""
    if isinstance(place, Path):
        connection: http.client.HTTPConnection = _UnixConnection(str(place))
    else:
        connection = http.client.HTTPConnection(*place, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the values by name and label values in our order; the library's own parser judges the format."""
    order = {metric.shown: metric.labels for metric in metrics.METRICS}
    return {
        (sample.name, tuple(sample.labels[label] for label in order[sample.name])): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def counting() -> Iterator[None]:
    metrics.start("submission")
    yield
    metrics.stop()


def test_the_table_of_the_page_is_what_is_exported() -> None:
    table = re.findall(r"^\| `(cryptnsend_\w+)` \| (\w+) \| ([^|]*)\| ([^|]*) \|$", DOCS.read_text(), re.MULTILINE)
    told = {(name, kind, tuple(re.findall(r"`(\w+)`", labels)), words) for name, kind, labels, words in table}
    assert told == {(metric.shown, metric.kind, metric.labels, metric.help) for metric in metrics.METRICS}


def test_a_server_counts_in_all_roles_on_one_page(served: Served) -> None:
    served.run("subscriber", "add", "figures@gmail.example", "--password-stdin", stdin=PASSWORD + "\n")
    place = served.path / "run" / "courier" / "metrics.sock"
    before = samples(page(place)[2])
    ports = served.home.ports()
    with smtplib.SMTP_SSL("localhost", ports["submissions"], context=served.context(), timeout=60) as client:
        client.login("figures@gmail.example", PASSWORD)
        text = "From: figures@gmail.example\r\nTo: pat@yahoo.example\r\nSubject: Figures\r\n\r\nFine.\r\n"
        client.sendmail("figures@gmail.example", ["pat@yahoo.example"], text)
        assert client.docmd("NONSENSE")[0] == 500
    with smtplib.SMTP("localhost", ports["inbound"], local_hostname="mx.peer.example", timeout=60) as client:
        client.starttls()
        client.ehlo()
        client.mail("eve@evil.example")
        assert client.rcpt("nobody@yahoo.example")[0] == 550
    with urllib.request.urlopen(f"{served.base_url}/healthz", context=served.context(), timeout=60) as answer:  # noqa: S310
        assert answer.status == 200

    def grown(name: str, *labels: str) -> float:
        now = samples(page(place)[2])
        return now.get((name, labels), 0) - before.get((name, labels), 0)

    assert grown("cryptnsend_messages_accepted_total", "smtp") == 1
    assert grown("cryptnsend_smtp_refusals_total", "submission", "500", "5.5.1") == 1

    def delivered(found: dict[tuple[str, tuple[str, ...]], float]) -> float:
        """Return how many notices left."""
        wanted = ("cryptnsend_delivery_attempts_total", ("notice", "delivered"))
        return sum(value for (name, labels), value in found.items() if (name, labels[:2]) == wanted)

    wait_for(lambda: delivered(samples(page(place)[2])) > delivered(before), "the notice is counted")
    now = samples(page(place)[2])
    assert any(name == "cryptnsend_keeper_requests_total" and labels[0] == "submission" for name, labels in now)
    assert any(name == "cryptnsend_smtp_refusals_total" and labels[0] == "inbound" for name, labels in now)
    assert any(name == "cryptnsend_delivery_tls_total" for name, _ in now)
    assert now["cryptnsend_portal_responses_total", ("GET", "2xx")] >= 1
    assert all(now["cryptnsend_role_starts_total", (role,)] >= 1 for role in ROLES)


def test_sign_ins_and_commands_of_mail_programs_are_counted_by_what_came_of_them(served: Served) -> None:
    served.run("subscriber", "add", "reads@gmail.example", "--password-stdin", stdin=PASSWORD + "\n")
    place = served.path / "run" / "courier" / "metrics.sock"
    before = samples(page(place)[2])
    ports, context = served.home.ports(), served.context()
    with imaplib.IMAP4_SSL("localhost", ports["imaps"], ssl_context=context, timeout=60) as client:
        with pytest.raises(imaplib.IMAP4.error):
            client.login("reads@gmail.example", "wrong")
        client.login("reads@gmail.example", PASSWORD)
        client.select()
        assert client.select("Nowhere")[0] == "NO"
    reader = poplib.POP3_SSL("localhost", ports["pop3s"], context=context, timeout=60)
    reader.user("reads@gmail.example")
    reader.pass_(PASSWORD)
    reader.noop()
    reader.quit()

    def grown(name: str, *labels: str) -> float:
        now = samples(page(place)[2])
        return now.get((name, labels), 0) - before.get((name, labels), 0)

    signed_in, commands = "cryptnsend_sign_ins_total", "cryptnsend_mailbox_commands_total"
    assert grown(signed_in, "mailbox", "wrong") >= 1
    assert grown(signed_in, "mailbox", "ok") >= 2
    assert grown(commands, "imap", "LOGIN", "refused") >= 1
    assert grown(commands, "imap", "SELECT", "done") >= 1
    assert grown(commands, "imap", "SELECT", "refused") >= 1
    assert grown(commands, "pop", "NOOP", "done") >= 1


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (WrongSecret("no"), "wrong"),
        (Denied("no"), "wrong"),
        (Throttled("wait", retry_after=60), "throttled"),
        (Temporary("later"), "unavailable"),
        (KeyError(), "unavailable"),
        (None, "ok"),
    ],
)
def test_a_sign_in_counts_once_by_how_it_ends(counting: None, error: Exception | None, result: str) -> None:
    with suppress(type(error) if error else KeyError), metrics.signing_in():
        if error is not None:
            raise error
    assert metrics.counted() == {("sign_ins", ("submission", result)): 1.0}


def test_the_page_is_openmetrics_and_names_nobody(served: Served) -> None:
    place = served.path / "run" / "courier" / "metrics.sock"
    wait_for(place.exists, "the courier has its page")  # the doors are open before it
    status, kind, text = page(place)
    assert (status, kind.partition(";")[0]) == (200, "application/openmetrics-text")
    assert text.endswith("# EOF\n")
    known = {metric.shown for metric in metrics.METRICS}
    assert {name for name, _ in samples(text)} <= known
    assert "@" not in text
    assert "example" not in text
    assert page(place, "/")[0] == 404


COUNT = """
import sys
from pathlib import Path
from cryptnsend import metrics
metrics.start("submission", Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    metrics.count("smtp_refusals", code="550", status="5.7.1")
"""


def counted_elsewhere(home: Home, role: str, times: int) -> None:
    """Let a process count and end."""
    home.metrics.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-c", COUNT, str(home.metrics / role), str(times)], check=True, timeout=120)


def test_counts_of_processes_that_have_ended_stay_and_add_up(house: House) -> None:
    counted_elsewhere(house.home, "submission", 2)
    counted_elsewhere(house.home, "submission", 3)
    found = samples(Figures(house.home, house.engine, house.clock).text().decode())
    assert found["cryptnsend_smtp_refusals_total", ("submission", "550", "5.7.1")] == 5
    (file, _) = house.home.metrics.glob("submission/*.db")
    assert file.stat().st_mode & 0o022 == 0, "nobody else may cut short what is mapped into memory"


@pytest.mark.parametrize("octets", [b"", b"x", b"\xff" * 100, b"\x40\x00\x00\x00" + b"\x00" * 60, b"{" * 4096,
                                    b"\x00\x10\x00\x00\x00\x00\x00\x00\xf0\xff\xff\xff" + b"\x00" * 4096])  # fmt: skip
def test_a_file_that_a_taken_over_role_made_up_spoils_nothing_else(house: House, octets: bytes) -> None:
    counted_elsewhere(house.home, "submission", 1)
    (house.home.metrics / "portal").mkdir(exist_ok=True)
    (house.home.metrics / "portal" / "counter_1.db").write_bytes(octets)
    found = samples(Figures(house.home, house.engine, house.clock).text().decode())
    assert found["cryptnsend_smtp_refusals_total", ("submission", "550", "5.7.1")] == 1


@given(octets=st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: b"\x00\x01\x00\x00" + rest))
def test_whatever_is_in_a_file_reading_it_ends(octets: bytes) -> None:
    with suppress(*_BROKEN):
        assert len(list(_entries(octets))) <= len(octets)


def test_labels_that_are_none_of_ours_stay_out(house: House) -> None:
    """A role that was taken over cannot write addresses or pages of text onto the page."""
    from prometheus_client.mmap_dict import MmapedDict, mmap_key

    (house.home.metrics / "portal").mkdir(parents=True, exist_ok=True)
    made = MmapedDict(str(house.home.metrics / "portal" / "counter_1.db"))
    for name, label in (("messages_accepted", "pat@yahoo.example"), ("messages_accepted", "x" * 41), ("other", "smtp")):
        shown = f"cryptnsend_{name}_total"
        made.write_value(mmap_key(f"cryptnsend_{name}", shown, ("origin",), (label,), "help"), 1.0, 0.0)
    made.write_value(
        mmap_key("cryptnsend_messages_accepted", "cryptnsend_messages_accepted_total", ("origin",), ("page",), ""),
        2.0, 0.0,
    )  # fmt: skip
    made.close()
    found = samples(Figures(house.home, house.engine, house.clock).text().decode())
    assert {name: value for name, value in found.items() if name[0].startswith("cryptnsend_messages")} == {
        ("cryptnsend_messages_accepted_total", ("page",)): 2
    }


def test_what_waits_is_measured(house: House) -> None:
    house.add_subscriber(ANN)
    empty = samples(Figures(house.home, house.engine, house.clock).text().decode())
    assert empty["cryptnsend_queue_oldest_due_seconds", ()] == 0
    house.submit(ANN, [PAT], house.mail(to=[PAT]))
    house.clock.forward(90_000)
    found = samples(Figures(house.home, house.engine, house.clock).text().decode())
    assert found["cryptnsend_queue_deliveries", ("due", "notice")] == 1
    assert found["cryptnsend_queue_oldest_due_seconds", ()] == pytest.approx(90, abs=1)
    assert found["cryptnsend_queue_oldest_seconds", ()] == pytest.approx(90, abs=1)
    assert found["cryptnsend_disk_free_bytes", ()] > 0


def test_a_store_that_does_not_answer_takes_only_the_gauges_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    counted_elsewhere(house.home, "submission", 1)
    figures = Figures(house.home, house.engine, house.clock)

    def gone(*_: object, **__: object) -> None:
        raise Temporary("busy")

    monkeypatch.setattr(house.engine, "query", gone)
    assert {name for name, _ in samples(figures.text().decode())} == {"cryptnsend_smtp_refusals_total"}


def test_messages_are_counted_once(house: House, counting: None) -> None:
    house.add_subscriber(ANN)
    octets = house.mail(to=[PAT])
    house.submit(ANN, [PAT], octets)
    house.submit(ANN, [PAT], octets)
    found = {name: value for name, value in metrics.counted().items() if name[0].startswith("messages")}
    assert found == {("messages_accepted", ("smtp",)): 1, ("messages_repeated", ("smtp",)): 1}


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (
            Outcome("delivered", 250, "2.0.0", tls="TLSv1.3, certificate proven by DANE", proof="dane"),
            {
                ("delivery_attempts", ("relay", "delivered", "2.0")): 1,
                ("delivery_tls", ("relay", "TLSv1.3", "dane")): 1,
            },
        ),
        (Outcome("delayed", 451, "4.7.650"), {("delivery_attempts", ("relay", "delayed", "4.7")): 1}),
        (Outcome("failed", 550, "5.999.1"), {("delivery_attempts", ("relay", "failed", "")): 1}),
        (Outcome("delayed", None, "4.3.2", reason=Outcome.BUSY), {}),
    ],
)
def test_attempts_are_counted_by_how_they_ended(counting: None, outcome: Outcome, expected: object) -> None:
    _count({"kind": "relay"}, outcome)
    assert metrics.counted() == expected


def test_without_being_started_counting_does_nothing() -> None:
    metrics.count("smtp_refusals", code="550", status="5.7.1")
    assert metrics.counted() == {}
    done = subprocess.run(
        [sys.executable, "-c", "import sys, cryptnsend.app, cryptnsend.metrics as m; m.count('x');"
         " print('prometheus_client' in sys.modules)"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip() == "False"


@contextmanager
def opened(config: Config, listen: str, text: str = "x") -> Iterator[socket.socket]:
    with exposed(listen, Home(config.server.home), lambda: text.encode()) as held:
        yield held


def test_it_listens_on_either_family_and_goes_away(config: Config) -> None:
    with opened(config, "127.0.0.1:0") as held:
        place = held.getsockname()[:2]
        assert page(place)[::2] == (200, "x")
    with pytest.raises(ConnectionRefusedError):
        page(place)
    path = Home(config.server.home).run / "courier" / "m.sock"
    for _ in range(2):
        with opened(config, "unix:run/courier/m.sock"):
            assert path.stat().st_mode & 0o007 == 0
            assert page(path)[0] == 200
        assert not path.exists()


def test_a_place_that_is_taken_is_told(config: Config) -> None:
    with (
        opened(config, "127.0.0.1:0") as held,
        pytest.raises(ConfigError, match="nobody can listen there"),
        opened(config, f"127.0.0.1:{held.getsockname()[1]}"),
    ):
        pytest.fail("two listen at one port")


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("", True), ("127.0.0.1:9464", True), ("127.8.0.1:1", True), ("[::1]:9464", True),
        ("unix:run/courier/metrics.sock", True), ("0.0.0.0:9464", False), ("192.0.2.1:9464", False),
        ("localhost:9464", False), ("127.0.0.1", False), ("[::]:9464", False), ("unix:/tmp/x.sock", False),
        ("unix:run/courier/../keeper/x.sock", False), ("unix:run/keeper/x.sock", False), ("unix:", False),
    ],
)  # fmt: skip
def test_it_listens_on_this_machine_only(value: str, allowed: bool) -> None:
    assert is_near(value) is allowed
