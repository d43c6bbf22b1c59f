"""Which thread does a message join, and who gets which key?"""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import NoGrant, Refusal, StoreBroken
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.flow.holders import Unvouched
from cryptnsend.store.records import accounts, messages
from tests.flow.answering import answer, message_id, reply
from tests.flow.rows import count, deliveries, grants, recipients, thread_of
from tests.support.house import MINUTE, House

ANN, PAT, BOB, CARL, EVE = (
    "ann@gmail.example", "pat@yahoo.example", "bob@clinic.example", "carl@mail.example", "eve@mail.example",
)  # fmt: skip


# -- threads ----------------------------------------------------------------------------------------------------------


def test_a_mail_that_answers_nothing_starts_a_thread_of_its_author(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    thread = thread_of(house, message)
    assert (thread["subscriber"], thread["parent"]) == (ann, None)


@pytest.mark.parametrize("field", ["In-Reply-To", "References"])
def test_a_mail_joins_the_thread_of_the_message_it_names(house: House, ann: int, field: str) -> None:
    first = house.submit(ANN, [PAT], house.mail())
    second = answer(house, ANN, [PAT, CARL], message_id(house, first), field=field)
    assert thread_of(house, second)["id"] == thread_of(house, first)["id"]
    assert thread_of(house, second)["parent"] == first


def test_an_answer_to_a_mail_of_ours_joins_the_thread_of_what_it_was_about(house: House, ann: int) -> None:
    first = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, first)
    replied = reply(house, PAT, first)
    handoff = house.queued("handoff")[-1]
    domain = house.config.server.domain
    for ident in (f"<d{handoff['id']}@{domain}>", f"<m{replied}@{domain}>", f"<D{handoff['id']}@{domain.upper()}>"):
        second = answer(house, ANN, [house.reply_token(replied, PAT)], ident)
        if ident.startswith("<D"):
            assert thread_of(house, second)["id"] != thread_of(house, first)["id"]  # local parts are not ours to fold
        else:
            assert (thread_of(house, second)["id"], thread_of(house, second)["parent"]) == (
                thread_of(house, first)["id"],
                replied,
            )


@pytest.mark.parametrize(
    "ident",
    ["<d99999999999999999999@{0}>", "<d-1@{0}>", "<d²@{0}>", "<m@{0}>", "<d1@{0}>", "<x1@{0}>", "<unknown@c.example>"],
)
def test_an_id_that_is_not_known_starts_a_thread(house: House, ann: int, ident: str) -> None:
    message = answer(house, ANN, [PAT], ident.format(house.config.server.domain))
    assert thread_of(house, message)["parent"] is None


def test_nobody_joins_a_thread_by_an_id_they_were_not_granted(house: House, ann: int) -> None:
    first = house.submit(ANN, [PAT], house.mail())
    house.add_subscriber(EVE, name="Eve")
    second = answer(house, EVE, [PAT], message_id(house, first))
    assert thread_of(house, second)["subscriber"] == house.account(EVE)
    third = answer(house, EVE, [PAT], f"<m{first}@{house.config.server.domain}>")
    assert thread_of(house, third)["subscriber"] == house.account(EVE)


def test_who_copies_a_message_id_does_not_catch_the_answers(house: House, ann: int) -> None:
    house.add_subscriber(BOB, name="Bob")
    house.add_subscriber(EVE, name="Eve")
    first = house.submit(ANN, [BOB, EVE], house.mail(to=[BOB, EVE]))
    house.prove(house.session(BOB), BOB, first)
    ident = message_id(house, first)
    forged = house.mail("Results", author=EVE, to=[BOB, ANN]).replace(
        next(line for line in house.mail().split(b"\r\n") if line.startswith(b"Message-ID"))[:11], b"X-Old:"
    )
    forged = forged.replace(b"X-Old:", b"X-Old:", 1).replace(
        b"\r\n\r\n", f"\r\nMessage-ID: {ident}\r\n\r\n".encode(), 1
    )
    copied = house.submit(EVE, [BOB, ANN], forged)
    house.prove(house.session(BOB), BOB, copied)
    assert message_id(house, copied) == ident
    answered = answer(house, BOB, [ANN], ident)
    assert thread_of(house, answered)["subscriber"] == ann
    assert f"archive:{thread_of(house, copied)['org']}" not in {holder for holder, _ in grants(house, answered)}


def test_a_subscribers_answer_to_somebody_elses_thread_stays_there_among_its_people(house: House, ann: int) -> None:
    house.add_subscriber(BOB, name="Bob")
    first = house.submit(ANN, [BOB, PAT], house.mail(to=[BOB], cc=[PAT]))
    house.prove(house.session(BOB), BOB, first)
    inside = answer(house, BOB, [ANN, PAT], message_id(house, first))
    assert thread_of(house, inside)["subscriber"] == ann
    assert recipients(house, inside)[ANN]["reason"] == "thread-subscriber"
    outside = answer(house, BOB, [ANN, CARL], message_id(house, first))
    assert thread_of(house, outside)["subscriber"] == house.account(BOB)


def test_an_own_copy_does_not_leave_the_thread(house: House, ann: int) -> None:
    house.add_subscriber(BOB, name="Bob")
    first = house.submit(ANN, [BOB], house.mail(to=[PAT]))  # Bob was written to in secret
    house.prove(house.session(BOB), BOB, first)
    second = answer(house, BOB, [ANN, BOB], message_id(house, first))
    assert thread_of(house, second)["subscriber"] == ann


def test_where_an_answer_goes_does_not_tell_who_was_written_to_in_secret(house: House, ann: int) -> None:
    house.add_subscriber(BOB, name="Bob")
    first = house.submit(ANN, [BOB, CARL, EVE], house.mail(to=[BOB], bcc=[CARL]))
    house.prove(house.session(BOB), BOB, first)
    to_secret = answer(house, BOB, [ANN, CARL], message_id(house, first))
    to_stranger = answer(house, BOB, [ANN, PAT], message_id(house, first))
    assert (
        thread_of(house, to_secret)["subscriber"] == thread_of(house, to_stranger)["subscriber"] == house.account(BOB)
    )


def test_who_only_receives_may_answer_but_not_write_to_others(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(to=[PAT], bcc=[CARL]))
    pat = house.register(PAT, message)
    author = Author(pat.account, pat.organisation, PAT, frozenset({PAT}), False)
    for to, parent in (([ANN], None), ([ANN, EVE], message), ([CARL], message), ([ANN], message + 1)):
        draft = house.portal.admission.begin(author, Envelope("", tuple(map(Addressee, to))), "reply", parent=parent)
        draft.header(house.mail(author=PAT, to=to))
        with pytest.raises(Refusal, match="not start a new conversation"):
            draft.commit_now()


def test_after_a_recall_nobody_answers_into_the_thread(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    house.pickup.expire(house.session(ANN), message)
    draft = house.portal.admission.begin(
        Author(pat.account, pat.organisation, PAT, frozenset({PAT}), False),
        Envelope("", (Addressee(ANN),)),
        "reply",
        parent=message,
    )
    draft.header(house.mail(author=PAT))
    with pytest.raises(Refusal):
        draft.commit_now()


def test_the_thread_s_subscriber_reads_replies_without_end_and_without_a_code(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, message)
    replied = reply(house, PAT, message)
    held = grants(house, replied)[f"account:{ann}", "recipient"]
    assert (held["contact"], held["ends"], held["sealed_to"]) == ("", None, f"account:{ann}")
    assert deliveries(house, replied) == [("handoff", "zip", ANN)]


def test_what_a_recipient_wrote_they_hold_under_the_contact_that_let_them_in(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    own = grants(house, reply(house, PAT, message))[f"account:{pat.account}", "author"]
    assert own["contact"] == f"{PAT}|{ann}"


# -- plain mail and threads -------------------------------------------------------------------------------------------


def test_a_plain_conversation_stays_plain_while_it_is_asked_for(house: House, ann: int) -> None:
    first = house.submit(ANN, [PAT], house.mail(":: We moved"))
    second = answer(house, ANN, [PAT], message_id(house, first), ":: And again")
    third = answer(house, ANN, [PAT], message_id(house, second), "Re: And again")
    assert [recipients(house, each)[PAT]["decision"] for each in (first, second, third)] == ["relay", "relay", "vault"]


def test_an_own_copy_does_not_make_a_plain_conversation_a_sealed_one(house: House, ann: int) -> None:
    first = house.submit(ANN, [PAT, ANN], house.mail(":: We moved", to=[PAT, ANN]))
    second = answer(house, ANN, [PAT], message_id(house, first), ":: And again")
    assert recipients(house, second)[PAT]["decision"] == "relay"


def test_a_sealed_conversation_never_becomes_plain(house: House, ann: int) -> None:
    first = house.submit(ANN, [PAT], house.mail())
    second = answer(house, ANN, [PAT], message_id(house, first), "Re: :: Results")
    assert (recipients(house, second)[PAT]["decision"], recipients(house, second)[PAT]["reason"]) == (
        "vault",
        "thread-vaulted",
    )


def test_a_sealed_message_is_not_quoted_in_plain_to_others_either(house: House, ann: int) -> None:
    house.add_subscriber(BOB, name="Bob")
    first = house.submit(ANN, [BOB], house.mail(to=[BOB]))
    house.prove(house.session(BOB), BOB, first)
    outside = answer(house, BOB, [EVE], message_id(house, first), "Fw: :: Results")
    assert thread_of(house, outside)["subscriber"] == house.account(BOB)
    assert recipients(house, outside)[EVE]["decision"] == "vault"


# -- archives ---------------------------------------------------------------------------------------------------------


def archives(house: House, message: int) -> dict[str, int]:
    return {holder: len(row["wrap"]) for (holder, role), row in grants(house, message).items() if role == "archive"}


def test_an_organisation_of_several_has_one_archive(house: House) -> None:
    clinic = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=clinic)
    house.add_subscriber(BOB, organisation=clinic, name="Bob")
    message = house.submit(ANN, [BOB, PAT], house.mail(to=[BOB, PAT]))
    assert archives(house, message) == {f"archive:{clinic}": 92}


def test_both_archives_keep_what_two_organisations_write_to_each_other(house: House, ann: int) -> None:
    house.add_subscriber(BOB, name="Bob")
    own, other = (house.session(each).organisation for each in (ANN, BOB))
    first = house.submit(ANN, [BOB], house.mail(to=[BOB]))
    assert archives(house, first) == {f"archive:{own}": 92}  # Bob has not shown Ann's code yet
    house.prove(house.session(BOB), BOB, first)
    second = house.submit(ANN, [BOB, CARL], house.mail(to=[BOB], bcc=[CARL]))
    assert archives(house, second) == {f"archive:{own}": 92, f"archive:{other}": 60}  # and never who was hidden


def test_who_subscribes_with_a_foreign_mailbox_finds_nothing_in_an_archive_of_their_own(house: House, ann: int) -> None:
    """Whoever reads Pat's mail may become a subscriber as Pat; their archive is theirs to open."""
    house.add_subscriber(PAT, name="Pat")
    intruder = house.session(PAT)
    message = house.submit(ANN, [PAT], house.mail())
    assert f"archive:{intruder.organisation}" not in archives(house, message)
    with pytest.raises(NoGrant):
        house.pickup.show(intruder, message)


def test_a_recipients_reply_is_in_the_archive_of_the_thread(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, message)
    assert list(archives(house, reply(house, PAT, message))) == [f"archive:{house.session(ANN).organisation}"]


# -- epochs and batches -----------------------------------------------------------------------------------------------


def fill(house: House, subject: str, *, fails: bool = False) -> tuple[int, list[object]]:
    """Hand a draft to the engine without waiting for it; a failing one fails behind all of its rows."""
    row = accounts.by_address(house.engine, ANN)
    assert row is not None
    admission = house.door.admission
    draft = admission.begin(
        Author(row["id"], row["org"], ANN, frozenset({ANN}), True), Envelope(ANN, (Addressee(PAT),)), "smtp"
    )
    octets = house.mail(subject)
    draft.header(octets)
    draft._resolve()
    draft._close()
    used: set[int] = set()

    def rows_of(rows: object) -> object:
        admitted = draft._fill(rows, used)  # type: ignore[arg-type]
        if fails:
            raise StoreBroken("the first of the batch")
        return admitted

    future = house.engine.write(rows_of)
    return draft.message, [future, lambda: draft._committed(future.result(), used)]


def test_the_first_of_a_batch_fails_and_all_others_open(house: House, ann: int) -> None:
    """Its epoch rows go with it; the grants of the others must not point at nothing."""
    org = house.session(ANN).organisation
    house.door.holders.learn(Unvouched([(f"account:{ann}", 1), (f"archive:{org}", 1)]), set())
    begun = [fill(house, f"number {n}", fails=n == 0) for n in range(5)]
    with pytest.raises(StoreBroken):
        begun[0][1][0].result()  # type: ignore[attr-defined]
    for _, (_, finish) in begun[1:]:
        finish()  # type: ignore[operator]
    later = house.submit(ANN, [PAT], house.mail("later"))
    pat = house.register(PAT, later)
    shown = {house.pickup.show(pat, each).subject for each, _ in begun[1:]}
    assert shown == {"number 1", "number 2", "number 3", "number 4"}
    own = house.session(ANN)
    assert {house.pickup.show(own, each).subject for each, _ in begun[1:]} == shown
    with pytest.raises(NoGrant):
        house.pickup.show(own, begun[0][0])


def test_a_commit_that_failed_leaves_later_messages_readable(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StoreBroken("the disk")

    monkeypatch.setattr(messages, "add_deliveries", broken)
    with pytest.raises(StoreBroken):
        house.submit(ANN, [PAT], house.mail())
    monkeypatch.undo()
    message = house.submit(ANN, [PAT], house.mail("after the failure"))
    assert house.pickup.show(house.register(PAT, message), message).subject == "after the failure"


def test_epochs_are_written_once_and_replaced_after_their_time(house: House, ann: int) -> None:
    house.submit(ANN, [PAT], house.mail())
    first = count(house, "epochs")
    house.submit(ANN, [CARL], house.mail())
    assert count(house, "epochs") == first  # the author's, the archive's and the pending one serve all
    house.clock.forward(11 * MINUTE)
    house.submit(ANN, [EVE], house.mail())
    assert count(house, "epochs") == 2 * first


def test_an_account_that_changes_between_two_processes_reads_everything(house: House, ann: int) -> None:
    """The door has warm epochs and cards; on a page the account gets others; the door seals on."""
    first = house.submit(ANN, [PAT], house.mail("before"))
    house.register(PAT, first)
    warm = house.submit(ANN, [PAT], house.mail("warm"))
    weak = house.reset(PAT)  # fresh pairs
    message = house.submit(ANN, [PAT], house.mail("after the reset"))
    house.prove(weak, PAT, message)
    again = house.session(PAT, "gravel sunny pilot lemon basket")
    sealed = house.submit(ANN, [PAT], house.mail("to the fresh pair"))
    assert grants(house, sealed)[f"account:{again.account}", "recipient"]["sealed_to"] == f"account:{again.account}"
    for each, subject in (
        (message, "after the reset"),
        (sealed, "to the fresh pair"),
        (warm, "warm"),
        (first, "before"),
    ):
        assert house.pickup.show(again, each).subject == subject


def test_who_registers_while_a_message_is_on_its_way_reads_it(house: House, ann: int) -> None:
    """The card is read again inside the transaction, not when the message began."""
    first = house.submit(ANN, [PAT], house.mail())
    row = accounts.by_address(house.engine, ANN)
    assert row is not None
    draft = house.door.admission.begin(
        Author(row["id"], row["org"], ANN, frozenset({ANN}), True), Envelope(ANN, (Addressee(PAT),)), "smtp"
    )
    draft.header(house.mail("on its way"))
    pat = house.register(PAT, first)
    message = draft.commit_now().message
    assert f"account:{pat.account}" in {holder for holder, _ in grants(house, message)}
    assert house.pickup.show(house.session(PAT), message).subject == "on its way"
