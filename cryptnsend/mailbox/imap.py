"""What may be said in one IMAP session? Signing in, the state of the connection, APPEND (RFC 3501, RFC 9051)."""

from __future__ import annotations

from cryptnsend.core import imap
from cryptnsend.core.errors import NoGrant
from cryptnsend.flow.filing import Incoming
from cryptnsend.mailbox.connection import Farewell, Gone, Refused
from cryptnsend.mailbox.folders import Folders
from cryptnsend.mailbox.selected import Selected
from cryptnsend.mailbox.speaking import AFTER_LOGIN, BEFORE_LOGIN
from cryptnsend.submission import auth

EXTENSIONS = {"CONDSTORE": "CONDSTORE", "IMAP4REV2": "IMAP4rev2"}  # that ENABLE knows


class ImapSession(Selected, Folders):
    """One IMAP connection."""

    async def imap_simple(self, command: imap.Simple) -> None:
        """Answer the commands without arguments."""
        match command.name:
            case "CAPABILITY":
                capability = BEFORE_LOGIN if self._reader is None else AFTER_LOGIN
                await self._write(f"* CAPABILITY {capability}\r\n".encode())
            case "LOGOUT":
                await self._write(b"* BYE See you.\r\n")
                await self._done(command)
                await self._flush()
                raise Gone
            case "STARTTLS":
                raise imap.BadCommand("TLS is in use already.")
            case "NAMESPACE":
                self._session  # noqa: B018 - raises before a sign-in
                await self._write(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
            case "NOOP":
                await self._tell(may_expunge=True)
            case "IDLE":
                await self._idle(command)
                return
            case "CHECK":
                self._selected  # noqa: B018 - raises if there is none
                await self._tell(may_expunge=True)
            case "CLOSE" | "UNSELECT":
                await self._close_mailbox(expunge=command.name == "CLOSE")
            case "EXPUNGE":
                await self._expunge(None)
        await self._done(command)

    # -- signing in ---------------------------------------------------------------------------------------------------

    async def imap_login(self, command: imap.Login) -> None:
        """Sign in with a name and a password."""
        await self._enter(command, lambda: auth.login(command.username, command.password))

    async def imap_authenticate(self, command: imap.Authenticate) -> None:
        """Sign in by SASL PLAIN (RFC 4616)."""
        if self._reader is not None:
            raise imap.BadCommand("You are signed in already.")
        if command.mechanism != "PLAIN":
            raise imap.BadCommand("Use AUTHENTICATE PLAIN.", status="NO", code=b"CANNOT")
        said = command.initial
        if said is None:
            await self._write(b"+ \r\n")
            said = imap.decode_base64(await self._line())
            if said is None:
                raise imap.BadCommand("Cancelled.")
        if said.count(b"\0") != 2:
            raise imap.BadCommand("This is not a message of PLAIN.")
        message = said
        await self._enter(command, lambda: auth.plain(message))

    async def _enter(self, command: imap.Command, read: auth.Reading) -> None:
        if self._reader is not None:
            raise imap.BadCommand("You are signed in already.")
        try:
            await self._sign_in(read)
        except Refused as problem:
            raise imap.BadCommand(str(problem), status="NO", code=problem.code.encode()) from problem
        self._framer.limits = imap.after_login(self._house.message_octets)
        await self._done(command, "Welcome.", f"CAPABILITY {AFTER_LOGIN}")

    async def imap_id(self, command: imap.Id) -> None:
        """Say who we are. What programs say of themselves is not kept."""
        await self._write(b'* ID ("name" "CryptnSend")\r\n')
        await self._done(command)

    async def imap_enable(self, command: imap.Enable) -> None:
        """Enable what is asked for and known."""
        self._session  # noqa: B018 - raises before a sign-in
        known = [EXTENSIONS[name] for name in command.names if name in EXTENSIONS]
        if "IMAP4rev2" in known:
            self._rev2 = self._framer.utf8 = True
        if "CONDSTORE" in known:
            self._condstore = True
            await self._tell_modseq()
        await self._write(f"* ENABLED{''.join(' ' + name for name in known)}\r\n".encode())
        await self._done(command)

    # -- APPEND -------------------------------------------------------------------------------------------------------

    async def _append(self, command: imap.Append, waits: bool) -> None:
        """Take a message. It is sealed as it comes; an answer is given when it is durable."""
        rooms, incoming = self._house.rooms, None
        try:
            self._check_valid()
            session = self._session
            box = await self._in_thread(rooms.boxes.named, session, command.mailbox)
            incoming = await self._in_thread(rooms.filing.begin, session, box, command.flags, command.date)
        except (Gone, Farewell):
            raise
        except NoGrant:
            problem = imap.BadCommand("There is no such mailbox.", tag=command.tag, status="NO", code=b"TRYCREATE")
            self._framer.refuse(problem)
            return
        except Exception as error:
            self._framer.refuse(self._as_refusal(command.tag, error))
            return
        self._framer.stream()
        if waits:
            await self._write(b"+ Go on.\r\n")
        try:
            await self._receive(command, incoming)
        finally:
            try:
                await self._in_thread(incoming.abort)
            except RuntimeError:  # the server has stopped, and its threads are gone: what is half here still has to go
                incoming.abort()

    def _as_refusal(self, tag: bytes, error: Exception) -> imap.BadCommand:
        if isinstance(error, imap.BadCommand):
            error.tag = tag
            return error
        self._log_failure(error)
        return imap.BadCommand("This cannot be taken now. Try again later.", tag=tag, status="NO", code=b"UNAVAILABLE")

    async def _receive(self, command: imap.Append, incoming: Incoming) -> None:
        failed: Exception | None = None
        while True:
            event = await self._event()
            match event:
                case imap.Chunk(octets):
                    if failed is None:
                        try:
                            await self._in_thread(incoming.feed, octets)
                        except Exception as error:
                            failed = error  # the rest has to be read all the same
                case imap.Refused(refusal):
                    await self._write(refusal.answer())
                    return
                case imap.Overrun(text):
                    raise Farewell(text)
                case _:
                    break
        try:
            if failed is not None:
                raise failed
            validity, uid = await self._at_length(incoming.finish)
        except Exception as error:
            await self._failed(command.tag, error, "APPEND")
            return
        self._house.poke(self._session.account)
        await self._tell(may_expunge=True)
        await self._done(command, "Kept.", f"APPENDUID {validity} {uid}")


ImapSession.commands = {
    imap.Simple: ImapSession.imap_simple,
    imap.Id: ImapSession.imap_id,
    imap.Login: ImapSession.imap_login,
    imap.Authenticate: ImapSession.imap_authenticate,
    imap.Enable: ImapSession.imap_enable,
    imap.Select: ImapSession.imap_select,
    imap.Create: ImapSession.imap_create,
    imap.OnMailbox: ImapSession.imap_on_mailbox,
    imap.Rename: ImapSession.imap_rename,
    imap.List: ImapSession.imap_list,
    imap.Status: ImapSession.imap_status,
    imap.UidExpunge: ImapSession.imap_uid_expunge,
    imap.Search: ImapSession.imap_search,
    imap.Fetch: ImapSession.imap_fetch,
    imap.Store: ImapSession.imap_store,
    imap.Copy: ImapSession.imap_copy,
}
