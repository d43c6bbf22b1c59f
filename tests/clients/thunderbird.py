"""Debian's Thunderbird, without a screen, as somebody uses it: set up, write, send, open folders, read."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.clients.marionette import Marionette
from tests.support.waiting import wait_for

PATIENCE = 120.0  # seconds, on a machine that does much else
BINARY = "/usr/lib/thunderbird/thunderbird"  # Debian's wrapper would look for older profiles first

# It says nothing to anybody but the servers it is set up for, and asks its user nothing.
QUIET: Mapping[str, Any] = {
    "marionette.port": 0,
    "app.donation.eoy.version.viewed": 999,
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "mail.cloud_files.enabled": False,
    "mail.inappnotifications.enabled": False,
    "mail.provider.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.override": True,
    "mail.shell.checkDefaultClient": False,
    "mail.spellcheck.inline": False,
    "mail.winsearch.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "messenger.startup.action": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.manage-offline-status": False,
    "offline.autoDetect": False,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.type": 1,
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "",
}

_TRUST = """
    const [authority] = values;
    Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(authority, "CTu,,");
"""

# What somebody types into the fields of "Configure manually".
_SET_UP = """
    const [address, password, imap, smtp] = values;
    const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
    const login = (origin) => {
        const made = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
        made.init(origin, null, origin, address, password, "", "");
        return Services.logins.addLoginAsync(made);
    };
    const incoming = MailServices.accounts.createIncomingServer(address, "localhost", "imap");
    incoming.port = imap;
    incoming.socketType = Ci.nsMsgSocketType.SSL;
    incoming.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
    const outgoing = MailServices.outgoingServer.createServer("smtp");
    const way = outgoing.QueryInterface(Ci.nsISmtpServer);
    way.hostname = "localhost";
    way.port = smtp;
    outgoing.socketType = Ci.nsMsgSocketType.SSL;
    outgoing.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
    outgoing.username = address;
    MailServices.outgoingServer.defaultServer = outgoing;
    await login("imap://localhost");
    await login("smtp://localhost");
    const identity = MailServices.accounts.createIdentity();
    identity.email = address;
    identity.fullName = "Ann Ruiz";
    identity.smtpServerKey = outgoing.key;
    identity.composeHtml = false;
    const account = MailServices.accounts.createAccount();
    account.incomingServer = incoming;
    account.addIdentity(identity);
    MailServices.accounts.defaultAccount = account;
"""


_KNOWN = """
    const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
    const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
    const account = MailServices.accounts.defaultAccount;
    const main = Services.wm.getMostRecentWindow("mail:3pane");
    const dialog = () => {
        for (const each of Services.wm.getEnumerator(null)) {
            if (each.location.href.includes("commonDialog")) return each.document.documentElement.textContent;
            const inside = each.document.querySelector("browser.dialogFrame");
            if (inside) return inside.contentDocument.documentElement.textContent;
        }
        return "";
    };
    const until = async (what, look) => {
        const end = Date.now() + PATIENCE;
        for (;;) {
            const found = await look();
            if (found) return found;
            const asked = dialog();
            if (asked) throw new Error(`waiting for ${what}, it asked: ${asked}`);
            if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
            await new Promise(resolve => setTimeout(resolve, 20));
        }
    };
    const named = (flag) => account.incomingServer.rootFolder.getFolderWithFlags(flag);
    const titled = (header) => (header.flags & Ci.nsMsgMessageFlags.HasRe ? "Re: " : "") + header.mime2DecodedSubject;
    const opened = (folder) => new Promise((resolve, reject) => {
        const listener = {
            OnStartRunningUrl() {},
            OnStopRunningUrl: (url, status) => Components.isSuccessCode(status) ? resolve() : reject(status),
        };
        folder.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(main.msgWindow, listener);
    });
"""

# Compose window, its fields, the button Send; it closes when the mail was taken and the copy was filed.
_SEND = """
    const [to, subject, text, files] = values;
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    fields.to = to.join(", ");
    fields.subject = subject;
    fields.body = text;
    for (const path of files) {
        const file = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
        file.url = PathUtils.toFileURI(path);
        file.name = PathUtils.filename(path);
        fields.addAttachment(file);
    }
    const asked = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
    asked.identity = account.defaultIdentity;
    asked.type = Ci.nsIMsgCompType.New;
    asked.format = Ci.nsIMsgCompFormat.PlainText;
    asked.composeFields = fields;
    MailServices.compose.OpenComposeWindowWithParams(null, asked);
    const page = await until("the compose window", () => {
        const found = Services.wm.getMostRecentWindow("msgcompose");
        return found && found.composeEditorReady ? found : null;
    });
    page.goDoCommand("cmd_sendNow");
    await until("the compose window to close", () => page.closed);
"""

_FOLDERS = """
    await opened(named(Ci.nsMsgFolderFlags.Inbox));  // at the first time it asks for all folders
    await until("folders", () => named(Ci.nsMsgFolderFlags.SentMail) && named(Ci.nsMsgFolderFlags.Trash));
"""

_LIST = """
    const [flag] = values;
    const folder = named(Ci.nsMsgFolderFlags[flag]);
    await opened(folder);
    return [...folder.messages].map(titled);
"""


# The message is chosen in the list and shown beside it, which marks it as read.
_READ = """
    const [flag, subject] = values;
    const pane = main.document.getElementById("tabmail").currentAbout3Pane;
    const folder = named(Ci.nsMsgFolderFlags[flag]);
    pane.displayFolder(folder.URI);
    const row = await until("the message in the list", async () => {
        if (pane.gFolder !== folder || !pane.gDBView) return null;
        for (let place = 0; place < pane.gDBView.rowCount; place++) {
            if (titled(pane.gDBView.getMsgHdrAt(place)) === subject) return [place];
        }
        await opened(folder);
        return null;
    });
    const header = pane.gDBView.getMsgHdrAt(row[0]);
    pane.threadTree.selectedIndex = row[0];
    const page = pane.messageBrowser.contentWindow;
    const text = await until("the message to show", () => {
        const shown = page.gMessage === header && page.msgLoaded && page.getMessagePaneBrowser().contentDocument;
        return shown && shown.body && shown.body.textContent;
    });
    await until("the message to be read", () => header.isRead);
    return [text, page.currentAttachments.map(each => each.name)];
"""


class Thunderbird:
    """One Thunderbird with a profile in *folder*. Use as a context manager."""

    def __init__(self, folder: Path, authority: Path, preferences: Mapping[str, Any] | None = None):
        """*authority* is the file with the certificate that it is to trust."""
        self._folder, self._authority = folder, authority
        self._profile = folder / "profile"
        self._preferences = {**QUIET, **(preferences or {})}

    def __enter__(self) -> Thunderbird:
        assert Path(BINARY).exists(), "thunderbird is missing; on Debian: apt-get install thunderbird"
        self._profile.mkdir(parents=True)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(said)});\n" for name, said in self._preferences.items()]
        (self._profile / "user.js").write_text("".join(lines))
        self._log = (self._folder / "thunderbird.log").open("wb")
        environ = {**os.environ, "HOME": str(self._folder), "TMPDIR": str(self._folder), "MOZ_HEADLESS": "1"}
        self._process = subprocess.Popen(
            [BINARY, "--headless", "--no-remote", "--marionette", "--remote-allow-system-access",
             "--profile", str(self._profile)],
            stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL, env=environ,
        )  # fmt: skip
        try:
            port = self._profile / "MarionetteActivePort"
            wait_for(lambda: port.exists() and port.read_text(), "Thunderbird listens", seconds=PATIENCE)
            self._driver = Marionette(int(port.read_text()), PATIENCE)
            der = x509.load_pem_x509_certificate(self._authority.read_bytes()).public_bytes(Encoding.DER)
            self._driver.run(_TRUST, base64.b64encode(der).decode())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        if problem[0] is None:
            self._driver.quit()
        self._driver.close()
        self._end()

    def _end(self) -> None:
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def set_up(self, address: str, password: str, ports: Mapping[str, int]) -> None:
        """Add an account by hand: IMAPS and SMTP with implicit TLS, normal passwords."""
        self._driver.run(_SET_UP, address, password, ports["imaps"], ports["submissions"])
        self._run(_FOLDERS)

    def send(self, to: Sequence[str], subject: str, text: str, files: Sequence[Path] = ()) -> None:
        """Write a mail in the compose window and press Send; its copy goes where Thunderbird puts copies."""
        self._run(_SEND, list(to), subject, text, [str(file) for file in files])

    def subjects(self, folder: str) -> list[str]:
        """Open a folder (Inbox, SentMail, Drafts, Trash) and return the subjects in it."""
        return [str(subject) for subject in self._run(_LIST, folder)]

    def read(self, folder: str, subject: str) -> tuple[str, list[str]]:
        """Open a message of a folder; return the text that is shown, and the names of its files."""
        text, files = self._run(_READ, folder, subject)
        return str(text), list(files)

    def _run(self, script: str, *values: Any) -> Any:
        return self._driver.run(_KNOWN.replace("PATIENCE", str(int(PATIENCE * 1000))) + script, *values)
