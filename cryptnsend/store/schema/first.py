"""Which tables did the main database have at first? Nearly all that a message touches on its way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One schema step: a name that never changes and the statements it runs, in one transaction."""

    name: str
    statements: tuple[str, ...]


FIRST = Step(
    "0001-first",
    (
        """CREATE TABLE organisations(
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            single INTEGER NOT NULL,            -- 1: an organisation of one
            policy TEXT NOT NULL,               -- JSON: what differs from the installation's defaults
            created INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE accounts(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,  -- 0 for those who only receive
            roles TEXT NOT NULL,                -- comma list: subscriber, officer, manager, recipient
            state TEXT NOT NULL,                -- pending active weak disabled closed
            credential_version INTEGER NOT NULL,
            name TEXT NOT NULL,
            phone TEXT NOT NULL,
            locale TEXT NOT NULL,
            created INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE addresses(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            canonical TEXT NOT NULL UNIQUE,
            display TEXT NOT NULL,
            account INTEGER REFERENCES accounts -- a copy; the card decides
        ) STRICT""",
        "CREATE INDEX addresses_account ON addresses(account) WHERE account IS NOT NULL",
        """CREATE TABLE cards(
            org INTEGER NOT NULL REFERENCES organisations,
            holder TEXT NOT NULL,
            version INTEGER NOT NULL,
            body BLOB NOT NULL,
            signature BLOB NOT NULL,
            PRIMARY KEY(holder, version)
        ) STRICT""",
        """CREATE TABLE pairs(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            holder TEXT NOT NULL,
            role TEXT NOT NULL,                 -- account archive pending queue
            custody TEXT NOT NULL,              -- managed strict
            suite INTEGER NOT NULL,
            public BLOB NOT NULL,
            state TEXT NOT NULL                 -- current withheld locked retired
        ) STRICT""",
        "CREATE INDEX pairs_holder ON pairs(holder, state)",
        """CREATE TABLE epochs(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            pair INTEGER NOT NULL REFERENCES pairs,
            suite INTEGER NOT NULL,
            owner TEXT NOT NULL,
            holder TEXT NOT NULL,
            sealed BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE threads(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            subscriber INTEGER NOT NULL REFERENCES accounts,
            custody TEXT NOT NULL
        ) STRICT""",
        """CREATE TABLE messages(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            thread INTEGER NOT NULL REFERENCES threads,
            author INTEGER NOT NULL REFERENCES accounts,
            author_address INTEGER NOT NULL REFERENCES addresses,
            message_id TEXT NOT NULL,           -- as the author's program gave it, or ours
            parent INTEGER,                     -- the message this one answers
            origin TEXT NOT NULL,               -- smtp page reply draft
            size INTEGER NOT NULL,              -- octets as submitted, Bcc fields included
            state TEXT NOT NULL,                -- draft sealed gone
            received BLOB NOT NULL,             -- our Received field, added when mail leaves
            resend_mac BLOB,
            created INTEGER NOT NULL,
            expires INTEGER                     -- when recipients' grants end
        ) STRICT""",
        "CREATE INDEX messages_resend ON messages(author, resend_mac) WHERE resend_mac IS NOT NULL",
        "CREATE INDEX messages_message_id ON messages(message_id)",
        "CREATE INDEX messages_thread ON messages(thread)",
        """CREATE TABLE contents(
            org INTEGER NOT NULL REFERENCES organisations,
            message INTEGER NOT NULL REFERENCES messages,
            part TEXT NOT NULL,                 -- raw index author_index upload.N
            suite INTEGER NOT NULL,
            size INTEGER NOT NULL,              -- octets before sealing
            body BLOB,                          -- small bodies rest here, others under blob_key
            blob_key TEXT,
            PRIMARY KEY(message, part)
        ) STRICT""",
        "CREATE UNIQUE INDEX contents_blob ON contents(blob_key) WHERE blob_key IS NOT NULL",
        """CREATE TABLE recipients(
            org INTEGER NOT NULL REFERENCES organisations,
            message INTEGER NOT NULL REFERENCES messages,
            address INTEGER NOT NULL REFERENCES addresses,
            decision TEXT NOT NULL,             -- vault handoff relay pdf hold
            form TEXT NOT NULL,                 -- zip link ... for handoffs, else ''
            reason TEXT NOT NULL,
            disclosed INTEGER NOT NULL,         -- 1: stands in To or Cc; 0: envelope only, never shown to others
            display_id TEXT NOT NULL,
            notified INTEGER,
            first_opened INTEGER,
            PRIMARY KEY(message, address)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE contacts(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,   -- the subscriber's
            address INTEGER NOT NULL REFERENCES addresses,
            subscriber INTEGER NOT NULL REFERENCES accounts,
            state TEXT NOT NULL,                -- new proven waived blocked; a copy of the ledger's
            account INTEGER,                    -- whose proof it was
            statement BLOB,                     -- the keeper's signed words; without them the state counts for nothing
            phrase TEXT NOT NULL,               -- check phrase agreed at first contact
            created INTEGER NOT NULL,
            UNIQUE(address, subscriber)
        ) STRICT""",
        "CREATE INDEX contacts_account ON contacts(account) WHERE account IS NOT NULL",
        """CREATE TABLE grants(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            message INTEGER NOT NULL REFERENCES messages,
            holder TEXT NOT NULL,
            role TEXT NOT NULL,                 -- author recipient archive
            contact TEXT NOT NULL,              -- "<address>|<subscriber>" or ''
            custody TEXT NOT NULL,
            epoch INTEGER NOT NULL REFERENCES epochs,
            wrap BLOB NOT NULL,
            state TEXT NOT NULL,                -- active suspended (a shredded grant is a deleted row)
            ends INTEGER,                       -- when upkeep suspends or, once suspended, shreds it
            UNIQUE(message, holder, role)
        ) STRICT""",
        # Archives are walked by message: an entry for each would cost more pages than the rest of a grant.
        "CREATE INDEX grants_list ON grants(holder, role, message) WHERE role <> 'archive'",
        "CREATE INDEX grants_ends ON grants(state, ends) WHERE ends IS NOT NULL",
        """CREATE TABLE deliveries(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            kind TEXT NOT NULL,                 -- notice relay handoff receipt dsn code alert
            form TEXT NOT NULL,
            message INTEGER REFERENCES messages,
            recipient INTEGER REFERENCES addresses,
            subject_id INTEGER,                 -- what a code or alert is about
            template TEXT NOT NULL,
            reverse_path TEXT NOT NULL,
            dsn TEXT NOT NULL,                  -- JSON: notify, orcpt, envid, ret
            tls_class TEXT NOT NULL,            -- opportunistic declared proven
            state TEXT NOT NULL,                -- checking due held leased delivered delayed failed parked cancelled
            due INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            crashes INTEGER NOT NULL DEFAULT 0, -- leases that ended without a word: the worker died
            lease_until INTEGER,
            lease_owner TEXT,
            fence INTEGER NOT NULL,
            queue_epoch INTEGER REFERENCES epochs,
            queue_wrap BLOB,                    -- removed when the delivery settles
            outcome TEXT NOT NULL,
            reply TEXT NOT NULL,                -- the peer's words
            delayed_told INTEGER,
            settled INTEGER,
            created INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX deliveries_due ON deliveries(state, due)",
        "CREATE INDEX deliveries_message ON deliveries(message)",
        """CREATE TABLE links(
            id BLOB PRIMARY KEY,                -- the random part of the token
            org INTEGER NOT NULL REFERENCES organisations,
            purpose TEXT NOT NULL,              -- open reply bounce invite
            key_id INTEGER NOT NULL,
            message INTEGER NOT NULL,           -- 0 where none
            address TEXT NOT NULL,              -- canonical
            subscriber INTEGER NOT NULL,        -- 0 where none
            delivery INTEGER REFERENCES deliveries,
            expires INTEGER
        ) STRICT""",
        """CREATE TABLE sessions(
            id_hash BLOB PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            sealed BLOB NOT NULL,               -- seeds and the keeper's ticket, under the cookie's secret
            state TEXT NOT NULL,
            stepped_up INTEGER,
            credential_version INTEGER NOT NULL,
            created INTEGER NOT NULL,
            seen INTEGER NOT NULL,
            agent TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX sessions_account ON sessions(account)",
        """CREATE TABLE form_nonces(
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            nonce BLOB NOT NULL,
            message INTEGER,
            created INTEGER NOT NULL,
            PRIMARY KEY(account, nonce)
        ) STRICT""",
        """CREATE TABLE devices(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            name TEXT NOT NULL,
            scope TEXT NOT NULL,                -- submit read
            created INTEGER NOT NULL,
            used INTEGER,
            revoked INTEGER
        ) STRICT""",
        "CREATE INDEX devices_account ON devices(account)",
        """CREATE TABLE throttle(
            org INTEGER NOT NULL REFERENCES organisations,
            door TEXT NOT NULL,
            subject TEXT NOT NULL,
            source TEXT NOT NULL,
            failures INTEGER NOT NULL,
            last INTEGER NOT NULL,
            until INTEGER NOT NULL,
            PRIMARY KEY(door, subject, source)
        ) STRICT""",
        """CREATE TABLE counters(
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            day INTEGER NOT NULL,
            what TEXT NOT NULL,
            n INTEGER NOT NULL,
            PRIMARY KEY(account, day, what)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE audit(
            org INTEGER NOT NULL REFERENCES organisations,
            seq INTEGER NOT NULL,
            at INTEGER NOT NULL,
            actor TEXT NOT NULL,                -- holder, role or 'operator'
            action TEXT NOT NULL,
            object TEXT NOT NULL,
            detail TEXT NOT NULL,               -- JSON without content
            hash BLOB NOT NULL,
            PRIMARY KEY(org, seq)
        ) STRICT""",
        "INSERT INTO organisations VALUES (0, 'installation', 0, '{}', 0)",
    ),
)
