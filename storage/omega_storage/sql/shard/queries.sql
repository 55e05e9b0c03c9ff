-- name: numbers_of
-- Some devices by id, in hex: their numbers, and since when their tokens count.
SELECT device_id, slot, counts_from FROM device WHERE device_id IN (SELECT unhex(value) FROM json_each(?))

-- name: enrol
-- The next numbers.
INSERT INTO device (slot, device_id, counts_from, seen_day, mark_day) VALUES (?1, ?2, ?3, ?4, ?4)

-- name: counts_from
-- Since when the tokens of each count, by number.
SELECT counts_from FROM device WHERE slot >= ? ORDER BY slot

-- name: device_count
-- Numbers are dense.
SELECT ifnull(max(slot) + 1, 0) FROM device

-- name: revoke
-- For good.
UPDATE device SET counts_from = ?2 WHERE device_id = ?1 RETURNING slot

-- name: revoked
-- Few of millions.
SELECT slot FROM device WHERE counts_from = 4294967295

-- name: admitted
-- By one maker.
SELECT admitted FROM maker WHERE maker_id = ?

-- name: count_admitted
-- One more.
INSERT INTO maker (maker_id, admitted) VALUES (?, 1) ON CONFLICT DO UPDATE SET admitted = admitted + 1

-- name: code
-- What a code is good for still.
SELECT digest, uses, ends_at FROM code WHERE digest = ?

-- name: use_code
-- Within the transaction that read it.
UPDATE code SET uses = uses - 1 WHERE digest = ?

-- name: add_code
-- A new one.
INSERT INTO code (digest, uses, ends_at) VALUES (?, ?, ?)

-- name: drop_codes
-- What admits nobody any more.
DELETE FROM code WHERE uses = 0 OR ends_at <= ?

-- name: identity
-- Whose sums these are; no row as long as nobody said so.
SELECT shard_id, key_mark FROM identity

-- name: set_identity
-- For good.
INSERT INTO identity (shard_id, key_mark) VALUES (?, ?)

-- name: devices
-- Those of one tick, by number.
SELECT slot, device_id, counts_from, incarnation, version, seen_day, contributed, retracted, horizon, mark_day,
    mark_version
FROM device WHERE slot IN (SELECT value FROM json_each(?))

-- name: move
-- Within the transaction that read where the device stood, and that holds the write lock.
UPDATE device SET incarnation = ?2, version = ?3, seen_day = ?4, contributed = ?5, retracted = ?6, horizon = ?7,
    mark_day = ?8, mark_version = ?9
WHERE slot = ?1

-- name: add_journal
-- A tick.
INSERT INTO journal (day, samples, told) VALUES (?, ?, ?)

-- name: waiting
-- How many samples of so many bytes it holds.
SELECT coalesce(sum(length(samples)), 0) / ? FROM journal

-- name: has_journal
-- Whether a fold has anything to do.
SELECT EXISTS (SELECT 1 FROM journal)

-- name: journal
-- In order of ticks.
SELECT id, day, samples, told FROM journal ORDER BY id

-- name: drop_journal
-- Within the transaction that added it up.
DELETE FROM journal WHERE id IN (SELECT value FROM json_each(?))

-- name: sums
-- Some rows by key, with the households, samples and day that stand shown: households 0 where none do yet, -1 where
-- none do any more.
SELECT s.key, s.samples, s.success_milli, s.households, s.theta, s.tags, s.day, s.trends, s.since,
    CASE v.households WHEN 0 THEN -1 ELSE ifnull(v.households, 0) END, ifnull(v.samples, 0), ifnull(v.day, 0)
FROM sums AS s LEFT JOIN shown AS v USING (key) WHERE s.key IN (SELECT value FROM json_each(?))

-- name: put_sums
-- Replaces the row.
INSERT INTO sums (key, samples, success_milli, households, theta, tags, day, trends, since)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET samples = excluded.samples, success_milli = excluded.success_milli,
    households = excluded.households, theta = excluded.theta, tags = excluded.tags, day = excluded.day,
    trends = excluded.trends, since = excluded.since

-- name: put_shown
-- Replaces what may be shown.
INSERT INTO shown (key, samples, success_milli, households, day, trends, rank) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET samples = excluded.samples, success_milli = excluded.success_milli,
    households = excluded.households, day = excluded.day, trends = excluded.trends, rank = excluded.rank

-- name: add_bucket
-- Nothing falls below 0.
INSERT INTO bucket (day, key, samples, success_milli) VALUES (?1, ?2, max(?3, 0), max(?4, 0))
ON CONFLICT DO UPDATE SET samples = max(samples + ?3, 0), success_milli = max(success_milli + ?4, 0)

-- name: drop_buckets
-- Days that are over.
DELETE FROM bucket WHERE day <= ?

-- name: buckets
-- The days of one title and context.
SELECT day, samples, success_milli FROM bucket WHERE key = ? AND samples > 0 ORDER BY day

-- name: audiences
-- Some titles' audiences.
SELECT title, day, numbers FROM audience WHERE title IN (SELECT value FROM json_each(?))

-- name: put_audience
-- Replaces the row.
INSERT INTO audience (title, day, numbers) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET day = excluded.day, numbers = excluded.numbers

-- name: aggregates
-- Everything, with what may be shown of it; -8 >> 4 is -1, as a title known by hash needs it.
SELECT s.key >> 4, s.key & 15, s.samples, s.success_milli, s.households, s.day, s.trends,
    v.samples, v.success_milli, v.households, v.day, v.trends
FROM sums AS s LEFT JOIN shown AS v ON v.key = s.key AND v.rank IS NOT NULL ORDER BY 1, 2

-- name: sums_between
-- The rows of some titles, from the first to before the last.
SELECT key, samples, success_milli, households, day, trends, since FROM sums
WHERE key >= ?1 * 16 AND key < ?2 * 16 ORDER BY key

-- name: audiences_between
-- The same titles' audiences.
SELECT title, day, numbers FROM audience WHERE title >= ?1 AND title < ?2 ORDER BY title

-- name: trending
-- The catalog's titles in all contexts, down the index.
SELECT key >> 4, key & 15, samples, success_milli, households, day, trends FROM shown
WHERE rank IS NOT NULL AND key & 15 = 8 AND key BETWEEN 0 AND ?2 * 16 - 1 ORDER BY rank DESC, key LIMIT ?1

-- name: successful
-- The catalog's titles by context, posterior rates with a Beta(1, 1) prior.
SELECT key >> 4, key & 15, samples, success_milli, households, day, trends FROM shown
WHERE rank IS NOT NULL AND key & 15 < 8 AND key >= 0 AND (1.0 + success_milli / 1000.0) / (2.0 + samples) >= ?2
ORDER BY rank DESC, key LIMIT ?1

-- name: shown_of
-- One title by context, all of them last.
SELECT key >> 4, key & 15, samples, success_milli, households, day, trends FROM shown
WHERE rank IS NOT NULL AND key BETWEEN ?1 * 16 AND ?1 * 16 + 15 ORDER BY key

-- name: shown_totals
-- The catalog's titles in all contexts, along the index of those that may be shown.
SELECT count(*), ifnull(sum(samples), 0) FROM shown WHERE rank IS NOT NULL AND key & 15 = 8 AND key >= 0

-- name: hidden
-- Titles that lost their households.
SELECT key >> 4 FROM shown WHERE rank IS NULL AND day >= ? AND key & 15 = 8 AND key >= 0 ORDER BY key

-- name: keys_of
-- The rows of one title.
SELECT key FROM sums WHERE key BETWEEN ?1 * 16 AND ?1 * 16 + 15

-- name: move_buckets
-- Adds a title's days to another's.
INSERT INTO bucket (day, key, samples, success_milli)
SELECT day, key - ?2 * 16 + ?3 * 16, samples, success_milli FROM bucket
WHERE key IN (SELECT value FROM json_each(?1))
ON CONFLICT DO UPDATE SET samples = samples + excluded.samples, success_milli = success_milli + excluded.success_milli

-- name: drop_sums
-- Once all of a title was added to another's.
DELETE FROM sums WHERE key IN (SELECT value FROM json_each(?))

-- name: drop_shown
-- The same.
DELETE FROM shown WHERE key IN (SELECT value FROM json_each(?))

-- name: drop_title_buckets
-- The same.
DELETE FROM bucket WHERE key IN (SELECT value FROM json_each(?))

-- name: drop_audience
-- The same.
DELETE FROM audience WHERE title = ?

-- name: unknown_titles
-- Those that are known by hash alone.
SELECT DISTINCT key >> 4 FROM sums WHERE key < 0

-- name: empty_log
-- The log names what came together in one commit.
PRAGMA wal_checkpoint(TRUNCATE)

-- name: has_due
-- Whether any title's place among audiences is to be looked at again.
SELECT EXISTS (SELECT 1 FROM due)

-- name: add_due
-- Titles whose shown figures were replaced and go well.
INSERT INTO due (title) VALUES (?) ON CONFLICT DO NOTHING

-- name: drop_due
-- The same, when they don't.
DELETE FROM due WHERE title IN (SELECT value FROM json_each(?))

-- name: take_due
-- Some of them, within the transaction that looks at them.
DELETE FROM due WHERE title IN (SELECT title FROM due ORDER BY title LIMIT ?) RETURNING title

-- name: tell
-- Replaces the row.
INSERT INTO likeness (title, good, direction) VALUES (?, TRUE, ?)
ON CONFLICT DO UPDATE SET good = TRUE, direction = excluded.direction

-- name: untell
-- What may be told no more.
UPDATE likeness SET good = FALSE WHERE title IN (SELECT value FROM json_each(?)) AND good

-- name: likeness
-- All that may be told.
SELECT title, direction FROM likeness WHERE good

-- name: shown
-- Some rows by key.
SELECT key >> 4, key & 15, samples, success_milli, households, day, trends FROM shown
WHERE rank IS NOT NULL AND key IN (SELECT value FROM json_each(?))

-- name: add_trials
-- To what other households told of the same arm and day.
INSERT INTO trial (experiment, arm, day, households, watched, chosen, minutes, watched_squares, chosen_squares, minutes_squares)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET households = households + excluded.households,
    watched = watched + excluded.watched,
    chosen = chosen + excluded.chosen,
    minutes = minutes + excluded.minutes,
    watched_squares = watched_squares + excluded.watched_squares,
    chosen_squares = chosen_squares + excluded.chosen_squares,
    minutes_squares = minutes_squares + excluded.minutes_squares

-- name: take_trials
-- What no row holds was never counted here.
UPDATE trial SET households = max(households - ?4, 0),
    watched = max(watched - ?5, 0),
    chosen = max(chosen - ?6, 0),
    minutes = max(minutes - ?7, 0),
    watched_squares = max(watched_squares - ?8, 0),
    chosen_squares = max(chosen_squares - ?9, 0),
    minutes_squares = max(minutes_squares - ?10, 0)
WHERE experiment = ?1 AND arm = ?2 AND day = ?3

-- name: trials
-- All that are left.
SELECT experiment, arm, day, households, watched, chosen, minutes, watched_squares, chosen_squares, minutes_squares
FROM trial WHERE households > 0 ORDER BY experiment, day, arm

-- name: drop_trials
-- Days that are over.
DELETE FROM trial WHERE day <= ?
