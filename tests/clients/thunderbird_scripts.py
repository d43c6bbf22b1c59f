"""What Thunderbird is told to do, in its own language: bodies of functions for `Marionette.run`, with `values`."""

from __future__ import annotations

TRUST = """
    const [authority] = values;
    Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(authority, "CTu,,");
"""

# What somebody types into the fields of "Configure manually".
SET_UP = """
    const [address, password, kind, port, smtp, starttls] = values;
    const login = (origin) => {
        const made = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
        made.init(origin, null, origin, address, password, "", "");
        return Services.logins.addLoginAsync(made);
    };
    const incoming = MailServices.accounts.createIncomingServer(address, "localhost", kind);
    incoming.port = port;
    incoming.socketType = Ci.nsMsgSocketType.SSL;
    incoming.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
    const outgoing = MailServices.outgoingServer.createServer("smtp");
    const way = outgoing.QueryInterface(Ci.nsISmtpServer);
    way.hostname = "localhost";
    way.port = smtp;
    outgoing.socketType = starttls ? Ci.nsMsgSocketType.alwaysSTARTTLS : Ci.nsMsgSocketType.SSL;
    outgoing.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
    outgoing.username = address;
    MailServices.outgoingServer.defaultServer = outgoing;
    await login(`${kind === "imap" ? "imap" : "mailbox"}://localhost`);
    await login("smtp://localhost");
    const identity = MailServices.accounts.createIdentity();
    identity.email = address;
    identity.fullName = "Ann Ruiz";
    identity.smtpServerKey = outgoing.key;
    identity.composeHtml = false;
    const made = MailServices.accounts.createAccount();
    made.incomingServer = incoming;
    made.addIdentity(identity);
    MailServices.accounts.defaultAccount = made;
"""


# What the account hub does with an address and a password: ask everywhere, fill in what was found, make the account.
FIND = """
    const [address, password] = values;
    const from = name => ChromeUtils.importESModule(`resource:///modules/accountcreation/${name}.sys.mjs`);
    const asked = from("FindConfig").FindConfig.parallelAutoDiscovery(
        address.split("@")[1], address, new AbortController().signal, password);
    const config = (await asked.next()).value;
    if (!config || !config.incoming) throw new Error("no settings were found");
    from("AccountConfig").AccountConfig.replaceVariables(config, "Ann Ruiz", address, password);
    config.rememberPassword = true;
    await from("CreateInBackend").CreateInBackend.createAccountInBackend(config);
    const told = each => [each.type, each.hostname, each.port, each.username];
    return [config.subSource, told(config.incoming), told(config.outgoing)];
"""

KNOWN = """
    const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
    const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
    const account = MailServices.accounts.defaultAccount;  // none before the set-up
    const main = Services.wm.getMostRecentWindow("mail:3pane");
    const pause = (milliseconds) => new Promise(resolve => setTimeout(resolve, milliseconds));
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
            await pause(20);
        }
    };
    const writing = () => Services.wm.getMostRecentWindow("msgcompose");
    const named = (flag) => account.incomingServer.rootFolder.getFolderWithFlags(flag);
    const titled = (header) => (header.flags & Ci.nsMsgMessageFlags.HasRe ? "Re: " : "") + header.mime2DecodedSubject;
    // It forgets some listeners when a connection is busy; whoever waits for a message then asks again.
    const opened = (folder) => Promise.race([pause(5000), new Promise((resolve, reject) => {
        const listener = {
            OnStartRunningUrl() {},
            OnStopRunningUrl: (url, status) => Components.isSuccessCode(status) ? resolve() : reject(status),
        };
        if (folder instanceof Ci.nsIMsgImapMailFolder) folder.updateFolderWithListener(main.msgWindow, listener);
        else resolve();
    })]);
"""

# The compose window with its fields filled in.
WRITE = """
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
    await until("the compose window", () => (writing() || {}).composeEditorReady);
"""

# The button Send. The window closes when the mail was taken and the copy was filed.
SEND = """
    const page = writing();
    page.goDoCommand("cmd_sendNow");
    await until("the compose window to close", () => page.closed);
"""

# More is typed, and Save is pressed. What it saved before it removes only if it has seen it in the folder meanwhile;
# else it flags it as deleted and leaves it there, or forgets it. Whoever saves faster than it looks waits until it has.
SAVE = """
    const [more] = values;
    const page = writing();
    page.GetCurrentEditor().insertText(more);
    const before = page.gMsgCompose.compFields.draftId;
    page.goDoCommand("cmd_saveAsDraft");
    const saved = () => !page.gSaveOperationInProgress && page.gMsgCompose.compFields.draftId;
    const draft = await until("the draft to be saved", () => saved() !== before && saved());
    const folder = named(Ci.nsMsgFolderFlags.Drafts);
    await until("the draft in its folder", async () => {
        await opened(folder);
        return folder.msgDatabase.containsKey(Number(draft.split("#")[1]));
    });
"""

# Delete is pressed.
DELETE = """
    const [flag, subject] = values;
    const folder = named(Ci.nsMsgFolderFlags[flag]);
    await opened(folder);
    const header = [...folder.messages].find(each => titled(each) === subject);
    await new Promise((resolve, reject) => folder.deleteMessages([header], main.msgWindow, false, false, {
        onStartCopy() {},
        onProgress() {},
        setMessageKey() {},
        getMessageId() {},
        onStopCopy: status => Components.isSuccessCode(status) ? resolve() : reject(status),
    }, true));
"""

# Get Messages, of an account whose mail lies on this machine once it was fetched.
GET = """
    const folder = named(Ci.nsMsgFolderFlags.Inbox);
    await until("messages", async () => {
        await Promise.race([pause(5000), new Promise(resolve => MailServices.pop3.GetNewMail(main.msgWindow, {
            OnStartRunningUrl() {},
            OnStopRunningUrl: resolve,
        }, folder, account.incomingServer.QueryInterface(Ci.nsIPop3IncomingServer)))]);
        return folder.getTotalMessages(false);
    });
"""

FOLDERS = """
    await opened(named(Ci.nsMsgFolderFlags.Inbox));  // at the first time it asks for all folders
    await until("folders", () => named(Ci.nsMsgFolderFlags.SentMail) && named(Ci.nsMsgFolderFlags.Trash));
"""

LIST = """
    const [flag] = values;
    const folder = named(Ci.nsMsgFolderFlags[flag]);
    await opened(folder);
    return [...folder.messages].map(titled);
"""


# The message is chosen in the list and shown beside it, which marks it as read.
READ = """
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
