"""What came to the main database for the archive? Checkpoints, manifests, legal holds, glass breaks, journals."""

from __future__ import annotations

from cryptnsend.store.schema.first import Step

# Whether the archive of an organisation has to keep a message: its people, or the message itself, are part of a case.
HELD = (
    "EXISTS (SELECT 1 FROM legal_holds h WHERE h.ended IS NULL AND 'archive:' || h.org = {grant}.holder AND ("
    " h.kind = 'message' AND h.subject = {grant}.message"
    " OR h.kind = 'account' AND EXISTS (SELECT 1 FROM messages m WHERE m.id = {grant}.message AND m.author = h.subject)"
    " OR h.kind = 'address' AND (EXISTS (SELECT 1 FROM messages m WHERE m.id = {grant}.message"
    "  AND m.author_address = h.subject) OR EXISTS (SELECT 1 FROM recipients r WHERE r.message = {grant}.message"
    "  AND r.address = h.subject))))"
)

ARCHIVE = Step(
    "0021-archive",
    (
        """CREATE TABLE checkpoints(               -- how far audit chains had come, on the keeper's word
            org INTEGER NOT NULL REFERENCES organisations,
            seq INTEGER NOT NULL,
            hash BLOB NOT NULL,
            at INTEGER NOT NULL,
            ed25519 BLOB NOT NULL,
            ml_dsa BLOB NOT NULL,
            PRIMARY KEY(org, seq)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE archived(                  -- what an archive has: a hash chain, a row for each message
            org INTEGER NOT NULL REFERENCES organisations,
            seq INTEGER NOT NULL,
            message INTEGER NOT NULL,
            at INTEGER NOT NULL,                -- when it was sealed
            content BLOB NOT NULL,              -- SHA-256 over the sealed parts as they rest
            envelope BLOB NOT NULL,             -- SHA-256 over author, recipients, Message-ID, size
            hash BLOB NOT NULL,
            PRIMARY KEY(org, seq)
        ) STRICT""",
        "CREATE UNIQUE INDEX archived_message ON archived(message, org)",
        """CREATE TABLE manifests(                 -- an archive's chain at the end of a day, signed
            org INTEGER NOT NULL REFERENCES organisations,
            day INTEGER NOT NULL,               -- since 1970, UTC
            seq INTEGER NOT NULL,
            hash BLOB NOT NULL,
            at INTEGER NOT NULL,
            ed25519 BLOB NOT NULL,
            ml_dsa BLOB NOT NULL,
            PRIMARY KEY(org, day)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE legal_holds(                     -- legal holds: what must stay whatever its age
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            name TEXT NOT NULL,                 -- of the case
            kind TEXT NOT NULL,                 -- message account address
            subject INTEGER NOT NULL,           -- whose id that is
            reason TEXT NOT NULL,
            since INTEGER NOT NULL,
            ended INTEGER
        ) STRICT""",
        "CREATE INDEX legal_holds_org ON legal_holds(org, name)",
        "CREATE INDEX legal_holds_live ON legal_holds(kind, subject) WHERE ended IS NULL",
        """CREATE TABLE glass_breaks(
            id INTEGER PRIMARY KEY,             -- the keeper's
            org INTEGER NOT NULL REFERENCES organisations,
            officer INTEGER NOT NULL REFERENCES accounts,
            mailbox TEXT NOT NULL,              -- canonical address
            reason TEXT NOT NULL,
            minutes INTEGER NOT NULL,
            asked INTEGER NOT NULL,
            agreed_by INTEGER,                  -- another officer's account
            agreed INTEGER,
            opened INTEGER,
            ends INTEGER,
            ended INTEGER,
            session BLOB,                       -- whose it is, while it is open
            sealed BLOB                         -- what opens the archive, under that session's secret
        ) STRICT""",
        "CREATE INDEX glass_breaks_org ON glass_breaks(org, asked)",
        """CREATE TABLE journals(                  -- where copies of a domain's mail go
            org INTEGER NOT NULL REFERENCES organisations,
            domain TEXT NOT NULL,
            account INTEGER NOT NULL REFERENCES accounts,   -- whose inbox and delivery passphrase it is
            since INTEGER NOT NULL,
            PRIMARY KEY(org, domain)
        ) STRICT, WITHOUT ROWID""",
        # No statement of any command may take from an archive what the retention has not ended, or a case needs.
        "CREATE TRIGGER archive_stays BEFORE DELETE ON grants WHEN OLD.role = 'archive' AND (OLD.state <> 'suspended'"
        f" OR {HELD.format(grant='OLD')}) BEGIN SELECT RAISE(ABORT, 'the archive keeps this message'); END",
        "CREATE TRIGGER archive_is_as_it_was BEFORE UPDATE OF org, message, holder, role, contact, custody, epoch, wrap"
        " ON grants WHEN OLD.role = 'archive' BEGIN SELECT RAISE(ABORT, 'the archive keeps this message'); END",
        "CREATE TRIGGER archived_content_stays BEFORE DELETE ON contents WHEN EXISTS (SELECT 1 FROM grants g"
        " WHERE g.message = OLD.message AND g.role = 'archive')"
        " BEGIN SELECT RAISE(ABORT, 'the archive keeps this message'); END",
        "CREATE TRIGGER archived_envelope_stays BEFORE DELETE ON recipients WHEN EXISTS (SELECT 1 FROM grants g"
        " WHERE g.message = OLD.message AND g.role = 'archive')"
        " BEGIN SELECT RAISE(ABORT, 'the archive keeps this message'); END",
        "CREATE TRIGGER archived_content_is_as_it_was BEFORE UPDATE ON contents WHEN EXISTS (SELECT 1 FROM grants g"
        " WHERE g.message = OLD.message AND g.role = 'archive')"
        " BEGIN SELECT RAISE(ABORT, 'the archive keeps this message'); END",
    ),
)

GLASS_SECOND = Step(
    "0028-glass-second",
    # Who is to agree, where the archive opens with two officers, as the keeper has it.
    ("ALTER TABLE glass_breaks ADD COLUMN second INTEGER",),
)
