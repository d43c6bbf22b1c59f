"""Does the main job work, from a mail client to the patient's screen and back? Played unattended, step by step.

Every step does what a person or their mail program would do, over real sockets: SMTP with TLS, the portal's pages, the
demo Internet's inboxes. A step that does not find what it needs fails with words about what was there instead.
"""

from __future__ import annotations

import email.policy
import io
import re
import smtplib
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pyzipper

from cryptnsend.demo.stage import (
    ANN,
    ANN_PASSWORD,
    ANSWER,
    BOB,
    BODY,
    BY_MAIL,
    CAROL,
    EVE,
    EVE_PASSWORD,
    NOBODY,
    NOTE,
    PAT,
    PAT_PASSWORD,
    REPORT,
    SECRETS,
    SUBJECT,
    Failed,
    Stage,
    need,
    text_of,
)
from cryptnsend.demo.visitor import NotOnThePage, first_link


class Story(Stage):
    """The story, as a list of steps that share what they learned."""

    def steps(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield (what happens, how), in order."""
        yield "Ann becomes a subscriber and signs in", self.subscribe
        yield "her mail program gets a device password", self.make_device
        yield "she sends to Pat, and to Carol as Bcc, through port 465", self.submit
        yield "the same mail sent again is recognised", self.submit_again
        yield "Pat's inbox has a signed notice, and no content", self.notice
        yield "Ann's inbox has the code for Pat", self.receipt
        yield "a mail scanner follows every link and presses every button", self.scanner
        yield "Pat types a wrong code, then the right one, and chooses a password", self.open_first_time
        yield "Pat reads the message and downloads the file, byte by byte", self.read
        yield "Pat saves everything as locked ZIP and as mail file", self.save
        yield "Carol, in Bcc, is shown to nobody", self.bcc
        yield "Pat replies with a file", self.reply
        yield "the reply is in Ann's inbox as locked ZIP, and threads", self.way_back
        yield "Ann answers it from her mail program; Pat finds it", self.answer
        yield "Pat answers the notice by ordinary mail; Ann gets it locked", self.answer_by_mail
        yield "an answer that only says it is from Pat stays apart", self.forged_answer
        yield "Ann sees who opened what", self.sent_page
        yield "Ann takes a message back, and gives it back", self.take_back
        yield ":: leaves as ordinary mail, signed, From rewritten", self.plain
        yield "an unknown address comes back to Ann in plain words", self.bounce
        yield "a notice that was taken, and comes back later, does too", self.late_bounce
        yield "Eve, with a subscription of her own and Pat's mailbox, opens nothing", self.intruder
        yield "Pat forgets the password: a new code opens everything again", self.reset
        yield "Ann's export is byte by byte what she sent", self.export
        yield "the audit chain and the vault verify", self.verify
        yield "no word of any content is on the disk", self.canary

    # -- the steps ----------------------------------------------------------------------------------------------------

    def subscribe(self) -> None:
        """The operator adds Ann; she signs in on the portal."""
        self.house.run(
            "subscriber", "add", ANN, "--name", "Dr. Ann Ruiz", "--password-stdin", stdin=ANN_PASSWORD + "\n"
        )
        page = self._sign_in(self.ann, ANN, ANN_PASSWORD)
        need("/sign-in" not in page.path, "Ann could not sign in")

    def make_device(self) -> None:
        """A device password, shown once."""
        page = self.ann.get("/setup?program=other")
        made = self.ann.send(page, page.form(action="/setup/devices"), name="Front desk")
        found = re.search(r'id="v-password"[^>]*>([^<]+)<', made.html)
        need(found, f"no device password on {made.path}")
        self.device = found.group(1).strip() if found else ""
        need(self.device not in self.ann.get("/setup").html, "the device password is shown twice")

    def submit(self) -> None:
        """Ann's mail program sends, with everything that mail programs send."""
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"], mail["To"], mail["Cc"] = f"Ann <{ANN}>", f"Pat <{PAT}>", f"Bob <{BOB}>"
        mail["Bcc"], mail["Subject"], mail["Message-ID"] = CAROL, SUBJECT, "<story-1@gmail.example>"
        mail["Date"] = "Sat, 21 Nov 2026 10:00:00 +0000"
        mail.set_content(BODY.replace("\r\n", "\n"))
        mail.add_alternative("<p>Dear Pat,</p><p>your <b>haemochroma-7741</b> is fine.</p>", subtype="html")
        mail.add_attachment(REPORT, maintype="application", subtype="pdf", filename="results-Okapi.pdf")
        self.submitted = mail.as_bytes()
        reply = self._smtp(ANN, [PAT, BOB, CAROL], self.submitted)
        need(reply.startswith("2.0.0 Sealed as "), f"unexpected answer {reply!r}")
        self.message = int(reply.split()[3])

    def submit_again(self) -> None:
        """The 250 was lost, so the client sends again."""
        reply = self._smtp(ANN, [PAT, BOB, CAROL], self.submitted)
        need(reply.split()[3] == str(self.message), f"the resend became {reply!r}")

    def notice(self) -> None:
        """The notice says who and when, is signed, and says nothing else."""
        mail = self.internet.wait_for(PAT)
        self._clean(mail)
        parsed = mail.parsed
        need("Dr. Ann Ruiz" in str(parsed["From"]), "the notice does not say who wrote")
        need(parsed["DKIM-Signature"], "the notice is not signed")
        need("gmail.example" not in str(parsed["From"]), "the notice pretends to come from Gmail")
        self.reply_to = str(parsed["Reply-To"])
        self.notice_link = first_link(text_of(parsed), "/m/")
        need(len(self.internet.inbox(PAT)) == 1, "more than one notice for one mail")

    def receipt(self) -> None:
        """Ann gets codes for those who are new; the one for Pat is on her page as well."""
        mail = self.internet.wait_for(ANN, predicate=lambda one: "code" in str(one.parsed["Subject"]).lower())
        self._clean(mail)
        words = text_of(mail.parsed)
        need("/m/" not in words, "the receipt has a recipient's link")
        found = re.search(re.escape(PAT) + r".*?(\d{3} \d{3})", words, re.DOTALL)
        need(found, "the receipt has no code for Pat")
        self.code = found.group(1).replace(" ", "") if found else ""
        page = self.ann.get(f"/sent/{self.message}")
        shown = self.ann.send(page, page.form(action="/codes"))
        need(self.code in re.sub(r"\s", "", shown.words), "the page shows another code than the receipt")

    def scanner(self) -> None:
        """What scanners do to links in mail must change nothing."""
        scanner = self.browser("Scanner")
        for _ in range(3):
            page = scanner.get(self.notice_link)
            need(page.status == 200, f"the link answers {page.status}")
            need(SUBJECT not in page.html, "the page of the link shows the subject")
        for form in page.forms:
            pressed = scanner.send(page, form)
            need(SUBJECT not in pressed.html, "pressing a button showed the message")

    def open_first_time(self) -> None:
        """Code, then password, then the message: three screens."""
        page = self.pat.get(self.notice_link)
        wrong = str((int(self.code) + 1) % 1_000_000).zfill(6)
        page = self.pat.send(page, page.form(with_field="code"), code=wrong)
        need("4 tries" in page.words, f"no word on the tries left: {page.words[:200]}")
        page = self.pat.send(page, page.form(with_field="code"), code=self.code)
        page = self.pat.send(page, page.form(with_field="password"), password="password1234567")
        need(page.form(with_field="password"), "a weak password was taken")
        page = self.pat.send(page, page.form(with_field="password"), password=PAT_PASSWORD)
        need(page.path.startswith("/messages/"), f"after the password came {page.path}")
        self.read_page = page.path.partition("?")[0]

    def read(self) -> None:
        """Subject, text, HTML in its frame, and the file."""
        page = self.pat.get(self.read_page)
        need(SUBJECT in page.words, "the subject is not on the page")
        frame = self.pat.get(page.frames[0])
        need("haemochroma-7741" in frame.html, "the message is not in its frame")
        need("sandbox" in frame.headers.get("content-security-policy", ""), "the frame has no sandbox of its own")
        text = self.pat.get(self.read_page + "?view=text")
        need(".A line that begins with a dot" in text.words, "the text lost its dot line")
        saved = [href for href, _ in page.links if "/files/" in href and not href.endswith("/look")]
        file = self.pat.get(saved[0])
        need(file.octets == REPORT, "the downloaded file is not the one that was sent")
        need(file.headers["content-disposition"].startswith("attachment"), "a file is not an attachment")

    def save(self) -> None:
        """The ZIP opens with the words shown, and nobody in Bcc stands in the mail file."""
        page = self.pat.get(self.read_page + "/zip")
        found = re.search(r'id="zip-words"[^>]*>([^<]+)<', page.html)
        need(found, "no words for the ZIP")
        saved = self.pat.send(page, page.form(with_field="proof"))
        with pyzipper.AESZipFile(io.BytesIO(saved.octets)) as archive:
            archive.setpassword((found.group(1).strip() if found else "").encode())
            contents = [archive.read(name) for name in archive.namelist()]
        need(REPORT in contents, "the ZIP does not have the file")
        eml = self.pat.get(self.read_page + "/eml").octets
        need(CAROL.encode() not in eml and b"bcc" not in eml.lower(), "the mail file shows the Bcc")
        need(REPORT[:30] not in eml and b"results-Okapi" in eml, "the mail file is not the message")

    def bcc(self) -> None:
        """Carol gets a notice of her own; no page of Pat's names her."""
        mail = self.internet.wait_for(CAROL)
        need(PAT not in text_of(mail.parsed), "Carol's notice names Pat")
        need(CAROL not in self.pat.get(self.read_page).html, "Pat's page names Carol")

    def reply(self) -> None:
        """The reply form, with a file, without a script."""
        page = self.pat.get(self.read_page)
        form = page.form(with_field="text")
        sent = self.pat.send(page, form, text=ANSWER, files=[("files", "Puffinote.txt", "text/plain", NOTE)])
        need(sent.path.endswith("/sent"), f"after the reply came {sent.path} ({sent.status})")
        again = self.pat.send(page, form, text=ANSWER, files=[("files", "Puffinote.txt", "text/plain", NOTE)])
        need(again.status in (200, 409), "sending the form again failed")

    def way_back(self) -> None:
        """A ZIP with exactly one entry, locked by the delivery passphrase, threaded to what Ann sent."""
        mail = self.internet.wait_for(
            ANN, predicate=lambda one: "story-1@gmail.example" in str(one.parsed["In-Reply-To"])
        )
        self._clean(mail)
        parsed = mail.parsed
        need(PAT not in mail.octets.decode("latin-1"), "the mail says who replied")
        page = self.ann.get("/account/passphrase")
        page = self.ann.send(page, page.form(with_field="password"), password=ANN_PASSWORD)
        found = re.search(r'id="now-key"[^>]*>([^<]+)<', page.html)
        need(found, "no delivery passphrase on the page")
        files = [part for part in parsed.iter_attachments() if part.get_content_type() == "application/zip"]
        need(len(files) == 1, "the mail has not exactly one ZIP")
        with pyzipper.AESZipFile(io.BytesIO(files[0].get_content())) as archive:
            need(archive.namelist() == ["message.eml"], f"the ZIP shows names: {archive.namelist()}")
            archive.setpassword((found.group(1).strip() if found else "").encode())
            inside = email.message_from_bytes(archive.read("message.eml"), policy=email.policy.default)
        body = inside.get_body(("plain",))
        need(body is not None and ANSWER in body.get_content(), "the reply's words are not in the ZIP")
        notes = [part.get_payload(decode=True) for part in inside.iter_attachments()]
        need(NOTE in notes, "the reply's file changed on the way")
        need(len([one for one in self.internet.inbox(ANN) if one.parsed["In-Reply-To"]]) == 1, "the reply came twice")
        self.handoff = parsed
        page = self.ann.get("/messages")
        read = self.ann.get(page.link("/messages/"))
        need(ANSWER in self._whole(self.ann, read), "the reply is not on Ann's page")

    def answer(self) -> None:
        """Ann presses Reply in her mail program: the token address stands for Pat."""
        need(self.handoff is not None, "there is no reply to answer")
        handoff = self.handoff or EmailMessage()
        to = str(handoff["From"].addresses[0].addr_spec)
        need(to.startswith("r+"), f"the reply comes from {to}")
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"], mail["To"], mail["Subject"] = ANN, to, "Re: You have a secure reply"
        mail["In-Reply-To"] = mail["References"] = str(handoff["Message-ID"])
        mail["Message-ID"] = "<story-2@gmail.example>"
        mail.set_content("Canaryvale: you are welcome.\n")
        self._smtp(ANN, [to], mail.as_bytes())
        self.internet.wait_for(PAT, 2)
        page = self.pat.get("/messages")
        need("Re: You have a secure reply" in page.words, "Ann's answer is not in Pat's list")

    def answer_by_mail(self) -> None:
        """Reply in Pat's own Yahoo mailbox: sealed when it reaches us, and nothing of it leaves in clear."""
        before = len(self.internet.inbox(ANN))
        code, words = self._bring(PAT, self.reply_to, PAT, f"{BY_MAIL}\n\n> {SUBJECT}\n")
        need(code == 250, f"the answer was refused: {code} {words}")
        mail = self.internet.wait_for(ANN, before + 1)
        self._clean(mail)
        need("r+" in str(mail.parsed["From"]), f"Ann's mail comes from {mail.parsed['From']}")
        page = self.ann.get("/messages")
        read = self.ann.get(page.link("/messages/"))
        need(BY_MAIL in self._whole(self.ann, read), "the answer is not on Ann's page")
        need("as ordinary e-mail" in read.words, "the page does not say how it came")
        told = self.internet.wait_for(PAT, predicate=lambda one: "ordinary mail" in str(one.parsed["Subject"]))
        self._clean(told)
        need("/m/" in text_of(told.parsed), "the mail to Pat has no link")

    def forged_answer(self) -> None:
        """Eve knows Pat's address and the address to answer to; her provider cannot sign for Yahoo."""
        code, words = self._bring(EVE, self.reply_to, PAT, "Walrusine forgery\n", signer="outlook.example")
        need(code == 250, f"what is kept apart was refused: {code} {words}")
        told = self.internet.wait_for(ANN, predicate=lambda one: "kept apart" in str(one.parsed["Subject"]))
        self._clean(told)
        need("Walrusine forgery" not in self.ann.get("/messages").html, "the forgery is among what Ann received")
        page = self.ann.get(first_link(text_of(told.parsed), "/kept/"))
        need("Walrusine forgery" in page.words and "may be a trick" in page.words, "Ann does not see why it is apart")

    def sent_page(self) -> None:
        """Per recipient: opened by Pat, waiting for Bob's code."""
        page = self.ann.get(f"/sent/{self.message}")
        need("Opened" in page.words, "Ann does not see that Pat opened")
        need("Waits for your code" in page.words, "Ann does not see that Bob waits")
        need(CAROL in page.words, "Ann does not see her own Bcc")

    def take_back(self) -> None:
        """Recall ends reading at once; undo brings it back."""
        page = self.ann.get(f"/sent/{self.message}")
        page = self.ann.send(page, page.form(action="/expire"))
        gone = self.pat.get(self.read_page)
        need(gone.status in (404, 410) and "haemochroma" not in gone.html, "it can be read after it was taken back")
        page = self.ann.get(f"/sent/{self.message}")
        self.ann.send(page, page.form(action="/restore"))
        need(self.pat.get(self.read_page).status == 200, "it cannot be read after it was given back")

    def plain(self) -> None:
        """Declared plain mail leaves under an address of ours, signed, token removed."""
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"], mail["To"], mail["Subject"] = f"Ann <{ANN}>", EVE, ":: We moved to Pine Street"
        mail["Message-ID"] = "<story-3@gmail.example>"
        mail.set_content("The practice is at 4 Pine Street now.\n")
        self._smtp(ANN, [EVE], mail.as_bytes())
        got = self.internet.wait_for(EVE).parsed
        need(str(got["Subject"]) == "We moved to Pine Street", f"the subject is {got['Subject']}")
        need("gmail.example" not in str(got["From"]) and ANN in str(got["Reply-To"]), "From was not rewritten")
        need(got["DKIM-Signature"] and "4 Pine Street" in text_of(got), "the plain mail is not as it must be")

    def bounce(self) -> None:
        """A notice that cannot be delivered."""
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"], mail["To"], mail["Subject"] = ANN, NOBODY, "Canaryvale for nobody"
        mail["Message-ID"] = "<story-4@gmail.example>"
        mail.set_content("Canaryvale\n")
        reply = self._smtp(ANN, [NOBODY], mail.as_bytes())
        report = self.internet.wait_for(ANN, predicate=lambda one: one.parsed.get_content_type() == "multipart/report")
        self._clean(report)
        need(NOBODY in report.octets.decode("latin-1"), "the report does not say which address")
        page = self.ann.get(f"/sent/{reply.split()[3]}")
        need("came back" in page.words, "the Sent page does not say that the notice came back")

    def late_bounce(self) -> None:
        """Bob's provider took the notice, and finds out later that the mailbox is full."""
        notice = self.internet.wait_for(BOB)
        bounce = EmailMessage(policy=email.policy.SMTP)
        bounce["From"], bounce["To"], bounce["Subject"] = "postmaster@aol.example", notice.reverse_path, "Undeliverable"
        bounce.set_content("The mailbox of the recipient is full: 552 5.2.2 over quota\n")
        port = self.house.home.ports()["inbound"]
        forged = notice.reverse_path.replace("b+", "b+a")
        need(self.internet.bring(port, "", forged, bounce.as_bytes())[0] == 550, "a forged bounce was taken")
        code, words = self.internet.bring(port, "", notice.reverse_path, bounce.as_bytes())
        need(code == 250, f"the bounce was refused: {code} {words}")
        report = self.internet.wait_for(ANN, predicate=lambda one: "5.2.2" in one.octets.decode("latin-1"))
        self._clean(report)
        page = self.ann.get(f"/sent/{self.message}")
        need("came back" in page.words, "the Sent page does not say that the notice to Bob came back")

    def intruder(self) -> None:
        """Eve reads Pat's mailbox and subscribes here herself; both together open nothing of Ann's."""
        self.house.run(
            "subscriber", "add", EVE, "--name", "Eve", "--own", "--password-stdin", stdin=EVE_PASSWORD + "\n"
        )
        eve = self.browser("Eve")
        page = eve.get(self.notice_link)
        need(SUBJECT not in page.html, "the link shows the subject")
        self._sign_in(eve, EVE, EVE_PASSWORD)
        for path in (self.notice_link, self.read_page, self.read_page + "/eml", f"/sent/{self.message}"):
            page = eve.get(path)
            need(page.status in (403, 404, 410), f"{path} answers Eve with {page.status}")
            need(SUBJECT not in page.html, f"{path} shows Eve the subject")

    def reset(self) -> None:
        """A reset by mail alone opens nothing; Ann's new code opens all of hers again."""
        lost = self.browser("Pat's new phone")
        page = lost.get("/forgot")
        page = lost.send(page, page.form(with_field="address"), address=PAT)
        mail = self.internet.wait_for(PAT, predicate=lambda one: "code" in str(one.parsed["Subject"]).lower())
        found = re.search(r"^\s{4}(\S+)\s*$", text_of(mail.parsed), re.MULTILINE)
        need(found, "the mailed code is not in the mail")
        code = found.group(1) if found else ""
        page = lost.send(page, page.form(with_field="code"), code=code, password="quilt saffron beacon eleven")
        need(SUBJECT not in lost.get("/messages").html, "a reset by mail alone shows subjects")
        need(SUBJECT not in self._whole(lost, lost.get(self.read_page)), "a reset by mail alone opens a message")
        status = self.ann.get(f"/sent/{self.message}")
        shown = self.ann.send(status, status.form(action="/codes"))
        near = re.search(re.escape(PAT) + r".*?(\d{3} \d{3,5}|\d{4} \d{4})", shown.words)
        need(near, "Ann's page has no new code for Pat")
        page = lost.get(self.notice_link)
        page = lost.send(page, page.form(with_field="code"), code=(near.group(1) if near else "").replace(" ", ""))
        need(SUBJECT in lost.get(self.read_page).words, "Ann's new code did not open her message again")

    def export(self) -> None:
        """The author's own copy has the Bcc and every octet."""
        out = Path(self.house.path.parent / "export.eml")
        self.house.run(
            "message", "export", str(self.message), "--account", ANN, "--output", str(out), "--password-stdin",
            stdin=ANN_PASSWORD + "\n",
        )  # fmt: skip
        same = out.read_bytes() == self.submitted
        out.unlink()
        need(same, "the export differs from what was submitted")

    def verify(self) -> None:
        """Chains and blobs."""
        self.house.run("audit", "verify")
        self.house.run("vault", "verify")

    def canary(self) -> None:
        """Database, WAL, blobs, logs, sockets' folder: everything under the home, and the log beside it."""
        for path in (*self.house.path.rglob("*"), self.house.log):
            if not path.is_file() or path.is_symlink():
                continue
            octets = path.read_bytes()
            for secret in (*SECRETS, ANN_PASSWORD, PAT_PASSWORD, self.device, self.code):
                if secret == self.code and path != self.house.log:
                    continue  # six digits turn up in any ciphertext
                need(secret.encode() not in octets, f"{path.relative_to(self.house.path.parent)} has {secret[:4]}…")


def play(story: Story, say: Callable[[str], None]) -> bool:
    """Play all steps; say each with its time and whether it went well; stop at the first that did not."""
    for what, step in story.steps():
        began = time.monotonic()
        try:
            step()
        except (Failed, NotOnThePage, TimeoutError, RuntimeError, OSError, smtplib.SMTPException) as reason:
            say(f"FAILED  {time.monotonic() - began:6.2f} s  {what}: {reason}")
            return False
        say(f"ok      {time.monotonic() - began:6.2f} s  {what}")
    return True
