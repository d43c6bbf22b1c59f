"""What do the help pages say? One page per topic that the SMTP doors name in a refusal, besides the general one.

A mail program shows our reply with the page's URL in it, to somebody who has never heard of an enhanced code. So each
page says in plain words what happened, that nothing was sent, and what to do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Blueprint, abort, render_template
from flask_babel import lazy_gettext as _

from cryptnsend.core.topics import INDEX, OTHER
from cryptnsend.portal.desk import desk

blueprint = Blueprint("help_pages", __name__, url_prefix="/help")


class Page(NamedTuple):
    """Words that are translated when they are shown."""

    title: Any
    meaning: Any
    steps: tuple[Any, ...]  # what to do, the likeliest first
    comes_back: bool = False  # the mail program tries again by itself
    place: str = ""  # endpoint of a page of ours that helps on


PAGES = {
    "author": Page(
        _("The sender’s address is not yours here"),
        _(
            "You may only write from the address of your account, or from another address that you have proven. This "
            "message says in its From field that it is from somebody else, so it was not taken."
        ),
        (
            _("In your mail program, choose the account of CryptnSend as sender, with your own address in it."),
            _("Is it another address of yours? Prove it under Settings, Addresses; then it may write too."),
            _("Two senders in one message don’t work: leave one of them."),
        ),
        place="estate.addresses",
    ),
    "password": Page(
        _("User name and password don’t belong together"),
        _("Your mail program signed in with a password that is not the right one, or that was switched off."),
        (
            _("The user name is your whole e-mail address."),
            _(
                "The password is a device password from the page “Mail program”, not the one of your mailbox. Make a "
                "new one and paste it into your mail program."
            ),
            _("After many wrong ones in a row there is a pause of some minutes, for your own safety."),
        ),
        place="programs.setup",
    ),
    "sign-in": Page(
        _("Your mail program did not sign in"),
        _("Whoever sends by this server says first who they are. Your mail program tried to send without it."),
        (
            _("In the settings for sending, switch on sign-in (“authentication”, “my server requires sign-in”)."),
            _("User name is your whole e-mail address, the password a device password from “Mail program”."),
            _("Choose SSL/TLS on port 465, or STARTTLS on port 587."),
        ),
        place="programs.setup",
    ),
    "secure-line": Page(
        _("The connection was not encrypted yet"),
        _("Passwords and messages come here on encrypted connections only, so that nobody on the way can read along. "
          "Your mail program used an open one, and we stopped it before anything was sent."),
        (
            _("In the settings for sending, choose SSL/TLS on port 465, or STARTTLS on port 587."),
            _("“None” and “plain text” are not possible here."),
            _("Does your mail program ask whether to trust the certificate? Compare the server’s name with the one "
              "on the page “Mail program” before you say yes."),
        ),
        place="programs.setup",
    ),
    "too-large": Page(
        _("The message is too large"),
        _("It has more than this server takes. Files grow by a third when a mail program packs them into a message."),
        (
            _("Send the files in two or three messages."),
            _("Make pictures smaller: most mail programs offer it when you attach them."),
            _("Or write it here, on the page “Write”: what is too large for a message becomes a link to the file by"
              " itself, up to two gigabytes as a rule."),
        ),
        place="compose.new",
    ),
    "header": Page(
        _("The head of the message is too long"),
        _("The lines before the text (who, to whom, about what) are longer than any ordinary message needs."),
        (
            _("Start a new message instead of answering one that went to and fro for years."),
            _("Write to fewer people at once."),
        ),
    ),
    "recipients": Page(
        _("Too many recipients at once"),
        _("One message goes to a limited number of people. Those before the limit were not written to either."),
        (_("Send it in several messages, with some of the people in each."),),
        comes_back=True,
    ),
    "address": Page(
        _("An address cannot be right"),
        _("One of the addresses is not written as addresses are, so nobody could be reached at it."),
        (
            _("Look for blanks, commas, missing letters after the last dot, or two @ in one address."),
            _("The sentence before the link names the address, if your mail program shows it."),
        ),
    ),
    "address-letters": Page(
        _("An address has letters that your mail program cannot send"),
        _("It has letters beyond a to z before the @. Your mail program did not say that it knows how to send these."),
        (_("Ask the person for another address of theirs, or write to them with another mail program."),),
    ),
    "nobody": Page(
        _("Nobody can be reached at this address"),
        _(
            "It is an address of ours that stood for one person in one conversation. That conversation is over, or the "
            "address was cut short."
        ),
        (_("Answer the newest mail you got in that conversation, or write to the person’s own address."),),
    ),
    "refused": Page(
        _("This message may not be sent"),
        _("The sentence before the link says which of these it is:"),
        (
            _("The recipient does not want mail from you through this service. Call them, or ask them to change it."),
            _("People who were written to can answer here, but not begin conversations of their own."),
            _("A rule of your organisation forbids it. Ask the person who looks after it."),
            _("The address only sends, or stands for nobody. Use the Reply button of the mail you got, or its link."),
        ),
    ),
    "circles": Page(
        _("The message goes in circles"),
        _("It has passed through so many servers that somebody must be sending it round and round. So it ends here."),
        (
            _("Look for mailboxes that forward to each other, and take one of the forwardings away."),
            _("Then answer again, best by the link in the mail you got."),
        ),
    ),
    "line-ends": Page(
        _("The message has characters that no mail may have"),
        _(
            "Lines of a mail end in one agreed way. This message has others in it, by which a second message could be "
            "hidden inside the first. So it was not taken, and the connection was closed."
        ),
        (
            _("Mail programs do this right. If a script of yours sends, end its lines with CR LF."),
            _("If it happens with an ordinary mail program, update it, or send the text as a new message."),
        ),
    ),
    "virus": Page(
        _("The virus scanner found something"),
        _(
            "A scanner looks at messages before they are taken. It found in this one what it knows as harmful, so "
            "nobody got it. The sentence before the link gives its name."
        ),
        (
            _("Do not open the file any more. Have your own virus scanner look at your computer."),
            _("Send the message again without the file."),
            _("Are you sure that the file is harmless? Tell the people who run this server the name that was found."),
        ),
    ),
    "spam": Page(
        _("The message was taken for spam"),
        _("A filter found too much in this message that is found in spam, so it was not taken."),
        (
            _("Write a line more about what it is, with fewer links and pictures, and send it again."),
            _("Did you answer a secure message? Open its link and answer on the page."),
        ),
    ),
    "commands": Page(
        _("We did not understand your mail program"),
        _("It said something out of turn, or something that this server does not know. Nothing was sent."),
        (
            _("Close your mail program, open it again and send once more."),
            _("Some virus scanners and firewalls change what mail programs say. Switch their mail scan off to test."),
            _("If you wrote the program yourself: the sentence before the link says which command it was."),
        ),
    ),
    "full": Page(
        _("There is no room here at the moment"),
        _("The disk of this server is full. Nothing of your message was kept; what was sent before is safe."),
        (_("Tell the people who run this server, if it lasts."),),
        comes_back=True,
    ),
    "later": Page(
        _("We cannot take mail at this moment"),
        _(
            "Something is being restarted, or is out of order for a moment. A message is taken only when it is safely "
            "stored; so nothing of yours was kept, and nothing went out."
        ),
        (_("Wait a few minutes. If it lasts longer, tell the people who run this server."),),
        comes_back=True,
    ),
    "slow": Page(
        _("The connection was still for too long"),
        _("Nothing came from your mail program for some minutes, so the connection was closed."),
        (_("Send again. With a weak network, send large files later or in pieces."),),
        comes_back=True,
    ),
    "pause": Page(
        _("Too many tries in a row"),
        _(
            "There were too many wrong passwords, or a sign-in that does not hold any more. Your mail program has to "
            "pause; others are not kept from using your account."
        ),
        (
            _("Check the password in your mail program before it tries again: each device has its own."),
            _("Wait a quarter of an hour; then it works again."),
        ),
        comes_back=True,
        place="programs.setup",
    ),
    "day-limit": Page(
        _("That is as much as one account sends in a day"),
        _("There is a limit on messages and on people written to for the first time, so that a stolen password does "
          "not fill the world with mail."),
        (
            _("It goes on by itself tomorrow; your mail program keeps trying."),
            _("If you need more, ask the people who run this server."),
        ),
        comes_back=True,
    ),
    OTHER: Page(
        _("A message was not taken"),
        _("The sentence before the link says why."),
        (_("If it does not help you, tell it to the people who run this server, word by word."),),
    ),
}  # fmt: skip


@blueprint.get(f"/{INDEX}")
def index() -> str:
    """List what can be the matter when a mail program says that a message was not sent."""
    return render_template("help-sending.html", pages=PAGES, other=OTHER)


@blueprint.get("/<topic>")
def page(topic: str) -> str:
    """Explain one refusal."""
    found = PAGES.get(topic)
    if found is None:
        abort(404)
    limits = desk().config.limits
    return render_template(
        "help-topic.html", page=found, topic=topic, most=limits.message_octets, recipients=limits.recipients
    )
