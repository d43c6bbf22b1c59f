"""Why did this go this way? On the author's page and at the operator's terminal."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from cryptnsend import metrics
from cryptnsend.__main__ import main
from cryptnsend.delivery.courier import Outcome
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.flow.ways import heaps, way_of
from tests.flow.conftest import DELIVERED, LATER, REFUSED, Desk
from tests.support.house import MINUTE, House, MakeHouse

ANN, PAT, KIM = "ann@gmail.example", "pat@yahoo.example", "kim@icloud.example"
PROVEN = replace(
    DELIVERED,
    tls="TLSv1.3, certificate proven by DANE",
    proof="dane",
    route="mx",
    address="192.0.2.1",
    cipher="TLS_AES_256_GCM_SHA384",
)
NO_PROOF = Outcome("failed", None, "5.7.10", "mx.example offers no TLS", "mx.example", reason=Outcome.PROOF_MISSING)


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN)


def queue(desk: Desk, *arguments: object) -> Result:
    """Run `queue` on the desk's home."""
    words = ["queue", *map(str, arguments), "--home", str(desk.house.home.path)]
    return CliRunner().invoke(main, words, prog_name="cryptnsend")


def send(desk: Desk, subject: str, *outcomes: Outcome, to: str = PAT) -> int:
    """Let a mail be tried once; what it leads to is delivered. Return the message."""
    message = desk.house.submit(ANN, [to], desk.house.mail(subject, to=[to]))
    desk.say(*outcomes, DELIVERED)
    desk.deliver()
    return message


def test_the_way_of_a_relayed_mail_is_told_to_its_author(desk: Desk, ann: int) -> None:
    message = send(desk, ":: lunch", PROVEN)
    (reached,) = desk.house.pickup.status(desk.house.session(ANN), message).recipients
    way = reached.way
    assert way is not None
    assert (way.why, way.route, way.host, way.address) == (
        "the subject begins with ::",
        "mx",
        "mx.example",
        "192.0.2.1",
    )
    assert (way.proof, way.tls, way.tries, way.told) == ("dane", PROVEN.tls, 1, "250 2.0.0 taken")


def test_mail_that_found_no_proven_way_says_why_it_was_sealed(make_house: MakeHouse) -> None:
    desk = Desk(make_house(policy={"default": "tls-or-vault"}))
    desk.house.add_subscriber(ANN)
    message = send(desk, "Results", NO_PROOF)
    (reached,) = desk.house.pickup.status(desk.house.session(ANN), message).recipients
    assert reached.way is not None
    assert reached.way.kind == "notice"
    assert reached.way.why.endswith("to the recipient's server (mx.example offers no TLS)")
    assert [each[1] for each in desk.answers.sent[:2]] == ["proven", "opportunistic"]
    assert [row["state"] for row in desk.house.queued("notice")] == ["delivered"]
    assert len(desk.house.queued("receipt")) == 1, "Pat needs a code, which Ann did not expect"
    desk.courier.close()


def test_what_turns_into_a_notice_counts_as_replaced_and_not_as_failed(make_house: MakeHouse) -> None:
    """An alarm on failures must not ring for what works as promised."""
    desk = Desk(make_house(policy={"default": "tls-or-vault"}))
    desk.house.add_subscriber(ANN)
    metrics.start("courier")
    try:
        send(desk, "Results", NO_PROOF)
        counted = {labels for name, labels in metrics.counted() if name == "delivery_attempts"}
    finally:
        metrics.stop()
    assert {("relay", "replaced", "5.7"), ("notice", "delivered", "2.0")} <= counted
    assert not [labels for labels in counted if "failed" in labels]
    desk.courier.close()


def test_one_receipt_tells_the_codes_of_all_whose_mail_was_sealed_on_its_way(make_house: MakeHouse) -> None:
    """Each recipient's way ends by itself; the author sent one mail."""
    desk = Desk(make_house(policy={"default": "tls-or-vault"}))
    desk.house.add_subscriber(ANN)
    people = [f"{name}@mx.example" for name in ("pat", "bob", "cy", "dee")]
    desk.house.submit(ANN, people, desk.house.mail("Results", to=people))
    desk.say(*[NO_PROOF, DELIVERED] * len(people), DELIVERED)
    desk.deliver()
    assert [row["state"] for row in desk.house.queued("notice")] == ["delivered"] * len(people)
    assert desk.answers.mails(ANN) == [], "whose mail ends a moment later is waited for"
    desk.house.clock.forward(5000)
    desk.deliver()
    (told,) = desk.answers.mails(ANN)
    text = told.get_body(("plain",)).get_content()
    assert all(person in text for person in people)
    desk.courier.close()


def test_tls_or_vault_leaves_by_a_proven_way_and_nothing_else_happens(make_house: MakeHouse) -> None:
    desk = Desk(make_house(policy={"default": "tls-or-vault"}))
    desk.house.add_subscriber(ANN)
    message = send(desk, "Results", PROVEN)
    assert [(each[0].recipient, each[1]) for each in desk.answers.sent] == [(PAT, "proven")]
    assert b"All is well." in desk.answers.sent[0][2]
    (reached,) = desk.house.pickup.status(desk.house.session(ANN), message).recipients
    assert reached.state == "relayed"
    desk.courier.close()


def test_show_tells_everything_about_one_delivery(desk: Desk, ann: int) -> None:
    send(desk, ":: lunch", PROVEN)
    ident = desk.row("relay")["id"]
    said = queue(desk, "show", ident).output
    for words in (
        f"{ident}, a relay",
        PAT,
        "delivered since ",
        "the subject begins with ::",
        "asks for:     TLS\n",
        "by the MX records of the domain",
        "mx.example [192.0.2.1]",
        "TLSv1.3, certificate proven by DANE, TLS_AES_256_GCM_SHA384",
        "proven by the domain's signed DNS (DANE)",
        "tries:        1\n",
        "250 2.0.0 taken",
    ):
        assert words in said, words
    found = json.loads(queue(desk, "show", ident, "--json").output)
    assert (found["proof"], found["tries"], found["host"], found["code"]) == ("dane", 1, "mx.example", "250")


def test_show_of_what_is_not_there_is_refused(desk: Desk) -> None:
    done = queue(desk, "show", 1)
    assert (done.exit_code, "There is no delivery 1." in done.output) == (4, True)


def test_a_strangers_words_do_not_reach_the_terminal_as_commands(desk: Desk, ann: int) -> None:
    send(desk, "Results", replace(REFUSED, reply="gone \x1b[2J away"))
    assert "\x1b" not in queue(desk, "show", desk.row()["id"]).output
    assert "\x1b" not in queue(desk, "list", "--counts", "--state", "failed").output


def test_the_list_is_narrowed_by_kind_and_domain_and_counted_by_reason(desk: Desk, ann: int) -> None:
    for to in (PAT, PAT, KIM):
        send(desk, "Results", LATER, to=to)
    rows = json.loads(queue(desk, "list", "--domain", "Yahoo.example", "--kind", "notice", "--json").output)
    assert [row["recipient"] for row in rows] == [PAT, PAT]
    assert json.loads(queue(desk, "list", "--kind", "dsn", "--json").output) == []
    counted = json.loads(queue(desk, "list", "--counts", "--json").output)
    assert [(heap["domain"], heap["state"], heap["status"], heap["count"]) for heap in counted] == [
        ("yahoo.example", "delayed", "4.7.1", 2),
        ("icloud.example", "delayed", "4.7.1", 1),
    ]
    table = queue(desk, "list", "--counts").output
    assert table.splitlines()[0].split() == ["domain", "state", "status", "deliveries", "oldest", "last", "reply"]
    assert "come again later" in table


def test_who_wants_to_retry_what_is_held_is_told_to_release_it(desk: Desk, ann: int) -> None:
    send(desk, "Results", LATER)
    ident = desk.row("notice")["id"]
    assert queue(desk, "hold", ident).exit_code == 0
    done = queue(desk, "retry", ident)
    assert (done.exit_code, f"`cryptnsend queue release {ident}`" in " ".join(done.output.split())) == (4, True)


def test_the_operator_sees_in_the_message_that_its_notice_failed(desk: Desk, ann: int) -> None:
    message = send(desk, "Results", REFUSED)
    words = ["message", "show", str(message), "--json", "--home", str(desk.house.home.path)]
    (one,) = json.loads(CliRunner().invoke(main, words, prog_name="cryptnsend").output)["recipients"]
    assert (one["address"], one["delivery"]) == (PAT, "failed")


def test_what_is_held_is_not_tried_until_it_is_released(desk: Desk, ann: int) -> None:
    send(desk, "Results", LATER)
    ident = desk.row()["id"]
    assert queue(desk, "hold", ident).output == f"Delivery {ident} is held.\n"
    desk.house.clock.forward(60 * MINUTE)
    assert desk.deliver() == 0
    assert queue(desk, "hold", ident).exit_code == 4
    assert queue(desk, "release", ident).exit_code == 0
    assert desk.row()["state"] == "delayed"
    assert queue(desk, "release", ident).exit_code == 4


def test_what_is_held_for_another_reason_is_not_the_operators_to_release(desk: Desk, ann: int) -> None:
    desk.house.submit(ANN, [PAT], desk.house.mail())
    desk.house.tamper("UPDATE deliveries SET state = 'held'")
    assert queue(desk, "release", desk.row()["id"]).exit_code == 4


def test_rows_of_earlier_versions_have_less_to_say() -> None:
    row = {"kind": "notice", "state": "delivered", "attempts": 2, "outcome": "", "reply": "", "due": 7, "created": 1}
    way = way_of(row)
    assert (way.tries, way.told, way.host, way.proof, way.due) == (2, "", "", "", None)
    assert [heap.domain for heap in heaps([{**row, "recipient": None}])] == [""]


def policy(house: House, *words: str) -> Result:
    """Run `policy default` on a house's home."""
    return CliRunner().invoke(main, ["policy", "default", *words, "--why", "as agreed", "--home", str(house.home.path)])


def test_an_organisation_may_ask_for_proven_tls_of_its_own(make_house: MakeHouse) -> None:
    desk = Desk(make_house(policy={"default": "plain"}))
    org = desk.house.organisation("Clinic")
    desk.house.add_subscriber(ANN, organisation=org)
    assert policy(desk.house, "tls-or-vault").output == "Unmarked mail of this organisation goes by: tls-or-vault.\n"
    send(desk, "Results", PROVEN)
    assert desk.answers.sent[0][1] == "proven"
    assert ("owner", "policy.changed") in desk.house.audited(org)
    assert "installation's rule" in policy(desk.house, "inherit", "--organisation", "Clinic").output
    send(desk, "Lunch", DELIVERED)
    assert desk.answers.sent[-1][1] == "plain"
    desk.courier.close()


def test_an_organisation_never_asks_for_less_than_the_installation(desk: Desk) -> None:
    org = desk.house.organisation("Clinic")
    desk.house.add_subscriber(ANN, organisation=org)
    assert '[policy] default = "vault"' in policy(desk.house, "plain").output
    send(desk, "Results", DELIVERED)
    assert [row["kind"] for row in desk.house.queued("relay")] == []


def test_without_an_organisation_there_is_nothing_to_set(desk: Desk) -> None:
    assert policy(desk.house, "vault").exit_code == 4


def test_requiretls_goes_from_the_door_to_the_last_host(desk: Desk, ann: int) -> None:
    """RFC 8689: and what finds no host that keeps it becomes a notice, which needs no such promise."""
    house = desk.house
    author = Author(
        ann,
        house.engine.query("SELECT org FROM accounts WHERE id = :id", id=ann)[0]["org"],
        ANN,
        frozenset({ANN}),
        True,
    )
    draft = house.door.admission.begin(author, Envelope(ANN, (Addressee(PAT),), requiretls=True), "smtp")
    octets = house.mail(":: lunch")
    end = octets.index(b"\r\n\r\n") + 4
    draft.header(octets[:end])
    draft.body(octets[end:])
    draft.commit_now()
    desk.say(replace(NO_PROOF, status="5.7.30"), DELIVERED)
    desk.deliver()
    assert [(each[0].requiretls, each[1]) for each in desk.answers.sent[:2]] == [
        (True, "plain"),
        (False, "opportunistic"),
    ]
    assert desk.row("notice")["state"] == "delivered"
