"""What is kept of the pages by which strangers write to a subscriber first, and of the forms on them?"""

from __future__ import annotations

from cryptnsend.store.schema.first import Step

VISITORS = Step(
    "0026-visitors",
    (
        """CREATE TABLE visitor_pages(             -- a subscriber's page, and what stands on it
            account INTEGER PRIMARY KEY REFERENCES accounts,
            org INTEGER NOT NULL REFERENCES organisations,
            handle TEXT NOT NULL UNIQUE,
            is_open INTEGER NOT NULL,           -- 1: whoever proves an address may write
            findable INTEGER NOT NULL,          -- 1: whoever types the exact address is led here
            greeting_en TEXT NOT NULL,
            greeting_es TEXT NOT NULL,
            changed INTEGER NOT NULL
        ) STRICT""",
        # Rows stay for good: a handle that was printed on paper must never lead to somebody else.
        """CREATE TABLE visitor_handles(
            looks TEXT PRIMARY KEY,             -- what it looks like at a glance
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            handle TEXT NOT NULL,
            taken INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE visitors(                  -- who wrote by such a page
            account INTEGER NOT NULL REFERENCES accounts,   -- the subscriber
            address INTEGER NOT NULL REFERENCES addresses,
            org INTEGER NOT NULL REFERENCES organisations,
            since INTEGER NOT NULL,
            day INTEGER NOT NULL,               -- of the latest letter, days since 1970 (UTC)
            letters INTEGER NOT NULL,           -- on that day
            blocked INTEGER,                    -- since when nothing is taken from them
            PRIMARY KEY(account, address)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX visitors_since ON visitors(account, since)",
        """CREATE TABLE visitor_sums(              -- proofs of work that were used: each counts once
            challenge BLOB PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            ends INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX visitor_sums_ends ON visitor_sums(ends)",
    ),
)

VISITOR_FORMS = Step(
    "0033-visitor-forms",
    (
        """CREATE TABLE visitor_forms(             -- forms of such a page; answers rest nowhere but in letters
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,   -- the subscriber
            is_open INTEGER NOT NULL,           -- 1: visitors may fill it in
            version INTEGER NOT NULL            -- the newest
        ) STRICT""",
        "CREATE INDEX visitor_forms_account ON visitor_forms(account)",
        """CREATE TABLE visitor_form_versions(     -- the latest few of each form, never rewritten
            form INTEGER NOT NULL REFERENCES visitor_forms,
            version INTEGER NOT NULL,           -- 1, 2, 3 of each form
            org INTEGER NOT NULL REFERENCES organisations,
            at INTEGER NOT NULL,
            questions TEXT NOT NULL,            -- JSON: title, introduction, questions
            PRIMARY KEY(form, version)
        ) STRICT, WITHOUT ROWID""",
    ),
)
