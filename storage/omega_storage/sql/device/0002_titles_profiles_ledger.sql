-- Events become the truth that all else follows from: titles in a table of their own, profiles, one row for an event
-- however often it is told, and the ledger. What follows from events is made again when the store opens; the titles'
-- vectors, which replace those of patterns, when the brain does.

DROP TABLE IF EXISTS pattern_vector;
DELETE FROM meta WHERE key = 'space';

CREATE TABLE title (
    id         INTEGER PRIMARY KEY, -- also the id of its vector in the vec0 table `title_vector`
    content_id TEXT NOT NULL UNIQUE,
    kind       INTEGER NOT NULL CHECK (kind >= 0), -- place in ContentType
    local      BLOB, -- JSON of core.types.Title where no catalog has it; it never leaves this TV
    checksum   INTEGER NOT NULL DEFAULT 0 -- as an event's: a title's damaged id would make its events another's
) STRICT;

INSERT INTO title (content_id, kind, local)
SELECT p.content_id, min(p.kind), (SELECT l.title FROM local_title AS l WHERE l.content_id = p.content_id)
FROM pattern AS p GROUP BY p.content_id ORDER BY min(p.created_at), p.content_id;

CREATE TABLE profile (
    id   INTEGER PRIMARY KEY CHECK (id > 0), -- 0 stands for nobody in particular
    name TEXT NOT NULL UNIQUE,
    age  INTEGER
) STRICT;

CREATE TABLE episode (
    id               INTEGER PRIMARY KEY AUTOINCREMENT, -- order of recording; ledger and skills outlive pruned events
    title_id         INTEGER NOT NULL REFERENCES title (id),
    at               INTEGER NOT NULL, -- Unix seconds
    slot             INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 7),
    watched_milli    INTEGER NOT NULL CHECK (watched_milli BETWEEN 0 AND 1000),
    season           INTEGER,
    episode          INTEGER,
    profile_id       INTEGER NOT NULL DEFAULT 0,
    engagement_milli INTEGER CHECK (engagement_milli BETWEEN 0 AND 1000),
    offered          INTEGER,
    shared           INTEGER NOT NULL DEFAULT 0, -- 1: in the ledger, here or on the TV that it came from
    checksum         INTEGER NOT NULL DEFAULT 0 -- of all the others but the id, so that damage can be told from truth
) STRICT;

-- What makes an event the same when it is told again; also finds a title's events.
CREATE UNIQUE INDEX episode_once
ON episode (title_id, at, profile_id, ifnull(season, -1), ifnull(episode, -1));

INSERT INTO episode (id, title_id, at, slot, watched_milli, season, episode)
SELECT e.id, t.id, e.at, e.slot, e.watched_milli, e.season, e.episode
FROM event AS e JOIN title AS t ON t.content_id = e.content_id WHERE TRUE ORDER BY e.id
ON CONFLICT DO UPDATE SET watched_milli = excluded.watched_milli; -- the later report holds

DROP TABLE event;
ALTER TABLE episode RENAME TO event;
DROP INDEX episode_once;
CREATE UNIQUE INDEX event_once ON event (title_id, at, profile_id, ifnull(season, -1), ifnull(episode, -1));

-- Ends with the rowid, so that it gives a context's newest events without sorting.
CREATE INDEX event_by_slot ON event (slot);
CREATE INDEX event_by_profile ON event (profile_id);

DROP TABLE local_title;
DROP TABLE watched;

-- The last event of each title by profile, and the most that was watched of it at once: follows from `event`, and is
-- kept because a scan of 50,000 events takes too long.
CREATE TABLE watched (
    title_id      INTEGER NOT NULL REFERENCES title (id),
    profile_id    INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    slot          INTEGER NOT NULL,
    watched_milli INTEGER NOT NULL,
    season        INTEGER,
    episode       INTEGER,
    best_milli    INTEGER NOT NULL,
    PRIMARY KEY (title_id, profile_id)
) STRICT, WITHOUT ROWID;

DROP TABLE pattern;

-- Follows from `event`.
CREATE TABLE pattern (
    id            INTEGER PRIMARY KEY,
    title_id      INTEGER NOT NULL REFERENCES title (id),
    slot          INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 7),
    profile_id    INTEGER NOT NULL,
    sample_count  INTEGER NOT NULL CHECK (sample_count > 0),
    success_milli INTEGER NOT NULL CHECK (success_milli BETWEEN 0 AND 1000 * sample_count),
    created_at    INTEGER NOT NULL, -- Unix seconds
    updated_at    INTEGER NOT NULL,
    length        REAL NOT NULL -- of title's vector + share x context's; 0 until there are vectors
) STRICT;

CREATE INDEX pattern_by_title ON pattern (title_id);
CREATE INDEX pattern_without_length ON pattern (id) WHERE length = 0;

-- What episodes of one sort add up to; follows from `event`, up to the one that meta's `consolidated` names.
CREATE TABLE skill (
    profile_id INTEGER NOT NULL,
    day        INTEGER NOT NULL, -- 0..6 from Monday
    time       INTEGER NOT NULL, -- 0..3
    facet      TEXT NOT NULL, -- a genre or kind
    count      INTEGER NOT NULL,
    finished   INTEGER NOT NULL,
    episodes   REAL NOT NULL, -- this and the next three decay, and are worth what they were at last_at
    successes  REAL NOT NULL,
    rewards    REAL NOT NULL,
    uses       REAL NOT NULL,
    last_at    INTEGER NOT NULL, -- Unix seconds
    PRIMARY KEY (profile_id, day, time, facet)
) STRICT, WITHOUT ROWID;

-- The ledger. A row names its title by a hash, so that it can outlive the forgetting of the title.
CREATE TABLE contribution (
    id            INTEGER PRIMARY KEY,
    event_id      INTEGER, -- NULL once the event is forgotten
    title_key     INTEGER NOT NULL,
    slot          INTEGER NOT NULL,
    day           INTEGER NOT NULL, -- since 1970, by the household's clock
    success_milli INTEGER NOT NULL,
    taste         BLOB NOT NULL,
    shard         TEXT, -- these three are set together, before the frame leaves
    incarnation   INTEGER,
    version       INTEGER,
    acknowledged  INTEGER NOT NULL DEFAULT 0,
    retract       INTEGER NOT NULL DEFAULT 0, -- 1: is to be taken back, 2: was
    retracted_in  INTEGER -- the version that takes it back
) STRICT;

-- A TV contributes at most one sample of a title in a context on a day.
CREATE UNIQUE INDEX contribution_once ON contribution (title_key, slot, day);
CREATE INDEX contribution_by_event ON contribution (event_id);
CREATE INDEX contribution_by_version ON contribution (shard, incarnation, version);
