"""`demo`: the whole story on loopback, to try by hand or played unattended."""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import click

from cryptnsend.cli.options import stopped
from cryptnsend.core.errors import Temporary

if TYPE_CHECKING:
    from cryptnsend.demo.house import House

GUIDE = """
A server with a throw-away home runs on this machine, and around it a small Internet whose inboxes you can read.

  The inboxes        {inboxes}
  The portal         {portal}   (its certificate signs itself: {certificate})
  Dr. Ann Ruiz       {ann}   password: {password}

Send as Ann's mail program would. Either line works as printed:

  SWAKS_OPT_auth_password={device} swaks --server localhost --port {port} --tls-on-connect \\
    --auth PLAIN --auth-user {ann} --from {ann} --to {pat} \\
    --header 'Subject: Your blood test' --body 'All is well.'

  python3 -c "import smtplib, ssl; s = smtplib.SMTP_SSL('localhost', {port}, \\
    context=ssl.create_default_context(cafile='{certificate}')); s.login('{ann}', '{device}'); \\
    s.sendmail('{ann}', ['{pat}'], 'From: {ann}\\r\\nTo: {pat}\\r\\nSubject: Hello\\r\\n\\r\\nAll is well.\\r\\n')"

Then: the notice is in Pat's inbox, the code for Pat in Ann's. Open Pat's link, type the code, choose a password, read,
reply. The reply comes to Ann's inbox as a locked ZIP; its passphrase is on the portal under Settings.
Try also: a subject that begins with ::, somebody@nowhere.example, Gmail's rules (gmail.example refuses what Gmail
refuses). Ctrl-C ends the demo and throws everything away.
"""


@click.command()
@click.option("--check", is_flag=True, help="Play every step unattended, say how it went, and exit 1 if one failed.")
@click.pass_context
def demo(ctx: click.Context, check: bool) -> None:
    """Show the whole story on this machine: a throw-away server, and inboxes to read in the browser."""
    # The demo brings the whole house with it; other commands start without.
    from cryptnsend.demo.house import DidNotStart, House
    from cryptnsend.demo.inboxes import InboxPages
    from cryptnsend.demo.internet import Internet

    began = time.monotonic()
    try:
        with Internet() as internet, House(internet) as house:
            if check:
                ctx.exit(_check(house, began))
            pages = InboxPages(internet)
            try:
                _show(house, pages.url)
                _until_stopped()
            finally:
                pages.close()
    except DidNotStart as reason:
        raise stopped(Temporary(str(reason))) from reason


def _check(house: House, began: float) -> int:
    from cryptnsend.demo.story import Story, play

    click.echo(f"started {time.monotonic() - began:6.2f} s")
    is_well = play(Story(house), click.echo)
    click.echo(f"{'all is well' if is_well else 'not well'}, {time.monotonic() - began:.1f} s in all")
    return 0 if is_well else 1


def _show(house: House, inboxes: str) -> None:
    """Make Ann a subscriber with a device password, and print what to try."""
    from cryptnsend.demo.stage import ANN, ANN_PASSWORD, PAT
    from cryptnsend.demo.story import Story

    story = Story(house)
    story.subscribe()
    story.make_device()
    click.echo(
        GUIDE.format(
            inboxes=inboxes,
            portal=house.base_url,
            certificate=house.config.tls.certificate,
            ann=ANN,
            password=ANN_PASSWORD,
            device=story.device,
            port=house.home.ports()["submissions"],
            pat=PAT,
        )
    )
    sys.stdout.flush()


def _until_stopped() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    stop.wait()
