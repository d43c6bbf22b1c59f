"""What came to the main database with organisations? Their rules' history, invitations, domains and looks."""

from __future__ import annotations

from cryptnsend.store.schema.first import Step

POLICIES = Step(
    "0015-policies",
    (
        """CREATE TABLE policies(                  -- what each organisation said of its rules; never rewritten
            org INTEGER NOT NULL REFERENCES organisations,
            version INTEGER NOT NULL,           -- 1, 2, 3 in each organisation
            at INTEGER NOT NULL,
            actor TEXT NOT NULL,                -- as in the audit trail
            why TEXT NOT NULL,
            policy TEXT NOT NULL,               -- JSON: all that it said, as organisations.policy has the newest
            PRIMARY KEY(org, version)
        ) STRICT, WITHOUT ROWID""",
        "INSERT INTO policies(org, version, at, actor, why, policy)"
        " SELECT id, 1, created, 'owner', '', policy FROM organisations WHERE policy <> '{}'",
    ),
)

DOMAINS_AGAIN = Step(
    "0025-domains-again",
    ("ALTER TABLE domains ADD COLUMN missing INTEGER",),  # since when the record of a proven domain is not there
)

ORGANISATIONS = Step(
    "0017-organisations",
    (
        """CREATE TABLE invitations(               -- that an organisation sent; who took one is among its accounts
            id INTEGER PRIMARY KEY,             -- the keeper's number of the mailed code
            org INTEGER NOT NULL REFERENCES organisations,
            address TEXT NOT NULL,              -- canonical
            name TEXT NOT NULL,
            by INTEGER NOT NULL,                -- account; 0 is the command line
            created INTEGER NOT NULL,
            expires INTEGER NOT NULL
        ) STRICT""",
        "CREATE UNIQUE INDEX invitations_address ON invitations(org, address)",
        """CREATE TABLE domains(
            org INTEGER NOT NULL REFERENCES organisations,
            domain TEXT NOT NULL,               -- A-labels, lower case
            challenge TEXT NOT NULL,            -- what the TXT record has to say
            created INTEGER NOT NULL,
            proven INTEGER,                     -- NULL until the record was seen
            checked INTEGER,                    -- when it was looked for last
            PRIMARY KEY(org, domain)
        ) STRICT, WITHOUT ROWID""",
        "CREATE UNIQUE INDEX domains_proven ON domains(domain) WHERE proven IS NOT NULL",
        """CREATE TABLE looks(                     -- how an organisation's pages and mails look
            org INTEGER PRIMARY KEY REFERENCES organisations,
            look TEXT NOT NULL,                 -- JSON: colours, banner, footer, host
            logo BLOB,                          -- PNG, drawn anew from what was brought
            logo_mark TEXT NOT NULL,            -- fingerprint, so that browsers keep it until it changes
            changed INTEGER NOT NULL
        ) STRICT""",
    ),
)

LOOKS = Step(
    "0024-looks",
    (
        "DROP TABLE looks",  # nothing was ever written there
        """CREATE TABLE looks(                     -- how each organisation looked; never rewritten, the newest counts
            org INTEGER NOT NULL REFERENCES organisations,
            version INTEGER NOT NULL,           -- 1, 2, 3 in each organisation
            at INTEGER NOT NULL,
            actor TEXT NOT NULL,                -- as in the audit trail
            why TEXT NOT NULL,
            look TEXT NOT NULL,                 -- JSON: accent, marks of logos, banner, footer, host
            host TEXT NOT NULL,                 -- what that says of it, to be found by
            PRIMARY KEY(org, version)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX looks_host ON looks(host) WHERE host <> ''",
        """CREATE TABLE logos(
            org INTEGER NOT NULL REFERENCES organisations,
            mark TEXT NOT NULL,                 -- SHA-256 of the octets, and their kind
            octets BLOB NOT NULL,               -- written anew from what was brought
            created INTEGER NOT NULL,
            PRIMARY KEY(org, mark)
        ) STRICT""",
        "CREATE INDEX logos_mark ON logos(mark)",
    ),
)
