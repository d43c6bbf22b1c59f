"""What do people see of a message before they read it? The notice with one's own name and number, and its page.

The mail is the one that leaves, from the same template, with sample values for what differs from message to message.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template
from flask_babel import gettext

from cryptnsend.config import web_root
from cryptnsend.core.names import safe_display_name
from cryptnsend.flow.mailwords import Faces, day, moment, phone_number
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import spoken
from cryptnsend.portal.visits import needs_subscriber, signed_in
from cryptnsend.portal.wearing import house

blueprint = Blueprint("seen", __name__)

DAY = 86_400_000  # milliseconds
SAMPLE = {"recipient": "pat@example.org", "number": "7Q2K-9H3M"}


@blueprint.get("/account/seen")
@needs_subscriber
def look() -> Any:
    """Show what somebody gets who is written to for the first time."""
    somebody = signed_in()
    profile = desk().accounts.profile(somebody)
    name, now = safe_display_name(profile.name), desk().now()
    title = gettext("%(name)s sent you a secure message", name=name) if name else gettext("You have a secure message")
    values = {
        "sender": name or somebody.address,
        "sender_address": somebody.address,
        "teller": name or somebody.address,
        "phone": phone_number(profile.phone),
        "organisation": safe_display_name(profile.organisation),
        "when": moment(now, spoken()),
        "until": day(now + desk().rules(somebody).life_days * DAY, spoken()),
        "link": f"https://{house()}/m/…",
        "host": house(),
        "note": desk().rules(somebody).notice_words(spoken()),
        "footer": desk().looks.worn(somebody.organisation).look.footer(spoken()),
        "phrase": "",
        "reminder": "",
        "file": "",
        "was_to_be_file": False,
        "is_known": False,
        "has_account": False,
        **SAMPLE,
    }
    mail, _ = Faces(web_root()).render("notice", spoken(), title, values)
    return render_template(
        "seen.html",
        title=title,
        author=gettext("%(name)s via CryptnSend", name=name) if name else gettext("Secure message via CryptnSend"),
        mail=[each.strip().replace("\n", " ") for each in mail.split("\n\n")],  # wrapped by the page, not at 70 columns
        values=values,
        now=now,
        digits=desk().config.codes.digits,
    )
