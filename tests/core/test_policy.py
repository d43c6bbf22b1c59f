"""Does every recipient get the decision that the order of the rules gives, and never less protection than asked?"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core import policy
from cryptnsend.core.policy import (
    FORMS,
    Decision,
    Handoff,
    RecipientFacts,
    Refuse,
    Relay,
    Rules,
    Submission,
    Vault,
    decide,
)

FOLDER = Path(__file__).parents[1] / "vectors" / "policy"
CASES = [
    pytest.param(case, id=f"{path.stem}:{case['name'].replace(' ', '-')}")
    for path in sorted(FOLDER.glob("*.toml"))
    for case in tomllib.loads(path.read_text())["case"]
]


def spelt(decision: Decision) -> str:
    """Spell a decision as the vector files do: its kind, its form if it has one, its reason."""
    form = f"({decision.form})" if isinstance(decision, Handoff) else ""
    return f"{type(decision).__name__}{form} {decision.reason}"


@pytest.mark.parametrize("case", CASES)
def test_decisions_are_as_the_table_says(case):
    submission = Submission(
        author=case.get("author", "ann@gmail.example"),
        author_is_subscriber=case.get("subscriber", True),
        subject=case.get("subject", "hello"),
        recipients=tuple(RecipientFacts(**facts) for facts in case["recipients"]),
        author_is_newcomer=case.get("newcomer", False),
        thread_vaulted=case.get("thread_vaulted", False),
        is_trial=case.get("is_trial", False),
    )
    decisions = decide(submission, Rules(**case.get("rules", {})))
    assert {address: spelt(decision) for address, decision in decisions.items()} == case["expect"]
    assert all(decision.explain().endswith(".") for decision in decisions.values())


def test_the_tables_have_a_case_for_every_reason():
    reasons = {expected.split()[1] for case in CASES for expected in case.values[0]["expect"].values()}
    on_the_way_out = {"no-proven-way", "too-large", "held"}  # no rule says so
    assert reasons == set(policy._WHY) - {"default-unknown"} - on_the_way_out


def test_mail_over_a_proven_way_is_not_called_plain():
    assert Relay("proven", "member-domain").explain().startswith("Sent readable where the way there is proven, else")
    assert Relay("opportunistic", "plain-token").explain().startswith("Sent as plain mail, not sealed")


def test_a_refusal_names_whom_it_is_about_and_not_a_hundred_of_them():
    refusal = policy.Refuse("blocked")
    assert refusal.explain() == "Refused: this recipient does not accept messages from this sender."
    assert refusal.explain("pat@yahoo.example").endswith("from this sender: pat@yahoo.example.")
    assert refusal.explain(*(f"p{n}@x.example" for n in range(100))).endswith(", p4@x.example and 95 more.")


facts = st.builds(
    RecipientFacts,
    address=st.sampled_from(["a@x", "b@x", "c@x", "d@x"]),
    is_self=st.booleans(),
    is_member=st.booleans(),
    is_thread_subscriber=st.booleans(),
    form=st.sampled_from([*FORMS, "", "unheard-of"]),
    blocked=st.booleans(),
    at_member_domain=st.booleans(),
    is_friend=st.booleans(),
    own_key=st.sampled_from(["", "smime", "openpgp", "x"]),
)
subjects = st.sampled_from(
    ["", "hello", ":: hi", "Re: :: hi", "secure/ x", "encrypt/ x", "::1", "：： x", "std::x"]
) | st.text(max_size=20)
submissions = st.builds(
    Submission,
    author=st.just("a@x"),
    author_is_subscriber=st.booleans(),
    subject=subjects,
    recipients=st.lists(facts, max_size=5).map(tuple),
    author_is_newcomer=st.booleans(),
    thread_vaulted=st.booleans(),
    is_trial=st.booleans(),
)
rules = st.builds(
    Rules,
    default=st.sampled_from(["vault", "plain", "tls-or-vault"]),
    allow_plain=st.booleans(),
    may_plain=st.booleans(),
    allow_friends=st.booleans(),
    allow_pdf=st.booleans(),
    own_keys=st.booleans(),
    members_in_clear=st.booleans(),
    cleartext=st.booleans(),
    marks=st.sampled_from([(), ("[secure]",), ("#phi", "secure!")]),
)


@given(submissions, rules)
def test_every_recipient_gets_exactly_one_decision_with_a_reason(submission, rule):
    decisions = decide(submission, rule)
    assert list(decisions) == list(dict.fromkeys(each.address for each in submission.recipients))
    for decision in decisions.values():
        assert decision.explain()


@given(submissions, rules, st.sampled_from(["secure/", "encrypt/"]), st.sampled_from(["", "Re: ", "Fw: AW: "]))
def test_a_token_of_protection_never_lowers_protection(submission, rule, token, prefix):
    asked = replace(submission, subject=f"{prefix}{token} {submission.subject}")
    before, after = decide(submission, rule), decide(asked, rule)
    for address, decision in after.items():
        assert decision.rank >= before[address].rank
        if submission.author_is_subscriber:
            assert isinstance(decision, Vault | policy.Pdf | Refuse)


@given(submissions, rules, st.sampled_from(["", "Re: ", "[list] Fw: "]))
def test_a_mark_of_the_organisation_never_lowers_protection(submission, rule, prefix):
    marked = replace(rule, marks=("[secure]",))
    asked = replace(submission, subject=f"{prefix}[SECURE] {submission.subject}")
    before, after = decide(submission, rule), decide(asked, marked)
    for address, decision in after.items():
        assert decision.rank >= before[address].rank
        if submission.author_is_subscriber:
            assert isinstance(decision, Vault | Refuse)


@given(submissions, rules)
def test_nothing_is_relayed_but_by_a_subscribers_token_or_the_organisations_default(submission, rule):
    for decision in decide(submission, rule).values():
        if isinstance(decision, Relay):
            assert submission.author_is_subscriber
            assert not submission.thread_vaulted
            assert rule.may_plain
            by_token = rule.allow_plain and decision.reason in ("plain-token", "friend")
            assert rule.allow_friends or decision.reason != "friend"
            proven = rule.default == "tls-or-vault" and decision.tls == "proven"
            to_member = rule.members_in_clear and decision.reason == "member-domain" and decision.tls == "proven"
            assert by_token or proven or to_member or rule.default == "plain"


@given(submissions, rules)
def test_a_member_domain_never_opens_a_worse_way_than_a_proven_one(submission, rule):
    """With it a recipient gets what they got without, or readable mail over a proven way."""
    without = replace(
        submission, recipients=tuple(replace(each, at_member_domain=False) for each in submission.recipients)
    )
    before = decide(without, rule)
    for address, decision in decide(submission, rule).items():
        assert decision == before[address] or decision == Relay("proven", "member-domain")


@given(submissions, rules, subjects)
def test_what_a_recipient_writes_in_the_subject_changes_nothing(submission, rule, subject):
    visitor = replace(submission, author_is_subscriber=False)
    assert decide(visitor, rule) == decide(replace(visitor, subject=subject), rule)


@given(submissions, rules)
def test_a_thread_once_vaulted_is_never_less_protected(submission, rule):
    open_thread = decide(replace(submission, thread_vaulted=False), rule)
    vaulted = decide(replace(submission, thread_vaulted=True), rule)
    assert all(vaulted[address].rank >= decision.rank for address, decision in open_thread.items())


def test_a_default_that_nobody_knows_is_the_vault():
    submission = Submission("a@x", True, "hello", (RecipientFacts("b@x"),))
    assert decide(submission, Rules(default="carrier-pigeon")) == {"b@x": Vault("default-unknown")}  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [Vault, policy.Hold, policy.Pdf])
def test_every_kind_of_decision_explains_itself(kind):
    assert all(kind(reason).explain().endswith(".") for reason in policy._WHY)
    assert all(Relay("opportunistic", reason).explain().startswith("Sent as plain") for reason in policy._WHY)


def test_a_reason_is_told_in_words_with_what_was_found_on_the_way() -> None:
    assert policy.why("plain-token") == "the subject begins with ::"
    assert policy.why("no-proven-way: mx.x.example offers no TLS").endswith("server (mx.x.example offers no TLS)")
    assert policy.why("something newer") == "something newer"
