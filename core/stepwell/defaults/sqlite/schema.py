"""The tables, as numbered migrations. Each runs in a transaction of its own."""

from __future__ import annotations

#: "StWl": marks a SQLite file as ours.
APPLICATION_ID = 0x5374576C

#: Tables whose rows are only appended and blanked in place (see the package docstring).
CONTENT_TABLES = ("contents", "keys", "bodies")

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # What the whole file is: preset, embedder, the file's secret. Nothing remembered.
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        # `mac` finds a scope by its path; path and secret themselves lie in `bodies`.
        """CREATE TABLE scopes (
            scope INTEGER PRIMARY KEY AUTOINCREMENT, mac BLOB NOT NULL UNIQUE,
            body INTEGER NOT NULL, head INTEGER NOT NULL DEFAULT 0,
            purges INTEGER NOT NULL DEFAULT 0)""",
        # The texts. `ref` ascends in order of arrival and is never reused.
        """CREATE TABLE contents (
            ref INTEGER PRIMARY KEY AUTOINCREMENT, scope INTEGER NOT NULL,
            turn TEXT, actor TEXT, role TEXT, session TEXT, task TEXT, payload TEXT, extra TEXT,
            text TEXT NOT NULL)""",
        # The state of each record. Times are microseconds since 1970, UTC. `content` is the row of
        # the text as it is now: another one than `ref` after a revision.
        """CREATE TABLE records (
            scope INTEGER NOT NULL, ref INTEGER NOT NULL, id BLOB NOT NULL,
            content INTEGER NOT NULL, level INTEGER NOT NULL, kind INTEGER NOT NULL,
            origin INTEGER NOT NULL, status INTEGER NOT NULL, version INTEGER NOT NULL,
            trust REAL NOT NULL,
            said_at INTEGER, stored_at INTEGER NOT NULL, valid_from INTEGER, valid_to INTEGER,
            PRIMARY KEY (scope, ref)) WITHOUT ROWID""",
        # Finds a record by the bytes of its id, or a turn by the keyed hash of the caller's id. A
        # row without `ref` is a tombstone: that turn was forgotten and is refused.
        """CREATE TABLE handles (
            scope INTEGER NOT NULL, handle BLOB NOT NULL, ref INTEGER, content BLOB,
            PRIMARY KEY (scope, handle)) WITHOUT ROWID""",
        """CREATE TABLE keys (
            kid INTEGER PRIMARY KEY AUTOINCREMENT, scope INTEGER NOT NULL, ref INTEGER NOT NULL,
            channel TEXT NOT NULL, space TEXT NOT NULL, first INTEGER, last INTEGER,
            live INTEGER NOT NULL DEFAULT 2, sources INTEGER, body BLOB NOT NULL)""",
        "CREATE INDEX keys_by_ref ON keys (scope, ref)",
        """CREATE TABLE edges (
            scope INTEGER NOT NULL, source INTEGER NOT NULL, kind INTEGER NOT NULL,
            target INTEGER NOT NULL, weight REAL NOT NULL, body INTEGER,
            PRIMARY KEY (scope, source, kind, target)) WITHOUT ROWID""",
        "CREATE INDEX edges_by_target ON edges (scope, target, kind, source)",
        # Everything else that holds words: journal bodies, labels, slots, documents, scope names.
        """CREATE TABLE bodies (
            body INTEGER PRIMARY KEY AUTOINCREMENT, scope INTEGER NOT NULL,
            content BLOB NOT NULL)""",
        """CREATE TABLE journal (
            scope INTEGER NOT NULL, pos INTEGER NOT NULL, op INTEGER NOT NULL, ref INTEGER,
            at INTEGER NOT NULL, who TEXT NOT NULL, body INTEGER,
            PRIMARY KEY (scope, pos)) WITHOUT ROWID""",
        "CREATE INDEX journal_by_ref ON journal (scope, ref, pos) WHERE ref IS NOT NULL",
        """CREATE TABLE work (
            scope INTEGER NOT NULL, wid INTEGER NOT NULL, kind INTEGER NOT NULL, ref INTEGER,
            until INTEGER, tries INTEGER NOT NULL DEFAULT 0, error TEXT,
            PRIMARY KEY (scope, wid)) WITHOUT ROWID""",
        """CREATE TABLE slots (
            scope INTEGER NOT NULL, mac BLOB NOT NULL, body INTEGER NOT NULL,
            version INTEGER NOT NULL, PRIMARY KEY (scope, mac)) WITHOUT ROWID""",
        """CREATE TABLE usage (
            scope INTEGER NOT NULL, ref INTEGER NOT NULL, shown INTEGER NOT NULL,
            used INTEGER NOT NULL, success REAL NOT NULL, failure REAL NOT NULL,
            strength REAL NOT NULL, last_used INTEGER, PRIMARY KEY (scope, ref)) WITHOUT ROWID""",
        """CREATE TABLE documents (
            scope INTEGER NOT NULL, space BLOB NOT NULL, mac BLOB NOT NULL, body INTEGER NOT NULL,
            created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, expires_at INTEGER,
            PRIMARY KEY (scope, space, mac)) WITHOUT ROWID""",
    ),
)

VERSION = len(MIGRATIONS)
