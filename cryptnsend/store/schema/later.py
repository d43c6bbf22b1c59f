"""What came to the main database later? Drafts, oversight, mailboxes: a step each, the newest last."""

from __future__ import annotations

from cryptnsend.store.schema.first import Step

DRAFTS = Step(
    "0002-drafts",
    (
        """CREATE TABLE drafts(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,   -- whose it is, and the only one who opens it
            parent INTEGER REFERENCES messages,             -- the message it answers
            pair INTEGER NOT NULL REFERENCES pairs,         -- the writer's, to which its key is sealed
            suite INTEGER NOT NULL,
            sealed_key BLOB NOT NULL,
            body BLOB,                          -- what was written; large ones rest under blob_key
            blob_key TEXT UNIQUE,
            octets INTEGER NOT NULL,            -- sealed, its files not counted
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX drafts_account ON drafts(account, changed)",
        "CREATE INDEX drafts_changed ON drafts(changed)",
        """CREATE TABLE draft_files(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            draft INTEGER NOT NULL REFERENCES drafts,
            body BLOB,                          -- its key, name and kind stand in what was written
            blob_key TEXT UNIQUE,
            octets INTEGER NOT NULL             -- sealed
        ) STRICT""",
        "CREATE INDEX draft_files_draft ON draft_files(draft)",
    ),
)

TRANSPORT = Step(
    "0003-transport",
    (
        """CREATE TABLE sts_policies(            -- what domains promise by MTA-STS (RFC 8461)
            org INTEGER NOT NULL REFERENCES organisations,
            domain TEXT PRIMARY KEY,
            ident TEXT NOT NULL,
            body TEXT NOT NULL,
            fetched INTEGER NOT NULL,
            expires INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE tls_results(             -- TLS sessions of a day (RFC 8460), counted by what they showed
            org INTEGER NOT NULL REFERENCES organisations,
            day INTEGER NOT NULL,
            domain TEXT NOT NULL,
            kind TEXT NOT NULL,                 -- tlsa sts no-policy-found
            policy TEXT NOT NULL,               -- JSON: lines, hosts
            result TEXT NOT NULL,               -- of RFC 8460 section 4.3, '' for success
            host TEXT NOT NULL,
            address TEXT NOT NULL,
            sessions INTEGER NOT NULL,
            PRIMARY KEY(day, domain, kind, policy, result, host, address)
        ) STRICT""",
        """CREATE TABLE tls_reports(             -- which reports go to whom
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            day INTEGER NOT NULL,
            domain TEXT NOT NULL,
            rua TEXT NOT NULL,                  -- mailto: or https:, '' where nobody asks
            created INTEGER NOT NULL,
            UNIQUE(day, domain, rua)
        ) STRICT""",
        # The state before the operator held it, '' otherwise.
        "ALTER TABLE deliveries ADD COLUMN held TEXT NOT NULL DEFAULT ''",
    ),
)

OVERSIGHT = Step(
    "0004-oversight",
    (
        # Everybody's own doings; the many rows of submitted mail are left out, so that they cost nothing here.
        "CREATE INDEX audit_doings ON audit(actor, at) WHERE action <> 'message.sealed'",
        "CREATE INDEX accounts_closed ON accounts(id) WHERE state = 'closed'",
        """CREATE TABLE marks(
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            what TEXT NOT NULL,                 -- recovery-file: its owner says that it is in a safe place
            at INTEGER NOT NULL,
            PRIMARY KEY(account, what)
        ) STRICT""",
    ),
)

FORMER_OWNERS = Step(
    "0005-former-owners",
    (
        """CREATE TABLE former_owners(             -- whose an address was before: mail may still be sealed to them
            org INTEGER NOT NULL REFERENCES organisations,
            address INTEGER NOT NULL REFERENCES addresses,
            account INTEGER NOT NULL REFERENCES accounts,
            PRIMARY KEY(address, account)
        ) STRICT, WITHOUT ROWID""",
    ),
)

# What mail programs see. The rows that say where a message lies are narrow: nothing sealed is in them, so that flags
# of a hundred thousand messages are read from few pages.
MAILBOXES = Step(
    "0006-mailboxes",
    (
        """CREATE TABLE mailboxes(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            name TEXT NOT NULL,
            special TEXT NOT NULL,              -- inbox sent drafts trash, '' for one's own
            uidvalidity INTEGER NOT NULL,
            uidnext INTEGER NOT NULL,
            modseq INTEGER NOT NULL,            -- the highest given (RFC 7162)
            looked INTEGER NOT NULL,            -- the newest message placed: what is much older was looked at
            holders TEXT NOT NULL,              -- whose grants were looked at
            subscribed INTEGER NOT NULL,
            UNIQUE(account, name)
        ) STRICT""",
        # The number given last in each organisation's mailboxes; it only grows, and a restore lets it jump.
        "CREATE TABLE uidvalidities(org INTEGER PRIMARY KEY REFERENCES organisations, n INTEGER NOT NULL) STRICT",
        """CREATE TABLE placed(
            mailbox INTEGER NOT NULL REFERENCES mailboxes,
            uid INTEGER NOT NULL,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL,
            message INTEGER NOT NULL,           -- or what was filed, if that is the role
            role TEXT NOT NULL,                 -- recipient author filed
            served TEXT NOT NULL,               -- '' for the message itself, else why a notice stands in for it
            modseq INTEGER NOT NULL,
            flags INTEGER NOT NULL,             -- 1 seen 2 answered 4 flagged 8 deleted 16 draft
            keywords TEXT NOT NULL,
            received INTEGER NOT NULL,          -- the internal date
            size INTEGER NOT NULL,              -- octets as served
            PRIMARY KEY(mailbox, uid)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX placed_changed ON placed(mailbox, modseq)",
        "CREATE INDEX placed_message ON placed(message)",
        "CREATE INDEX placed_stand_ins ON placed(mailbox) WHERE served <> ''",
        """CREATE TABLE gone(                      -- UIDs that were expunged, for those who look later
            mailbox INTEGER NOT NULL REFERENCES mailboxes,
            uid INTEGER NOT NULL,
            org INTEGER NOT NULL REFERENCES organisations,
            modseq INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY(mailbox, uid)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX gone_changed ON gone(mailbox, modseq)",
        "CREATE INDEX gone_at ON gone(at)",
        """CREATE TABLE put_away(                  -- messages that their reader wants in no mailbox
            account INTEGER NOT NULL REFERENCES accounts,
            message INTEGER NOT NULL,
            role TEXT NOT NULL,
            org INTEGER NOT NULL REFERENCES organisations,
            PRIMARY KEY(account, message, role)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE stand_ins(                 -- notices in the place of messages; they say what the rows say
            mailbox INTEGER NOT NULL REFERENCES mailboxes,
            uid INTEGER NOT NULL,
            org INTEGER NOT NULL REFERENCES organisations,
            octets BLOB NOT NULL,
            PRIMARY KEY(mailbox, uid)
        ) STRICT""",
        """CREATE TABLE filed(                     -- what a mail program brought: drafts, copies
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,   -- whose it is, and the only one who opens it
            pair INTEGER NOT NULL REFERENCES pairs,         -- theirs, to which its key is sealed
            suite INTEGER NOT NULL,
            sealed_key BLOB NOT NULL,
            summary BLOB NOT NULL,              -- the index, sealed
            body BLOB,                          -- large ones rest under blob_key
            blob_key TEXT UNIQUE,
            octets INTEGER NOT NULL             -- sealed
        ) STRICT""",
        "CREATE INDEX filed_account ON filed(account)",
        # When a mail program fetched the content, which may have been before anybody looked at it.
        "ALTER TABLE recipients ADD COLUMN fetched INTEGER",
    ),
)

FORGETTING = Step(
    "0007-forgetting",
    (
        # By which rows about a message are found when nothing of it is left but they.
        "CREATE INDEX messages_gone ON messages(id) WHERE state = 'gone'",
        "CREATE INDEX links_message ON links(message)",
        "CREATE INDEX links_delivery ON links(delivery)",
        "CREATE INDEX drafts_parent ON drafts(parent)",
        "CREATE INDEX deliveries_alone ON deliveries(created) WHERE message IS NULL",
    ),
)

TURNS = Step(
    "0008-turns",
    (
        "ALTER TABLE deliveries ADD COLUMN domain TEXT NOT NULL DEFAULT ''",
        "UPDATE deliveries SET domain = (SELECT substr(a.canonical, instr(a.canonical, '@') + 1) FROM addresses a"
        " WHERE a.id = deliveries.recipient) WHERE recipient IS NOT NULL AND state IN ('due', 'delayed', 'held')",
        # With the domain in the index, a claim passes over thousands of deliveries without reading one of them; with
        # the id, what is due at the same moment is in order already.
        "DROP INDEX deliveries_due",
        "CREATE INDEX deliveries_due ON deliveries(state, due, id, domain)",
    ),
)

LANGUAGES = Step(
    "0009-languages",
    (
        # Of the page on which a mail was asked for; '' leaves it to what the reader chose.
        "ALTER TABLE deliveries ADD COLUMN language TEXT NOT NULL DEFAULT ''",
    ),
)

PLANS = Step(
    "0010-plans",
    (
        """CREATE TABLE plans(                     -- what its author asked for with a message written on a page
            message INTEGER PRIMARY KEY REFERENCES messages,
            org INTEGER NOT NULL REFERENCES organisations,
            starts INTEGER NOT NULL,            -- before then nobody but its author knows of it
            tell INTEGER NOT NULL               -- 1: its author wants to hear when it is opened
        ) STRICT""",
        # Whom somebody wrote to, the latest first; and what happened to one message, without the many rows of its kind.
        "CREATE INDEX contacts_subscriber ON contacts(subscriber, id)",
        "CREATE INDEX audit_objects ON audit(object, org) WHERE action <> 'message.sealed'",
    ),
)

REPORTS = Step(
    "0011-reports",
    (
        """CREATE TABLE report_entries(            -- which deliveries a report to an author is about
            report INTEGER NOT NULL REFERENCES deliveries,      -- of kind dsn
            delivery INTEGER NOT NULL REFERENCES deliveries,
            org INTEGER NOT NULL REFERENCES organisations,
            action TEXT NOT NULL,               -- failed delayed relayed
            PRIMARY KEY(report, delivery)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX report_entries_delivery ON report_entries(delivery)",
        # Each was about one delivery before.
        "INSERT INTO report_entries(report, delivery, org, action) SELECT r.id, d.id, r.org, r.template"
        " FROM deliveries r JOIN deliveries d ON d.id = r.subject_id WHERE r.kind = 'dsn'",
    ),
)

CONCERNED = Step(
    "0012-concerned",
    (
        """CREATE TABLE concerned(                 -- whose account, message or delivery it was that an operator changed
            account INTEGER NOT NULL,
            at INTEGER NOT NULL,
            org INTEGER NOT NULL REFERENCES organisations,      -- with seq, the entry of the audit trail
            seq INTEGER NOT NULL,
            PRIMARY KEY(account, at, org, seq)
        ) STRICT, WITHOUT ROWID""",
        "INSERT INTO concerned(account, at, org, seq)"
        " SELECT CAST(substr(object, 9) AS INTEGER), at, org, seq FROM audit"
        " WHERE actor = 'owner' AND object LIKE 'account:%' AND action <> 'message.sealed'",
        "INSERT INTO concerned(account, at, org, seq) SELECT m.author, t.at, t.org, t.seq FROM audit t"
        " JOIN messages m ON m.id = CAST(t.object AS INTEGER) WHERE t.actor = 'owner' AND t.action LIKE 'grant.%'",
        "INSERT INTO concerned(account, at, org, seq) SELECT m.author, t.at, t.org, t.seq FROM audit t"
        " JOIN deliveries d ON d.id = CAST(t.object AS INTEGER) JOIN messages m ON m.id = d.message"
        " WHERE t.actor = 'owner' AND t.action LIKE 'delivery.%'",
    ),
)

TALLIES = Step(
    "0013-tallies",
    (
        # How much lies in a mailbox: what mail programs ask every few minutes, of all their mailboxes.
        "ALTER TABLE mailboxes ADD COLUMN messages INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE mailboxes ADD COLUMN unseen INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE mailboxes ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE mailboxes ADD COLUMN octets INTEGER NOT NULL DEFAULT 0",
        "UPDATE mailboxes SET (messages, unseen, deleted, octets) ="
        " (SELECT count(*), coalesce(sum(p.flags & 1 = 0), 0), coalesce(sum(p.flags & 8 = 8), 0),"
        "  coalesce(sum(p.size), 0) FROM placed p WHERE p.mailbox = mailboxes.id)",
        # Kept by the database itself: there are many ways into a mailbox and out of it, and more will come.
        """CREATE TRIGGER placed_came AFTER INSERT ON placed BEGIN
            UPDATE mailboxes SET messages = messages + 1, unseen = unseen + (new.flags & 1 = 0),
                deleted = deleted + (new.flags & 8 = 8), octets = octets + new.size WHERE id = new.mailbox;
        END""",
        """CREATE TRIGGER placed_went AFTER DELETE ON placed BEGIN
            UPDATE mailboxes SET messages = messages - 1, unseen = unseen - (old.flags & 1 = 0),
                deleted = deleted - (old.flags & 8 = 8), octets = octets - old.size WHERE id = old.mailbox;
        END""",
        """CREATE TRIGGER placed_flagged AFTER UPDATE OF flags ON placed WHEN old.flags & 9 <> new.flags & 9 BEGIN
            UPDATE mailboxes SET unseen = unseen + (new.flags & 1 = 0) - (old.flags & 1 = 0),
                deleted = deleted + (new.flags & 8 = 8) - (old.flags & 8 = 8) WHERE id = new.mailbox;
        END""",
        # Which column of a row could change besides would count wrong: so nobody can change them.
        """CREATE TRIGGER placed_stays BEFORE UPDATE OF mailbox, uid, size ON placed BEGIN
            SELECT raise(ABORT, 'a placing changes neither place nor size');
        END""",
        "CREATE INDEX placed_unseen ON placed(mailbox, uid) WHERE flags & 1 = 0",
    ),
)

DRAFT_FORMS = Step(
    "0018-draft-forms",
    (
        # A form that is sent takes along what was kept from it, also where its page never heard of that.
        "ALTER TABLE drafts ADD COLUMN nonce BLOB NOT NULL DEFAULT x''",
    ),
)
