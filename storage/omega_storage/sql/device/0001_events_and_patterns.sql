PRAGMA application_id = 0x4f4d4547; -- "OMEG"

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id            INTEGER PRIMARY KEY, -- order of recording
    content_id    TEXT NOT NULL,
    at            INTEGER NOT NULL, -- Unix seconds
    slot          INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 7),
    watched_milli INTEGER NOT NULL CHECK (watched_milli BETWEEN 0 AND 1000),
    season        INTEGER,
    episode       INTEGER
) STRICT;

-- An index ends with the rowid, so that each gives its newest events without sorting.
CREATE INDEX event_by_slot ON event (slot);
CREATE INDEX event_by_title ON event (content_id);

-- The last event of each title, and the most that was watched of it at once: a summary of `event`, written with it,
-- because a scan of 50,000 events takes too long.
CREATE TABLE watched (
    content_id    TEXT PRIMARY KEY,
    at            INTEGER NOT NULL,
    slot          INTEGER NOT NULL,
    watched_milli INTEGER NOT NULL,
    season        INTEGER,
    episode       INTEGER,
    best_milli    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Its vector is the row of the same id in the vec0 table `pattern_vector`.
CREATE TABLE pattern (
    id            INTEGER PRIMARY KEY,
    content_id    TEXT NOT NULL,
    slot          INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 7),
    kind          INTEGER NOT NULL CHECK (kind >= 0), -- place in ContentType
    sample_count  INTEGER NOT NULL CHECK (sample_count > 0),
    success_milli INTEGER NOT NULL CHECK (success_milli BETWEEN 0 AND 1000 * sample_count),
    created_at    INTEGER NOT NULL, -- Unix seconds
    updated_at    INTEGER NOT NULL
) STRICT;

-- Titles that no catalog has; they never leave this TV.
CREATE TABLE local_title (
    content_id TEXT PRIMARY KEY,
    title      BLOB NOT NULL -- JSON of core.types.Title
) STRICT, WITHOUT ROWID;
