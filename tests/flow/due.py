"""Something that is due to leave."""

from __future__ import annotations

from tests.flow.conftest import DELIVERED, Desk
from tests.support.house import House

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


def notice(desk: Desk, to: str = PAT) -> int:
    """Let Ann write to somebody who knows her code, so that a notice is all that is due."""
    desk.house.register(to, desk.house.submit(ANN, [to], desk.house.mail(to=[to])))
    desk.say(DELIVERED)
    desk.deliver()
    return desk.house.submit(ANN, [to], desk.house.mail("Again", to=[to]))


def reply(house: House, message: int, text: str = "Thank you.") -> int:
    """Let Pat answer on the page, so that a locked file is due for Ann."""
    session = house.register(PAT, message)
    return house.replies.send(session, message, everybody=False, text=text, files=[], nonce=text.encode()[:16])
