-- name: lock_migrations
-- Until the transaction ends; the numbers of all these locks begin with "OMGS".
SELECT pg_advisory_xact_lock(1330464595, 0)

-- name: lock_enrolment
-- The same, for who gives numbers and lets in.
SELECT pg_advisory_xact_lock(1330464595, 1)

-- name: patience
-- Making an index over millions takes its time, and so does whoever made it first.
SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'

-- name: make_migration_table
-- Which scripts this database has seen.
CREATE TABLE IF NOT EXISTS migration (number integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())

-- name: tables
-- Those in the schema where ours are or would be made.
SELECT tablename FROM pg_tables WHERE schemaname = current_schema()

-- name: schema_version
-- The last script that was applied.
SELECT coalesce(max(number), 0) FROM migration

-- name: note_migration
-- Within its transaction.
INSERT INTO migration (number) VALUES ($1)

-- name: forget_migration
-- The same, backwards.
DELETE FROM migration WHERE number = $1

-- name: lock_sums
-- The same, for who changes sums.
SELECT pg_advisory_xact_lock(1330464595, 2)

-- name: numbers_of
-- Some devices by id: their numbers, and since when their tokens count.
SELECT device_id, slot, counts_from FROM device WHERE device_id = ANY($1)

-- name: enrol
-- The next numbers.
INSERT INTO device (slot, device_id, counts_from, seen_day, mark_day)
SELECT slot, device_id, counts_from, day, day
FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[]) AS u (slot, device_id, counts_from, day)

-- name: counts_from
-- Since when the tokens of each count, by number.
SELECT counts_from FROM device WHERE slot >= $1::bigint ORDER BY slot

-- name: device_count
-- Numbers are dense.
SELECT coalesce(max(slot) + 1, 0) FROM device

-- name: revoke
-- For good.
UPDATE device SET counts_from = $2 WHERE device_id = $1 RETURNING slot

-- name: revoked
-- Few of millions.
SELECT slot FROM device WHERE counts_from = 4294967295 ORDER BY slot

-- name: admitted
-- By one maker.
SELECT admitted FROM maker WHERE maker_id = $1

-- name: count_admitted
-- One more.
INSERT INTO maker (maker_id, admitted) VALUES ($1, 1)
ON CONFLICT (maker_id) DO UPDATE SET admitted = maker.admitted + 1

-- name: code
-- What a code is good for still.
SELECT digest, uses, ends_at FROM code WHERE digest = $1

-- name: use_code
-- Within the transaction that read it.
UPDATE code SET uses = uses - 1 WHERE digest = $1

-- name: add_code
-- A new one.
INSERT INTO code (digest, uses, ends_at) VALUES ($1, $2, $3)

-- name: drop_codes
-- What admits nobody any more.
DELETE FROM code WHERE uses = 0 OR ends_at <= $1

-- name: identity
-- Whose sums these are; no row as long as nobody said so.
SELECT shard_id, key_mark FROM identity

-- name: set_identity
-- For good.
INSERT INTO identity (shard_id, key_mark) VALUES ($1, $2)

-- name: devices
-- Some, by number.
SELECT slot, device_id, counts_from, incarnation, version, seen_day, contributed, retracted, horizon, mark_day,
    mark_version
FROM device WHERE slot = ANY($1)

-- name: held_devices
-- Those of one tick, in the order in which everybody takes them.
SELECT slot, device_id, counts_from, incarnation, version, seen_day, contributed, retracted, horizon, mark_day,
    mark_version
FROM device WHERE slot = ANY($1) ORDER BY slot FOR NO KEY UPDATE

-- name: move
-- Within the transaction that holds the rows.
UPDATE device AS d SET incarnation = u.incarnation, version = u.version, seen_day = u.seen_day,
    contributed = u.contributed, retracted = u.retracted, horizon = u.horizon, mark_day = u.mark_day,
    mark_version = u.mark_version
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[])
    AS u (slot, incarnation, version, seen_day, contributed, retracted, horizon, mark_day, mark_version)
WHERE d.slot = u.slot::integer

-- name: take
-- Of plain moves, by number: those that begin a life, or go on where their device is; what they are is in `usual_ones`.
UPDATE device AS d SET incarnation = u.incarnation, version = u.version, seen_day = greatest(d.seen_day, $6::integer),
    contributed = d.contributed + u.count,
    horizon = CASE WHEN d.incarnation = u.incarnation THEN d.horizon ELSE 0 END,
    mark_day = CASE WHEN d.incarnation = u.incarnation THEN d.mark_day ELSE $6::integer END,
    mark_version = CASE WHEN d.incarnation = u.incarnation THEN d.mark_version ELSE 0 END
FROM (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
        AS v (slot, incarnation, base, version, count)
    WHERE base < version ORDER BY slot
) AS u
WHERE d.slot = u.slot::integer AND d.counts_from <> 4294967295 AND (
    (d.incarnation = u.incarnation AND d.version = u.base AND $6::integer < d.mark_day + $7::integer)
    OR (d.incarnation < u.incarnation AND u.base = 0)
)
RETURNING d.slot, d.horizon

-- name: add_journal
-- A tick.
INSERT INTO journal (day, samples, told) VALUES ($1, $2, $3)

-- name: waiting
-- How many samples of so many bytes it holds.
SELECT coalesce(sum(length(samples)), 0) / $1::bigint FROM journal

-- name: has_journal
-- Whether a fold has anything to do.
SELECT EXISTS (SELECT 1 FROM journal)

-- name: journal
-- In order of ticks; those of one device wait for each other.
SELECT id, day, samples, told FROM journal ORDER BY id

-- name: drop_journal
-- Within the transaction that added it up; others may have come since it was read.
DELETE FROM journal WHERE id = ANY($1)

-- name: sums
-- Some rows by key, with the households, samples and day that stand shown: households 0 where none do yet, -1 where
-- none do any more.
SELECT s.key, s.samples, s.success_milli, s.households, s.theta, s.tags, s.day, s.trends, s.since,
    CASE v.households WHEN 0 THEN -1 ELSE coalesce(v.households, 0) END, coalesce(v.samples, 0), coalesce(v.day, 0)
FROM sums AS s LEFT JOIN shown AS v ON v.key = s.key WHERE s.key = ANY($1)

-- name: put_sums
-- Replaces the row.
INSERT INTO sums (key, samples, success_milli, households, theta, tags, day, trends, since)
SELECT key, samples, success_milli, households, theta, tags, day, trends, since
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[],
    $8::bytea[], $9::bytea[]) AS u (key, samples, success_milli, households, theta, tags, day, trends, since)
ON CONFLICT (key) DO UPDATE SET samples = excluded.samples, success_milli = excluded.success_milli,
    households = excluded.households, theta = excluded.theta, tags = excluded.tags, day = excluded.day,
    trends = excluded.trends, since = excluded.since

-- name: put_shown
-- Replaces what may be shown.
INSERT INTO shown (key, samples, success_milli, households, day, trends, rank)
SELECT key, samples, success_milli, households, day, trends, nullif(rank, 'NaN')
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::float8[])
    AS u (key, samples, success_milli, households, day, trends, rank)
ON CONFLICT (key) DO UPDATE SET samples = excluded.samples, success_milli = excluded.success_milli,
    households = excluded.households, day = excluded.day, trends = excluded.trends, rank = excluded.rank

-- name: add_bucket
-- Nothing falls below 0; whoever changes sums is the only one.
MERGE INTO bucket AS b
USING unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS u (day, key, samples, success_milli)
ON b.day = u.day::integer AND b.key = u.key
WHEN MATCHED THEN UPDATE SET samples = greatest(b.samples + u.samples, 0),
    success_milli = greatest(b.success_milli + u.success_milli, 0)
WHEN NOT MATCHED THEN INSERT (day, key, samples, success_milli)
    VALUES (u.day, u.key, greatest(u.samples, 0), greatest(u.success_milli, 0))

-- name: drop_buckets
-- Days that are over; what another session holds waits for tomorrow.
DELETE FROM bucket WHERE (day, key) IN (SELECT day, key FROM bucket WHERE day <= $1 FOR UPDATE SKIP LOCKED)

-- name: buckets
-- The days of one title and context.
SELECT day, samples, success_milli FROM bucket WHERE key = $1 AND samples > 0 ORDER BY day

-- name: audiences
-- Some titles' audiences.
SELECT title, day, numbers FROM audience WHERE title = ANY($1)

-- name: put_audience
-- Replaces the row.
INSERT INTO audience (title, day, numbers) SELECT title, day, numbers
FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS u (title, day, numbers)
ON CONFLICT (title) DO UPDATE SET day = excluded.day, numbers = excluded.numbers

-- name: aggregates
-- Everything, with what may be shown of it; -8 >> 4 is -1, as a title known by hash needs it.
SELECT s.key >> 4, s.key & 15, s.samples, s.success_milli, s.households, s.day, s.trends,
    v.samples, v.success_milli, v.households, v.day, v.trends
FROM sums AS s LEFT JOIN shown AS v ON v.key = s.key AND v.rank IS NOT NULL ORDER BY s.key

-- name: sums_between
-- The rows of some titles, from the first to before the last.
SELECT key, samples, success_milli, households, day, trends, since FROM sums
WHERE key >= $1::bigint * 16 AND key < $2::bigint * 16 ORDER BY key

-- name: audiences_between
-- The same titles' audiences.
SELECT title, day, numbers FROM audience WHERE title >= $1::bigint AND title < $2::bigint ORDER BY title

-- name: trending
-- The catalog's titles in all contexts, down the index.
SELECT key >> 4, key & 15, samples, success_milli, households, day, trends FROM shown
WHERE rank IS NOT NULL AND key & 15 = 8 AND key BETWEEN 0 AND $2::bigint * 16 - 1 ORDER BY rank DESC, key LIMIT $1

-- name: successful
-- The catalog's titles by context, posterior rates with a Beta(1, 1) prior.
SELECT key >> 4, key & 15, samples, success_milli, households, day, trends FROM shown
WHERE rank IS NOT NULL AND key & 15 < 8 AND key >= 0
    AND (1 + success_milli / 1000::float8) / (2 + samples)::float8 >= $2::float8
ORDER BY rank DESC, key LIMIT $1

-- name: shown_of
-- One title by context, all of them last.
SELECT key >> 4, key & 15, samples, success_milli, households, day, trends FROM shown
WHERE rank IS NOT NULL AND key BETWEEN $1::bigint * 16 AND $1::bigint * 16 + 15 ORDER BY key

-- name: shown_totals
-- The catalog's titles in all contexts, along the index of those that may be shown.
SELECT count(*), coalesce(sum(samples), 0)::bigint FROM shown WHERE rank IS NOT NULL AND key & 15 = 8 AND key >= 0

-- name: hidden
-- Titles that lost their households.
SELECT key >> 4 FROM shown WHERE rank IS NULL AND day >= $1 AND key & 15 = 8 AND key >= 0 ORDER BY key

-- name: keys_of
-- The rows of one title.
SELECT key FROM sums WHERE key BETWEEN $1::bigint * 16 AND $1::bigint * 16 + 15 ORDER BY key

-- name: move_buckets
-- Adds a title's days to another's.
INSERT INTO bucket (day, key, samples, success_milli)
SELECT day, key - $2::bigint * 16 + $3::bigint * 16, samples, success_milli FROM bucket WHERE key = ANY($1)
ON CONFLICT (day, key) DO UPDATE SET samples = bucket.samples + excluded.samples,
    success_milli = bucket.success_milli + excluded.success_milli

-- name: drop_sums
-- Once all of a title was added to another's.
DELETE FROM sums WHERE key = ANY($1)

-- name: drop_shown
-- The same.
DELETE FROM shown WHERE key = ANY($1)

-- name: drop_title_buckets
-- The same.
DELETE FROM bucket WHERE key = ANY($1)

-- name: drop_audience
-- The same.
DELETE FROM audience WHERE title = $1

-- name: unknown_titles
-- Those that are known by hash alone.
SELECT DISTINCT key >> 4 FROM sums WHERE key < 0

-- name: mix_devices
-- Each row's hidden xmin names the commit that wrote it: write these again, and others of the day, as of one moment.
UPDATE device SET seen_day = seen_day WHERE slot IN (
    SELECT slot FROM device
    WHERE slot = ANY($1) OR slot IN (SELECT slot FROM device WHERE seen_day >= $2::bigint LIMIT $3::bigint)
    ORDER BY slot FOR UPDATE SKIP LOCKED)

-- name: empty_journal
-- What was added up, to the last byte where nobody writes.
VACUUM (SKIP_LOCKED) journal

-- name: drop_versions
-- Those before.
VACUUM (SKIP_LOCKED, TRUNCATE FALSE) device, sums

-- name: may_empty_log
-- Few users may.
SELECT has_function_privilege('pg_switch_wal()', 'EXECUTE') AND pg_has_role('pg_checkpoint', 'USAGE')

-- name: end_segment
-- The log names what came together in one commit.
SELECT pg_switch_wal()

-- name: checkpoint
-- Removes the segments before, where wal_recycle is off.
CHECKPOINT

-- name: has_due
-- Whether any title's place among audiences is to be looked at again.
SELECT EXISTS (SELECT 1 FROM due)

-- name: add_due
-- Titles whose shown figures were replaced and go well.
INSERT INTO due (title) SELECT unnest($1::bigint[]) ON CONFLICT DO NOTHING

-- name: drop_due
-- The same, when they don't.
DELETE FROM due WHERE title = ANY($1)

-- name: take_due
-- Some of them, within the transaction that looks at them.
DELETE FROM due WHERE title IN (SELECT title FROM due ORDER BY title LIMIT $1) RETURNING title

-- name: tell
-- Directions stand in a row in the second array.
INSERT INTO likeness (title, good, direction)
SELECT title, TRUE, ($2::float8[])[(place - 1) * 44 + 1 : place * 44]::real[]
FROM unnest($1::bigint[]) WITH ORDINALITY AS u (title, place)
ON CONFLICT (title) DO UPDATE SET good = TRUE, direction = excluded.direction

-- name: untell
-- What may be told no more.
UPDATE likeness SET good = FALSE WHERE title = ANY($1) AND good

-- name: likeness
-- All that may be told, for who has no index.
SELECT title, direction FROM likeness WHERE good

-- name: shown
-- Some rows by key.
SELECT key >> 4, key & 15, samples, success_milli, households, day, trends FROM shown
WHERE rank IS NOT NULL AND key = ANY($1)

-- name: has_nearest_index
-- In the schema of the tables.
SELECT to_regclass(quote_ident(current_schema()) || '.likeness_nearest') IS NOT NULL

-- name: make_nearest_index
-- Partial, so that no search passes by what may not be told; its condition stands in `nearest` word for word.
CREATE INDEX likeness_nearest ON likeness USING hnsw ((direction::halfvec(44)) halfvec_cosine_ops) WHERE good

-- name: nearest
-- Down the index, or through all rows where they are few: the planner chooses.
WITH near AS MATERIALIZED (
    SELECT title, direction::halfvec(44) <=> $1::float8[]::real[]::halfvec(44) AS distance FROM likeness WHERE good
    ORDER BY distance LIMIT $2
)
SELECT v.key >> 4, v.key & 15, v.samples, v.success_milli, v.households, v.day, v.trends
FROM near AS n JOIN shown AS v ON v.key = n.title * 16 + 8 WHERE v.rank IS NOT NULL ORDER BY n.distance, n.title

-- name: add_trials
-- To what other households told of the same arm and day.
INSERT INTO trial (experiment, arm, day, households, watched, chosen, minutes, watched_squares, chosen_squares, minutes_squares)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::bigint[]) AS u (experiment, arm, day, households, watched, chosen, minutes, watched_squares, chosen_squares, minutes_squares)
ON CONFLICT (experiment, arm, day) DO UPDATE SET households = trial.households + excluded.households,
    watched = trial.watched + excluded.watched,
    chosen = trial.chosen + excluded.chosen,
    minutes = trial.minutes + excluded.minutes,
    watched_squares = trial.watched_squares + excluded.watched_squares,
    chosen_squares = trial.chosen_squares + excluded.chosen_squares,
    minutes_squares = trial.minutes_squares + excluded.minutes_squares

-- name: take_trials
-- What no row holds was never counted here.
UPDATE trial SET households = greatest(trial.households - u.households, 0),
    watched = greatest(trial.watched - u.watched, 0),
    chosen = greatest(trial.chosen - u.chosen, 0),
    minutes = greatest(trial.minutes - u.minutes, 0),
    watched_squares = greatest(trial.watched_squares - u.watched_squares, 0),
    chosen_squares = greatest(trial.chosen_squares - u.chosen_squares, 0),
    minutes_squares = greatest(trial.minutes_squares - u.minutes_squares, 0)
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::bigint[]) AS u (experiment, arm, day, households, watched, chosen, minutes, watched_squares, chosen_squares, minutes_squares)
WHERE trial.experiment = u.experiment AND trial.arm = u.arm AND trial.day = u.day

-- name: trials
-- All that are left.
SELECT experiment, arm, day, households, watched, chosen, minutes, watched_squares, chosen_squares, minutes_squares
FROM trial WHERE households > 0 ORDER BY experiment, day, arm

-- name: drop_trials
-- Days that are over; what another session holds waits for tomorrow.
DELETE FROM trial WHERE (experiment, arm, day) IN (
    SELECT experiment, arm, day FROM trial WHERE day <= $1 FOR UPDATE SKIP LOCKED)
