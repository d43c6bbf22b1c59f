"""What came to the main database for those who send: reminders of what nobody opens, and what they ask for."""

from __future__ import annotations

from cryptnsend.store.schema.first import Step

REMINDERS = Step(
    "0014-reminders",
    (
        # When to look whether the reader of an unopened copy is to be reminded, NULL for never; and how far that came.
        "ALTER TABLE recipients ADD COLUMN remind INTEGER",
        "ALTER TABLE recipients ADD COLUMN reminded INTEGER NOT NULL DEFAULT 0",  # 1 the first left, 2 the last
        "CREATE INDEX recipients_remind ON recipients(remind) WHERE remind IS NOT NULL",
    ),
)

WISHES = Step(
    "0019-wishes",
    (
        # What the author of a message lets stand in for their code, for them to see: code (nothing), mail, none.
        "ALTER TABLE plans ADD COLUMN way TEXT NOT NULL DEFAULT 'code'",
        """CREATE TABLE mail_wishes(               -- which mails somebody wants, where they said so
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            mail TEXT NOT NULL,                 -- opened bounced code-failed new-sign-in
            wanted INTEGER NOT NULL,
            PRIMARY KEY(account, mail)
        ) STRICT, WITHOUT ROWID""",
    ),
)

RESTS = Step(
    "0034-rests",
    (
        """CREATE TABLE rests(                     -- who wants to be signed out sooner than the rules say
            account INTEGER PRIMARY KEY REFERENCES accounts,
            org INTEGER NOT NULL REFERENCES organisations,
            minutes INTEGER NOT NULL            -- without a tap
        ) STRICT""",
    ),
)
