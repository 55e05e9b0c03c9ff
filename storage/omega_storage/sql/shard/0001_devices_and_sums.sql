-- Where each device stands, and what all of them add up to. No row of any table names a device and a title.

CREATE TABLE device (
    slot         INTEGER PRIMARY KEY, -- dense, given at enrolment
    device_id    BLOB NOT NULL UNIQUE CHECK (length(device_id) = 16), -- hash of the public key
    counts_from  INTEGER NOT NULL, -- unix seconds; tokens that were given before are another's; 2^32 - 1: revoked
    incarnation  INTEGER NOT NULL DEFAULT 0,
    version      INTEGER NOT NULL DEFAULT 0, -- what was counted up to now
    seen_day     INTEGER NOT NULL, -- a day is all that is kept of when it came
    contributed  INTEGER NOT NULL DEFAULT 0,
    retracted    INTEGER NOT NULL DEFAULT 0 CHECK (retracted <= contributed),
    horizon      INTEGER NOT NULL DEFAULT 0, -- the version that every backup holds which may still be restored
    mark_day     INTEGER NOT NULL,
    mark_version INTEGER NOT NULL DEFAULT 0 -- becomes the horizon once no backup is older than mark_day
) STRICT;

CREATE INDEX device_revoked ON device (slot) WHERE counts_from = 4294967295;

-- Who a device's maker is, and which code it brought, is not kept.
CREATE TABLE maker (
    maker_id BLOB PRIMARY KEY CHECK (length(maker_id) = 16), -- hash of the public key
    admitted INTEGER NOT NULL -- devices that were ever admitted on its word
) STRICT, WITHOUT ROWID;

CREATE TABLE code (
    digest  BLOB PRIMARY KEY CHECK (length(digest) = 32), -- of what a person was told
    uses    INTEGER NOT NULL CHECK (uses >= 0), -- devices that it still admits
    ends_at INTEGER NOT NULL -- unix seconds
) STRICT, WITHOUT ROWID;

CREATE TABLE identity (
    shard_id INTEGER NOT NULL, -- whose sums these are; set once
    key_mark BLOB NOT NULL -- of the key that made the tags
) STRICT;

-- What ticks counted and no fold has added to the sums yet: samples by title, without their devices.
CREATE TABLE journal (
    id      INTEGER PRIMARY KEY,
    day     INTEGER NOT NULL,
    samples BLOB NOT NULL,
    told    BLOB NOT NULL -- sums of taste codes by title
) STRICT;

CREATE TABLE sums (
    key           INTEGER PRIMARY KEY, -- title * 16 + context, 8 for all contexts; negative for titles known by hash
    samples       INTEGER NOT NULL CHECK (samples >= 0),
    success_milli INTEGER NOT NULL CHECK (success_milli BETWEEN 0 AND 1000 * samples),
    households    INTEGER NOT NULL,
    theta         INTEGER NOT NULL, -- tags below it are kept
    tags          BLOB NOT NULL, -- up to 8 unsigned 4-byte integers, keyed hashes of household and title
    day           INTEGER NOT NULL,
    trends        BLOB NOT NULL -- 4 doubles as of `day`
) STRICT;

-- What may be shown: a copy of the sums, made when 3 further households had come.
CREATE TABLE shown (
    key           INTEGER PRIMARY KEY,
    samples       INTEGER NOT NULL,
    success_milli INTEGER NOT NULL,
    households    INTEGER NOT NULL, -- 0: too few of them are left
    day           INTEGER NOT NULL, -- when it lost them, in that case
    trends        BLOB NOT NULL,
    rank          REAL -- log2 of the trend with a half-life of one day, plus `day`: orders as of any day
) STRICT;

CREATE INDEX shown_title ON shown (rank) WHERE rank IS NOT NULL AND key & 15 = 8;
CREATE INDEX shown_pattern ON shown (rank) WHERE rank IS NOT NULL AND key & 15 < 8;
CREATE INDEX shown_hidden ON shown (day) WHERE rank IS NULL;

CREATE TABLE bucket (
    day           INTEGER NOT NULL,
    key           INTEGER NOT NULL,
    samples       INTEGER NOT NULL,
    success_milli INTEGER NOT NULL,
    PRIMARY KEY (day, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE audience (
    title   INTEGER PRIMARY KEY,
    day     INTEGER NOT NULL,
    numbers BLOB NOT NULL -- 45 doubles as of `day`: how many taste codes came, and their sum
) STRICT;

PRAGMA application_id = 0x4F4D4753; -- "OMGS"
