BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
) STRICT;
INSERT INTO "_sqlite_migrations" VALUES(1,'cryptnsend','0001-first','2026-11-23 05:27:30.346776+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'cryptnsend','0002-drafts','2026-11-23 05:27:30.351756+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'cryptnsend','0003-transport','2026-11-23 05:27:30.362964+00:00');
INSERT INTO "_sqlite_migrations" VALUES(4,'cryptnsend','0004-oversight','2026-11-23 05:27:30.364784+00:00');
INSERT INTO "_sqlite_migrations" VALUES(5,'cryptnsend','0005-former-owners','2026-11-23 05:27:30.374797+00:00');
INSERT INTO "_sqlite_migrations" VALUES(6,'cryptnsend','0006-mailboxes','2026-11-23 05:27:30.382011+00:00');
INSERT INTO "_sqlite_migrations" VALUES(7,'cryptnsend','0007-forgetting','2026-11-23 05:27:30.386781+00:00');
INSERT INTO "_sqlite_migrations" VALUES(8,'cryptnsend','0008-turns','2026-11-23 05:27:30.391532+00:00');
INSERT INTO "_sqlite_migrations" VALUES(9,'cryptnsend','0009-languages','2026-11-23 05:27:30.400096+00:00');
INSERT INTO "_sqlite_migrations" VALUES(10,'cryptnsend','0010-plans','2026-11-23 05:27:30.403204+00:00');
INSERT INTO "_sqlite_migrations" VALUES(11,'cryptnsend','0011-reports','2026-11-23 05:27:30.411280+00:00');
INSERT INTO "_sqlite_migrations" VALUES(12,'cryptnsend','0012-concerned','2026-11-23 05:27:30.413696+00:00');
INSERT INTO "_sqlite_migrations" VALUES(13,'cryptnsend','0013-tallies','2026-11-23 05:27:30.424097+00:00');
INSERT INTO "_sqlite_migrations" VALUES(14,'cryptnsend','0014-reminders','2026-11-23 05:27:30.432088+00:00');
INSERT INTO "_sqlite_migrations" VALUES(15,'cryptnsend','0015-policies','2026-11-23 05:27:30.441573+00:00');
INSERT INTO "_sqlite_migrations" VALUES(16,'cryptnsend','0016-uploads','2026-11-23 05:27:30.449156+00:00');
INSERT INTO "_sqlite_migrations" VALUES(17,'cryptnsend','0017-organisations','2026-11-23 05:27:30.459749+00:00');
INSERT INTO "_sqlite_migrations" VALUES(18,'cryptnsend','0018-draft-forms','2026-11-23 05:27:30.464664+00:00');
INSERT INTO "_sqlite_migrations" VALUES(19,'cryptnsend','0019-wishes','2026-11-23 05:27:30.475172+00:00');
INSERT INTO "_sqlite_migrations" VALUES(20,'cryptnsend','0020-holds','2026-11-23 05:27:30.485113+00:00');
INSERT INTO "_sqlite_migrations" VALUES(21,'cryptnsend','0021-archive','2026-11-23 05:27:30.488998+00:00');
INSERT INTO "_sqlite_migrations" VALUES(22,'cryptnsend','0022-journals','2026-11-23 05:27:30.505679+00:00');
INSERT INTO "_sqlite_migrations" VALUES(23,'cryptnsend','0023-files','2026-11-23 05:27:30.508560+00:00');
INSERT INTO "_sqlite_migrations" VALUES(24,'cryptnsend','0024-looks','2026-11-23 05:27:30.519845+00:00');
INSERT INTO "_sqlite_migrations" VALUES(25,'cryptnsend','0025-domains-again','2026-11-23 05:27:30.523775+00:00');
INSERT INTO "_sqlite_migrations" VALUES(26,'cryptnsend','0026-visitors','2026-11-23 05:27:30.543824+00:00');
INSERT INTO "_sqlite_migrations" VALUES(27,'cryptnsend','0027-own-keys','2026-11-23 05:27:30.554883+00:00');
INSERT INTO "_sqlite_migrations" VALUES(28,'cryptnsend','0028-glass-second','2026-11-23 05:27:30.557964+00:00');
INSERT INTO "_sqlite_migrations" VALUES(29,'cryptnsend','0029-api','2026-11-23 05:27:30.568696+00:00');
INSERT INTO "_sqlite_migrations" VALUES(30,'cryptnsend','0030-hooks','2026-11-23 05:27:30.579171+00:00');
INSERT INTO "_sqlite_migrations" VALUES(31,'cryptnsend','0031-link-marks','2026-11-23 05:27:30.587286+00:00');
INSERT INTO "_sqlite_migrations" VALUES(32,'cryptnsend','0032-hooks-of-all','2026-11-23 05:27:30.604176+00:00');
INSERT INTO "_sqlite_migrations" VALUES(33,'cryptnsend','0033-visitor-forms','2026-11-23 05:27:30.614133+00:00');
INSERT INTO "_sqlite_migrations" VALUES(34,'cryptnsend','0034-rests','2026-11-23 05:27:30.617454+00:00');
CREATE TABLE accounts(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,  -- 0 for those who only receive
            roles TEXT NOT NULL,                -- comma list: subscriber, officer, manager, recipient
            state TEXT NOT NULL,                -- pending active weak disabled closed
            credential_version INTEGER NOT NULL,
            name TEXT NOT NULL,
            phone TEXT NOT NULL,
            locale TEXT NOT NULL,
            created INTEGER NOT NULL
        ) STRICT;
INSERT INTO "accounts" VALUES(70,7,'subscriber','active',1,'A','','en',1);
INSERT INTO "accounts" VALUES(71,0,'subscriber','active',1,'A','','en',1);
CREATE TABLE addresses(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            canonical TEXT NOT NULL UNIQUE,
            display TEXT NOT NULL,
            account INTEGER REFERENCES accounts -- a copy; the card decides
        ) STRICT;
INSERT INTO "addresses" VALUES(70,7,'70@example.net','',70);
INSERT INTO "addresses" VALUES(71,0,'71@example.net','',71);
CREATE TABLE api_sent(                  -- what a repeated request made at first
            message INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            token INTEGER NOT NULL,
            said BLOB NOT NULL,                 -- MAC of the request under the token's secret, which rests nowhere
            created INTEGER NOT NULL
        ) STRICT;
CREATE TABLE api_tokens(                -- names and times; whether a token is right, the keeper says
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            name TEXT NOT NULL,
            scopes TEXT NOT NULL,               -- with blanks between
            created INTEGER NOT NULL,
            ends INTEGER NOT NULL,
            used INTEGER,
            revoked INTEGER
        ) STRICT;
CREATE TABLE archived(                  -- what an archive has: a hash chain, a row for each message
            org INTEGER NOT NULL REFERENCES organisations,
            seq INTEGER NOT NULL,
            message INTEGER NOT NULL,
            at INTEGER NOT NULL,                -- when it was sealed
            content BLOB NOT NULL,              -- SHA-256 over the sealed parts as they rest
            envelope BLOB NOT NULL,             -- SHA-256 over author, recipients, Message-ID, size
            hash BLOB NOT NULL,
            PRIMARY KEY(org, seq)
        ) STRICT;
CREATE TABLE audit(
            org INTEGER NOT NULL REFERENCES organisations,
            seq INTEGER NOT NULL,
            at INTEGER NOT NULL,
            actor TEXT NOT NULL,                -- holder, role or 'operator'
            action TEXT NOT NULL,
            object TEXT NOT NULL,
            detail TEXT NOT NULL,               -- JSON without content
            hash BLOB NOT NULL,
            PRIMARY KEY(org, seq)
        ) STRICT;
INSERT INTO "audit" VALUES(7,1,1,'account:70','message.sealed','1','{"size":1}',X'E2EE281A879C4E26E712E42A61A73FEA1E40A5B9F57DBAE022E03ACC68CCDA3B');
CREATE TABLE cards(
            org INTEGER NOT NULL REFERENCES organisations,
            holder TEXT NOT NULL,
            version INTEGER NOT NULL,
            body BLOB NOT NULL,
            signature BLOB NOT NULL,
            PRIMARY KEY(holder, version)
        ) STRICT;
CREATE TABLE checkpoints(               -- how far audit chains had come, on the keeper's word
            org INTEGER NOT NULL REFERENCES organisations,
            seq INTEGER NOT NULL,
            hash BLOB NOT NULL,
            at INTEGER NOT NULL,
            ed25519 BLOB NOT NULL,
            ml_dsa BLOB NOT NULL,
            PRIMARY KEY(org, seq)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE concerned(                 -- whose account, message or delivery it was that an operator changed
            account INTEGER NOT NULL,
            at INTEGER NOT NULL,
            org INTEGER NOT NULL REFERENCES organisations,      -- with seq, the entry of the audit trail
            seq INTEGER NOT NULL,
            PRIMARY KEY(account, at, org, seq)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE contacts(
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
        ) STRICT;
CREATE TABLE contents(
            org INTEGER NOT NULL REFERENCES organisations,
            message INTEGER NOT NULL REFERENCES messages,
            part TEXT NOT NULL,                 -- raw index author_index upload.N
            suite INTEGER NOT NULL,
            size INTEGER NOT NULL,              -- octets before sealing
            body BLOB,                          -- small bodies rest here, others under blob_key
            blob_key TEXT,
            PRIMARY KEY(message, part)
        ) STRICT;
INSERT INTO "contents" VALUES(7,1,'raw',1,1,X'7365616C6564',NULL);
INSERT INTO "contents" VALUES(7,2,'raw',1,1,NULL,'f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0');
CREATE TABLE counters(
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            day INTEGER NOT NULL,
            what TEXT NOT NULL,
            n INTEGER NOT NULL,
            PRIMARY KEY(account, day, what)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE deliveries(
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
        , held TEXT NOT NULL DEFAULT '', domain TEXT NOT NULL DEFAULT '', language TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE devices(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            name TEXT NOT NULL,
            scope TEXT NOT NULL,                -- submit read
            created INTEGER NOT NULL,
            used INTEGER,
            revoked INTEGER
        ) STRICT;
CREATE TABLE domains(
            org INTEGER NOT NULL REFERENCES organisations,
            domain TEXT NOT NULL,               -- A-labels, lower case
            challenge TEXT NOT NULL,            -- what the TXT record has to say
            created INTEGER NOT NULL,
            proven INTEGER,                     -- NULL until the record was seen
            checked INTEGER, missing INTEGER,                    -- when it was looked for last
            PRIMARY KEY(org, domain)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE downloads(                 -- who had which file, and when
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            message INTEGER NOT NULL REFERENCES messages,
            file INTEGER NOT NULL,
            account INTEGER REFERENCES accounts,
            link INTEGER,
            at INTEGER NOT NULL
        ) STRICT;
CREATE TABLE draft_files(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            draft INTEGER NOT NULL REFERENCES drafts,
            body BLOB,                          -- its key, name and kind stand in what was written
            blob_key TEXT UNIQUE,
            octets INTEGER NOT NULL             -- sealed
        ) STRICT;
CREATE TABLE drafts(
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
        , nonce BLOB NOT NULL DEFAULT x'') STRICT;
CREATE TABLE epochs(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            pair INTEGER NOT NULL REFERENCES pairs,
            suite INTEGER NOT NULL,
            owner TEXT NOT NULL,
            holder TEXT NOT NULL,
            sealed BLOB NOT NULL
        ) STRICT;
INSERT INTO "epochs" VALUES(1,0,1,1,'account:71','account:71',X'00');
CREATE TABLE file_links(                -- whoever has the link, or the password, may have the files
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            message INTEGER NOT NULL REFERENCES messages,
            locator BLOB NOT NULL UNIQUE,       -- SHA-256 of what stands in its address
            way TEXT NOT NULL,                  -- secret password
            salt BLOB NOT NULL,
            params TEXT NOT NULL,               -- of Argon2id, '' for a secret
            files BLOB NOT NULL,                -- sealed: names and keys, under what secret or password gives
            own BLOB NOT NULL,                  -- sealed to its author: the address, to be copied again
            pair INTEGER NOT NULL REFERENCES pairs,
            state TEXT NOT NULL,                -- active suspended
            most INTEGER NOT NULL,              -- downloads that are allowed, 0 for any number
            spent INTEGER NOT NULL,
            ends INTEGER NOT NULL,
            created INTEGER NOT NULL
        , mark BLOB NOT NULL DEFAULT x'', guesses INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE file_tickets(              -- a download that was begun by a button
            id BLOB PRIMARY KEY,                -- SHA-256 of the ticket
            org INTEGER NOT NULL REFERENCES organisations,
            message INTEGER NOT NULL REFERENCES messages,
            file INTEGER NOT NULL REFERENCES uploads,
            link INTEGER REFERENCES file_links,
            account INTEGER REFERENCES accounts,
            session BLOB,                       -- the only one that may use it
            sealed BLOB NOT NULL,               -- name and key of the file, under the ticket
            ends INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
CREATE TABLE filed(                     -- what a mail program brought: drafts, copies
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
        ) STRICT;
CREATE TABLE form_nonces(
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            nonce BLOB NOT NULL,
            message INTEGER,
            created INTEGER NOT NULL,
            PRIMARY KEY(account, nonce)
        ) STRICT;
CREATE TABLE former_owners(             -- whose an address was before: mail may still be sealed to them
            org INTEGER NOT NULL REFERENCES organisations,
            address INTEGER NOT NULL REFERENCES addresses,
            account INTEGER NOT NULL REFERENCES accounts,
            PRIMARY KEY(address, account)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE glass_breaks(
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
        , second INTEGER) STRICT;
CREATE TABLE gone(                      -- UIDs that were expunged, for those who look later
            mailbox INTEGER NOT NULL REFERENCES mailboxes,
            uid INTEGER NOT NULL,
            org INTEGER NOT NULL REFERENCES organisations,
            modseq INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY(mailbox, uid)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE grants(
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
        ) STRICT;
INSERT INTO "grants" VALUES(1,7,1,'account:71','recipient','','managed',1,X'00','active',1000);
INSERT INTO "grants" VALUES(2,7,2,'account:71','recipient','','managed',1,X'00','active',NULL);
CREATE TABLE holds(                     -- what was found in a message that was to leave plain; one look each
            message INTEGER PRIMARY KEY REFERENCES messages,
            org INTEGER NOT NULL REFERENCES organisations,      -- of the conversation
            author INTEGER NOT NULL REFERENCES accounts,        -- who decides
            house INTEGER NOT NULL REFERENCES organisations,    -- the author's, whose officers see that it is held
            state TEXT NOT NULL,                -- clear held encrypt plain discarded
            rules TEXT NOT NULL,                -- names of the rules that found something
            sealed BLOB NOT NULL,               -- the findings, under the message's key; empty if there are none
            until INTEGER NOT NULL,             -- when it is sent encrypted by itself
            decided INTEGER,
            decided_by TEXT NOT NULL,           -- account:<id>, owner, or time
            reason TEXT NOT NULL,               -- why it was sent as it is
            created INTEGER NOT NULL
        ) STRICT;
CREATE TABLE hook_events(               -- what is told; the deliveries of kind hook name them
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            hook INTEGER NOT NULL REFERENCES hooks,
            event TEXT NOT NULL,
            message INTEGER,
            delivery INTEGER NOT NULL,
            created INTEGER NOT NULL
        ) STRICT;
CREATE TABLE hooks(                     -- where programs are told; the URL that counts, the keeper has
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            url TEXT NOT NULL,
            events TEXT NOT NULL,               -- with blanks between
            created INTEGER NOT NULL,
            told INTEGER,                       -- when its owner was last told that it does not work
            ended INTEGER
        , whole INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE invitations(               -- that an organisation sent; who took one is among its accounts
            id INTEGER PRIMARY KEY,             -- the keeper's number of the mailed code
            org INTEGER NOT NULL REFERENCES organisations,
            address TEXT NOT NULL,              -- canonical
            name TEXT NOT NULL,
            by INTEGER NOT NULL,                -- account; 0 is the command line
            created INTEGER NOT NULL,
            expires INTEGER NOT NULL
        ) STRICT;
CREATE TABLE legal_holds(                     -- legal holds: what must stay whatever its age
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            name TEXT NOT NULL,                 -- of the case
            kind TEXT NOT NULL,                 -- message account address
            subject INTEGER NOT NULL,           -- whose id that is
            reason TEXT NOT NULL,
            since INTEGER NOT NULL,
            ended INTEGER
        ) STRICT;
CREATE TABLE links(
            id BLOB PRIMARY KEY,                -- the random part of the token
            org INTEGER NOT NULL REFERENCES organisations,
            purpose TEXT NOT NULL,              -- open reply bounce invite
            key_id INTEGER NOT NULL,
            message INTEGER NOT NULL,           -- 0 where none
            address TEXT NOT NULL,              -- canonical
            subscriber INTEGER NOT NULL,        -- 0 where none
            delivery INTEGER REFERENCES deliveries,
            expires INTEGER
        ) STRICT;
CREATE TABLE logos(
            org INTEGER NOT NULL REFERENCES organisations,
            mark TEXT NOT NULL,                 -- SHA-256 of the octets, and their kind
            octets BLOB NOT NULL,               -- written anew from what was brought
            created INTEGER NOT NULL,
            PRIMARY KEY(org, mark)
        ) STRICT;
CREATE TABLE looks(                     -- how each organisation looked; never rewritten, the newest counts
            org INTEGER NOT NULL REFERENCES organisations,
            version INTEGER NOT NULL,           -- 1, 2, 3 in each organisation
            at INTEGER NOT NULL,
            actor TEXT NOT NULL,                -- as in the audit trail
            why TEXT NOT NULL,
            look TEXT NOT NULL,                 -- JSON: accent, marks of logos, banner, footer, host
            host TEXT NOT NULL,                 -- what that says of it, to be found by
            PRIMARY KEY(org, version)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE mail_wishes(               -- which mails somebody wants, where they said so
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            mail TEXT NOT NULL,                 -- opened bounced code-failed new-sign-in
            wanted INTEGER NOT NULL,
            PRIMARY KEY(account, mail)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE mailboxes(
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
            subscribed INTEGER NOT NULL, messages INTEGER NOT NULL DEFAULT 0, unseen INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0, octets INTEGER NOT NULL DEFAULT 0,
            UNIQUE(account, name)
        ) STRICT;
CREATE TABLE manifests(                 -- an archive's chain at the end of a day, signed
            org INTEGER NOT NULL REFERENCES organisations,
            day INTEGER NOT NULL,               -- since 1970, UTC
            seq INTEGER NOT NULL,
            hash BLOB NOT NULL,
            at INTEGER NOT NULL,
            ed25519 BLOB NOT NULL,
            ml_dsa BLOB NOT NULL,
            PRIMARY KEY(org, day)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE marks(
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            what TEXT NOT NULL,                 -- recovery-file: its owner says that it is in a safe place
            at INTEGER NOT NULL,
            PRIMARY KEY(account, what)
        ) STRICT;
CREATE TABLE message_files(             -- a file that came in pieces, and the message that it goes with
            message INTEGER NOT NULL REFERENCES messages,
            file INTEGER NOT NULL REFERENCES uploads,
            org INTEGER NOT NULL REFERENCES organisations,
            PRIMARY KEY(message, file)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE messages(
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
        ) STRICT;
INSERT INTO "messages" VALUES(1,7,1,70,70,'<x@a.example>',NULL,'smtp',1,'sealed',X'',NULL,1,1000);
INSERT INTO "messages" VALUES(2,7,1,70,70,'<x@a.example>',NULL,'smtp',1,'sealed',X'',NULL,1,NULL);
CREATE TABLE organisations(
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            single INTEGER NOT NULL,            -- 1: an organisation of one
            policy TEXT NOT NULL,               -- JSON: what differs from the installation's defaults
            created INTEGER NOT NULL
        ) STRICT;
INSERT INTO "organisations" VALUES(0,'installation',0,'{}',0);
INSERT INTO "organisations" VALUES(7,'Ruiz Dental',1,'{}',1);
CREATE TABLE own_keys(                 -- certificates and OpenPGP keys; which of them count, cards say
            account INTEGER NOT NULL REFERENCES accounts,       -- of the subscriber who handed it in
            address TEXT NOT NULL,              -- canonical, of the person it belongs to; '' for the subscriber's own
            kind TEXT NOT NULL,                 -- smime openpgp
            org INTEGER NOT NULL REFERENCES organisations,
            octets BLOB NOT NULL,               -- DER, or OpenPGP packets
            fingerprint TEXT NOT NULL,
            names TEXT NOT NULL,                -- one a line
            algorithm TEXT NOT NULL,
            starts INTEGER NOT NULL,
            ends INTEGER,
            added INTEGER NOT NULL,
            told INTEGER NOT NULL,              -- how often its owner was told of its end
            PRIMARY KEY(account, address, kind)
        ) STRICT;
CREATE TABLE pairs(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            holder TEXT NOT NULL,
            role TEXT NOT NULL,                 -- account archive pending queue
            custody TEXT NOT NULL,              -- managed strict
            suite INTEGER NOT NULL,
            public BLOB NOT NULL,
            state TEXT NOT NULL                 -- current withheld locked retired
        ) STRICT;
INSERT INTO "pairs" VALUES(1,0,'account:71','account','managed',1,X'00','current');
CREATE TABLE placed(
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
        ) STRICT, WITHOUT ROWID;
CREATE TABLE plans(                     -- what its author asked for with a message written on a page
            message INTEGER PRIMARY KEY REFERENCES messages,
            org INTEGER NOT NULL REFERENCES organisations,
            starts INTEGER NOT NULL,            -- before then nobody but its author knows of it
            tell INTEGER NOT NULL               -- 1: its author wants to hear when it is opened
        , way TEXT NOT NULL DEFAULT 'code') STRICT;
CREATE TABLE policies(                  -- what each organisation said of its rules; never rewritten
            org INTEGER NOT NULL REFERENCES organisations,
            version INTEGER NOT NULL,           -- 1, 2, 3 in each organisation
            at INTEGER NOT NULL,
            actor TEXT NOT NULL,                -- as in the audit trail
            why TEXT NOT NULL,
            policy TEXT NOT NULL,               -- JSON: all that it said, as organisations.policy has the newest
            PRIMARY KEY(org, version)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE put_away(                  -- messages that their reader wants in no mailbox
            account INTEGER NOT NULL REFERENCES accounts,
            message INTEGER NOT NULL,
            role TEXT NOT NULL,
            org INTEGER NOT NULL REFERENCES organisations,
            PRIMARY KEY(account, message, role)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE recipients(
            org INTEGER NOT NULL REFERENCES organisations,
            message INTEGER NOT NULL REFERENCES messages,
            address INTEGER NOT NULL REFERENCES addresses,
            decision TEXT NOT NULL,             -- vault handoff relay pdf hold
            form TEXT NOT NULL,                 -- zip link ... for handoffs, else ''
            reason TEXT NOT NULL,
            disclosed INTEGER NOT NULL,         -- 1: stands in To or Cc; 0: envelope only, never shown to others
            display_id TEXT NOT NULL,
            notified INTEGER,
            first_opened INTEGER, fetched INTEGER, remind INTEGER, reminded INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY(message, address)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE report_entries(            -- which deliveries a report to an author is about
            report INTEGER NOT NULL REFERENCES deliveries,      -- of kind dsn
            delivery INTEGER NOT NULL REFERENCES deliveries,
            org INTEGER NOT NULL REFERENCES organisations,
            action TEXT NOT NULL,               -- failed delayed relayed
            PRIMARY KEY(report, delivery)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE rests(                     -- who wants to be signed out sooner than the rules say
            account INTEGER PRIMARY KEY REFERENCES accounts,
            org INTEGER NOT NULL REFERENCES organisations,
            minutes INTEGER NOT NULL            -- without a tap
        ) STRICT;
CREATE TABLE sessions(
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
        ) STRICT;
CREATE TABLE stand_ins(                 -- notices in the place of messages; they say what the rows say
            mailbox INTEGER NOT NULL REFERENCES mailboxes,
            uid INTEGER NOT NULL,
            org INTEGER NOT NULL REFERENCES organisations,
            octets BLOB NOT NULL,
            PRIMARY KEY(mailbox, uid)
        ) STRICT;
CREATE TABLE sts_policies(            -- what domains promise by MTA-STS (RFC 8461)
            org INTEGER NOT NULL REFERENCES organisations,
            domain TEXT PRIMARY KEY,
            ident TEXT NOT NULL,
            body TEXT NOT NULL,
            fetched INTEGER NOT NULL,
            expires INTEGER NOT NULL
        ) STRICT;
CREATE TABLE threads(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            subscriber INTEGER NOT NULL REFERENCES accounts,
            custody TEXT NOT NULL
        ) STRICT;
INSERT INTO "threads" VALUES(1,7,70,'managed');
CREATE TABLE throttle(
            org INTEGER NOT NULL REFERENCES organisations,
            door TEXT NOT NULL,
            subject TEXT NOT NULL,
            source TEXT NOT NULL,
            failures INTEGER NOT NULL,
            last INTEGER NOT NULL,
            until INTEGER NOT NULL,
            PRIMARY KEY(door, subject, source)
        ) STRICT;
CREATE TABLE tls_reports(             -- which reports go to whom
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            day INTEGER NOT NULL,
            domain TEXT NOT NULL,
            rua TEXT NOT NULL,                  -- mailto: or https:, '' where nobody asks
            created INTEGER NOT NULL,
            UNIQUE(day, domain, rua)
        ) STRICT;
CREATE TABLE tls_results(             -- TLS sessions of a day (RFC 8460), counted by what they showed
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
        ) STRICT;
CREATE TABLE uidvalidities(org INTEGER PRIMARY KEY REFERENCES organisations, n INTEGER NOT NULL) STRICT;
CREATE TABLE upload_pieces(
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            upload INTEGER NOT NULL REFERENCES uploads,
            start INTEGER NOT NULL,             -- its place in the file
            body BLOB,                          -- sealed; large ones rest under blob_key
            blob_key TEXT UNIQUE,
            octets INTEGER NOT NULL,            -- sealed
            UNIQUE(upload, start)
        ) STRICT;
CREATE TABLE uploads(                   -- files on their way in, piece by piece
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,   -- whose it is, and the only one who goes on with it
            nonce BLOB NOT NULL,                -- of the request that began it: once more begins no other
            pair INTEGER NOT NULL REFERENCES pairs,         -- its owner's, to which its key is sealed
            suite INTEGER NOT NULL,
            sealed_key BLOB NOT NULL,
            about BLOB NOT NULL,                -- sealed: name, kind, size
            size INTEGER NOT NULL,              -- octets in clear when it is whole
            arrived INTEGER NOT NULL,           -- octets in clear that are durable
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL, library INTEGER NOT NULL DEFAULT 0,
            UNIQUE(account, nonce)
        ) STRICT;
CREATE TABLE visitor_form_versions(     -- the latest few of each form, never rewritten
            form INTEGER NOT NULL REFERENCES visitor_forms,
            version INTEGER NOT NULL,           -- 1, 2, 3 of each form
            org INTEGER NOT NULL REFERENCES organisations,
            at INTEGER NOT NULL,
            questions TEXT NOT NULL,            -- JSON: title, introduction, questions
            PRIMARY KEY(form, version)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE visitor_forms(             -- forms of such a page; answers rest nowhere but in letters
            id INTEGER PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,   -- the subscriber
            is_open INTEGER NOT NULL,           -- 1: visitors may fill it in
            version INTEGER NOT NULL            -- the newest
        ) STRICT;
CREATE TABLE visitor_handles(
            looks TEXT PRIMARY KEY,             -- what it looks like at a glance
            org INTEGER NOT NULL REFERENCES organisations,
            account INTEGER NOT NULL REFERENCES accounts,
            handle TEXT NOT NULL,
            taken INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
CREATE TABLE visitor_pages(             -- a subscriber's page, and what stands on it
            account INTEGER PRIMARY KEY REFERENCES accounts,
            org INTEGER NOT NULL REFERENCES organisations,
            handle TEXT NOT NULL UNIQUE,
            is_open INTEGER NOT NULL,           -- 1: whoever proves an address may write
            findable INTEGER NOT NULL,          -- 1: whoever types the exact address is led here
            greeting_en TEXT NOT NULL,
            greeting_es TEXT NOT NULL,
            changed INTEGER NOT NULL
        ) STRICT;
CREATE TABLE visitor_sums(              -- proofs of work that were used: each counts once
            challenge BLOB PRIMARY KEY,
            org INTEGER NOT NULL REFERENCES organisations,
            ends INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
CREATE TABLE visitors(                  -- who wrote by such a page
            account INTEGER NOT NULL REFERENCES accounts,   -- the subscriber
            address INTEGER NOT NULL REFERENCES addresses,
            org INTEGER NOT NULL REFERENCES organisations,
            since INTEGER NOT NULL,
            day INTEGER NOT NULL,               -- of the latest letter, days since 1970 (UTC)
            letters INTEGER NOT NULL,           -- on that day
            blocked INTEGER,                    -- since when nothing is taken from them
            PRIMARY KEY(account, address)
        ) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX addresses_account ON addresses(account) WHERE account IS NOT NULL;
CREATE INDEX pairs_holder ON pairs(holder, state);
CREATE INDEX messages_resend ON messages(author, resend_mac) WHERE resend_mac IS NOT NULL;
CREATE INDEX messages_message_id ON messages(message_id);
CREATE INDEX messages_thread ON messages(thread);
CREATE UNIQUE INDEX contents_blob ON contents(blob_key) WHERE blob_key IS NOT NULL;
CREATE INDEX contacts_account ON contacts(account) WHERE account IS NOT NULL;
CREATE INDEX grants_list ON grants(holder, role, message) WHERE role <> 'archive';
CREATE INDEX grants_ends ON grants(state, ends) WHERE ends IS NOT NULL;
CREATE INDEX deliveries_message ON deliveries(message);
CREATE INDEX sessions_account ON sessions(account);
CREATE INDEX devices_account ON devices(account);
CREATE INDEX drafts_account ON drafts(account, changed);
CREATE INDEX drafts_changed ON drafts(changed);
CREATE INDEX draft_files_draft ON draft_files(draft);
CREATE INDEX audit_doings ON audit(actor, at) WHERE action <> 'message.sealed';
CREATE INDEX accounts_closed ON accounts(id) WHERE state = 'closed';
CREATE INDEX placed_changed ON placed(mailbox, modseq);
CREATE INDEX placed_message ON placed(message);
CREATE INDEX placed_stand_ins ON placed(mailbox) WHERE served <> '';
CREATE INDEX gone_changed ON gone(mailbox, modseq);
CREATE INDEX gone_at ON gone(at);
CREATE INDEX filed_account ON filed(account);
CREATE INDEX messages_gone ON messages(id) WHERE state = 'gone';
CREATE INDEX links_message ON links(message);
CREATE INDEX links_delivery ON links(delivery);
CREATE INDEX drafts_parent ON drafts(parent);
CREATE INDEX deliveries_alone ON deliveries(created) WHERE message IS NULL;
CREATE INDEX deliveries_due ON deliveries(state, due, id, domain);
CREATE INDEX contacts_subscriber ON contacts(subscriber, id);
CREATE INDEX audit_objects ON audit(object, org) WHERE action <> 'message.sealed';
CREATE INDEX report_entries_delivery ON report_entries(delivery);
CREATE TRIGGER placed_came AFTER INSERT ON placed BEGIN
            UPDATE mailboxes SET messages = messages + 1, unseen = unseen + (new.flags & 1 = 0),
                deleted = deleted + (new.flags & 8 = 8), octets = octets + new.size WHERE id = new.mailbox;
        END;
CREATE TRIGGER placed_went AFTER DELETE ON placed BEGIN
            UPDATE mailboxes SET messages = messages - 1, unseen = unseen - (old.flags & 1 = 0),
                deleted = deleted - (old.flags & 8 = 8), octets = octets - old.size WHERE id = old.mailbox;
        END;
CREATE TRIGGER placed_flagged AFTER UPDATE OF flags ON placed WHEN old.flags & 9 <> new.flags & 9 BEGIN
            UPDATE mailboxes SET unseen = unseen + (new.flags & 1 = 0) - (old.flags & 1 = 0),
                deleted = deleted + (new.flags & 8 = 8) - (old.flags & 8 = 8) WHERE id = new.mailbox;
        END;
CREATE TRIGGER placed_stays BEFORE UPDATE OF mailbox, uid, size ON placed BEGIN
            SELECT raise(ABORT, 'a placing changes neither place nor size');
        END;
CREATE INDEX placed_unseen ON placed(mailbox, uid) WHERE flags & 1 = 0;
CREATE INDEX recipients_remind ON recipients(remind) WHERE remind IS NOT NULL;
CREATE INDEX uploads_changed ON uploads(changed);
CREATE UNIQUE INDEX invitations_address ON invitations(org, address);
CREATE UNIQUE INDEX domains_proven ON domains(domain) WHERE proven IS NOT NULL;
CREATE INDEX holds_waiting ON holds(until) WHERE state = 'held';
CREATE INDEX holds_house ON holds(house, message) WHERE state <> 'clear';
CREATE UNIQUE INDEX archived_message ON archived(message, org);
CREATE INDEX legal_holds_org ON legal_holds(org, name);
CREATE INDEX legal_holds_live ON legal_holds(kind, subject) WHERE ended IS NULL;
CREATE INDEX glass_breaks_org ON glass_breaks(org, asked);
CREATE TRIGGER archive_stays BEFORE DELETE ON grants WHEN OLD.role = 'archive' AND (OLD.state <> 'suspended' OR EXISTS (SELECT 1 FROM legal_holds h WHERE h.ended IS NULL AND 'archive:' || h.org = OLD.holder AND ( h.kind = 'message' AND h.subject = OLD.message OR h.kind = 'account' AND EXISTS (SELECT 1 FROM messages m WHERE m.id = OLD.message AND m.author = h.subject) OR h.kind = 'address' AND (EXISTS (SELECT 1 FROM messages m WHERE m.id = OLD.message  AND m.author_address = h.subject) OR EXISTS (SELECT 1 FROM recipients r WHERE r.message = OLD.message  AND r.address = h.subject))))) BEGIN SELECT RAISE(ABORT, 'the archive keeps this message'); END;
CREATE TRIGGER archive_is_as_it_was BEFORE UPDATE OF org, message, holder, role, contact, custody, epoch, wrap ON grants WHEN OLD.role = 'archive' BEGIN SELECT RAISE(ABORT, 'the archive keeps this message'); END;
CREATE TRIGGER archived_content_stays BEFORE DELETE ON contents WHEN EXISTS (SELECT 1 FROM grants g WHERE g.message = OLD.message AND g.role = 'archive') BEGIN SELECT RAISE(ABORT, 'the archive keeps this message'); END;
CREATE TRIGGER archived_envelope_stays BEFORE DELETE ON recipients WHEN EXISTS (SELECT 1 FROM grants g WHERE g.message = OLD.message AND g.role = 'archive') BEGIN SELECT RAISE(ABORT, 'the archive keeps this message'); END;
CREATE TRIGGER archived_content_is_as_it_was BEFORE UPDATE ON contents WHEN EXISTS (SELECT 1 FROM grants g WHERE g.message = OLD.message AND g.role = 'archive') BEGIN SELECT RAISE(ABORT, 'the archive keeps this message'); END;
CREATE INDEX deliveries_journal ON deliveries(recipient, created) WHERE kind = 'journal';
CREATE INDEX message_files_file ON message_files(file);
CREATE INDEX file_links_message ON file_links(message);
CREATE INDEX file_links_ends ON file_links(ends);
CREATE INDEX file_tickets_ends ON file_tickets(ends);
CREATE INDEX file_tickets_message ON file_tickets(message);
CREATE INDEX downloads_message ON downloads(message);
CREATE INDEX looks_host ON looks(host) WHERE host <> '';
CREATE INDEX logos_mark ON logos(mark);
CREATE INDEX visitors_since ON visitors(account, since);
CREATE INDEX visitor_sums_ends ON visitor_sums(ends);
CREATE INDEX own_keys_end ON own_keys(ends) WHERE ends IS NOT NULL;
CREATE INDEX api_tokens_account ON api_tokens(account);
CREATE INDEX api_sent_created ON api_sent(created);
CREATE INDEX hooks_account ON hooks(account);
CREATE INDEX hook_events_hook ON hook_events(hook, id);
CREATE INDEX hook_events_created ON hook_events(created);
CREATE INDEX hooks_whole ON hooks(org, whole);
CREATE INDEX visitor_forms_account ON visitor_forms(account);
COMMIT;
