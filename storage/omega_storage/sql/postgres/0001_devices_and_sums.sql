-- Where each device stands, and what all of them add up to. No row of any table names a device and a title.

CREATE TABLE device (
    slot         integer PRIMARY KEY, -- dense, given at enrolment
    seen_day     integer NOT NULL, -- a day is all that is kept of when it came
    mark_day     integer NOT NULL,
    counts_from  bigint NOT NULL, -- unix seconds; tokens that were given before are another's; 2^32 - 1: revoked
    incarnation  bigint NOT NULL DEFAULT 0,
    version      bigint NOT NULL DEFAULT 0, -- what was counted up to now
    contributed  bigint NOT NULL DEFAULT 0,
    retracted    bigint NOT NULL DEFAULT 0 CHECK (retracted <= contributed),
    horizon      bigint NOT NULL DEFAULT 0, -- the version that every backup holds which may still be restored
    mark_version bigint NOT NULL DEFAULT 0, -- becomes the horizon once no backup is older than mark_day
    device_id    bytea NOT NULL UNIQUE CHECK (octet_length(device_id) = 16) -- hash of the public key
);

-- Who a device's maker is, and which code it brought, is not kept.
CREATE TABLE maker (
    maker_id bytea PRIMARY KEY CHECK (octet_length(maker_id) = 16), -- hash of the public key
    admitted bigint NOT NULL -- devices that were ever admitted on its word
);

CREATE TABLE code (
    digest  bytea PRIMARY KEY CHECK (octet_length(digest) = 32), -- of what a person was told
    uses    bigint NOT NULL CHECK (uses >= 0), -- devices that it still admits
    ends_at bigint NOT NULL -- unix seconds
);

CREATE TABLE identity (
    shard_id integer NOT NULL, -- whose sums these are; set once
    key_mark bytea NOT NULL -- of the key that made the tags
);

-- What ticks counted and no fold has added to the sums yet: samples by title, without their devices.
CREATE TABLE journal (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day     integer NOT NULL,
    samples bytea STORAGE EXTERNAL NOT NULL, -- lives for seconds: no time is spent on packing it
    told    bytea STORAGE EXTERNAL NOT NULL -- sums of taste codes by title
);

CREATE TABLE sums (
    key           bigint PRIMARY KEY, -- title * 16 + context, 8 for all contexts; negative for titles known by hash
    samples       bigint NOT NULL CHECK (samples >= 0),
    success_milli bigint NOT NULL CHECK (success_milli BETWEEN 0 AND 1000 * samples),
    households    bigint NOT NULL,
    theta         bigint NOT NULL, -- tags below it are kept
    day           integer NOT NULL,
    tags          bytea NOT NULL, -- up to 8 unsigned 4-byte integers, keyed hashes of household and title
    trends        bytea NOT NULL -- 4 doubles as of `day`
);

-- What may be shown: a copy of the sums, made when 3 further households had come.
CREATE TABLE shown (
    key           bigint PRIMARY KEY,
    samples       bigint NOT NULL,
    success_milli bigint NOT NULL,
    households    bigint NOT NULL, -- 0: too few of them are left
    day           integer NOT NULL, -- when it lost them, in that case
    rank          double precision, -- log2 of the trend with a half-life of one day, plus `day`: orders as of any day
    trends        bytea NOT NULL
);

CREATE TABLE bucket (
    day           integer NOT NULL,
    key           bigint NOT NULL,
    samples       bigint NOT NULL,
    success_milli bigint NOT NULL,
    PRIMARY KEY (day, key)
);

CREATE TABLE audience (
    title   bigint PRIMARY KEY,
    day     integer NOT NULL,
    numbers bytea NOT NULL -- 45 doubles as of `day`: how many taste codes came, and their sum
);
