-- name: note
-- A small value under a name.
SELECT value FROM meta WHERE key = ?

-- name: set_note
-- The newest holds.
INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: drop_note
-- Nothing happens where there is none.
DELETE FROM meta WHERE key = ?

-- name: space
-- That of the vectors; nothing comes back as long as there are none.
SELECT value FROM meta WHERE key = 'space' AND EXISTS (SELECT 1 FROM title)

-- name: title
-- Its row id, kind and, if it is local, JSON.
SELECT id, kind, local FROM title WHERE content_id = ?

-- name: add_title
-- With its first event.
INSERT INTO title (content_id, kind, local, checksum) VALUES (?, ?, ?, ?) RETURNING id

-- name: set_title
-- The newest name of a local title holds; a published one is local no more.
UPDATE title SET kind = ?, local = ?, checksum = ? WHERE id = ?

-- name: titles
-- All that were ever watched.
SELECT content_id, local FROM title ORDER BY id

-- name: title_ids
-- Their row ids.
SELECT content_id, id FROM title ORDER BY id

-- name: add_event
-- Nothing comes back when the same event was told before.
INSERT INTO event
    (title_id, at, slot, watched_milli, season, episode, profile_id, engagement_milli, offered, shared, checksum)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT DO NOTHING RETURNING id

-- name: add_drawn
-- An event whose title chance had put into a list.
INSERT INTO drawn (event_id, propensity) VALUES (?, ?)

-- name: told_before
-- The event that has the same identity.
SELECT id, slot, watched_milli, engagement_milli FROM event
WHERE title_id = ? AND at = ? AND profile_id = ? AND ifnull(season, -1) = ifnull(?, -1)
    AND ifnull(episode, -1) = ifnull(?, -1)

-- name: correct_event
-- The later report holds.
UPDATE event SET watched_milli = ?, engagement_milli = ?, checksum = ? WHERE id = ?

-- name: told
-- One event as it is kept, without id and checksum.
SELECT title_id, at, slot, watched_milli, season, episode, profile_id, engagement_milli, offered, shared
FROM event WHERE id = ?

-- name: unchecked
-- Events of an older schema, as `told` gives one, with their ids.
SELECT id, title_id, at, slot, watched_milli, season, episode, profile_id, engagement_milli, offered, shared FROM event

-- name: set_checksum
-- When a row was written by a migration.
UPDATE event SET checksum = ? WHERE id = ?

-- name: unchecked_titles
-- Those of an older schema, likewise.
SELECT id, content_id, kind, local FROM title

-- name: set_title_checksum
-- As `set_checksum`.
UPDATE title SET checksum = ? WHERE id = ?

-- name: correct_pattern
-- By the difference of the two reports.
UPDATE pattern SET success_milli = success_milli + ? WHERE id = ?

-- name: correct_contribution
-- What has left the TV stays as it is.
UPDATE contribution SET success_milli = ? WHERE event_id = ? AND version IS NULL

-- name: set_watched
-- Keeps the summary as Watched.after does: events may come late, and what was finished stays so.
INSERT INTO watched (title_id, profile_id, at, slot, watched_milli, season, episode, best_milli)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?5)
ON CONFLICT (title_id, profile_id) DO UPDATE SET
    best_milli = max(best_milli, excluded.best_milli),
    at = max(at, excluded.at),
    slot = iif(excluded.at >= at, excluded.slot, slot),
    watched_milli = iif(excluded.at >= at, excluded.watched_milli, watched_milli),
    season = iif(excluded.at >= at, excluded.season, season),
    episode = iif(excluded.at >= at, excluded.episode, episode)

-- name: add_to_pattern
-- One sample more; the dates widen, since events may come late.
UPDATE pattern SET sample_count = sample_count + 1, success_milli = success_milli + ?1,
    created_at = min(created_at, ?2), updated_at = max(updated_at, ?2) WHERE id = ?3

-- name: begin_pattern
-- Of all its events: a pattern that was pruned may have kept some.
INSERT INTO pattern (id, title_id, slot, profile_id, sample_count, success_milli, created_at, updated_at, length)
SELECT ?1, title_id, slot, profile_id, count(*), sum(watched_milli), min(at), max(at), ?2 FROM event
WHERE title_id = ?3 AND slot = ?4 AND profile_id = ?5 GROUP BY title_id

-- name: pattern
-- One row, with what a search filters by.
SELECT p.id, t.content_id, p.slot, p.sample_count, p.success_milli, p.created_at, p.updated_at, p.profile_id,
    p.title_id, t.kind, p.length
FROM pattern AS p JOIN title AS t ON t.id = p.title_id WHERE p.id = ?

-- name: patterns
-- All of them, by id, as `pattern` gives one.
SELECT p.id, t.content_id, p.slot, p.sample_count, p.success_milli, p.created_at, p.updated_at, p.profile_id,
    p.title_id, t.kind, p.length
FROM pattern AS p JOIN title AS t ON t.id = p.title_id ORDER BY p.id

-- name: nearest
-- sqlite-vec's own products, one a title. {where} is filled in with checked columns; ?2 are the contexts' products.
WITH by_title AS MATERIALIZED (SELECT id, 1 - vec_distance_cosine(vector, ?1) AS product FROM title_vector)
SELECT p.id, t.content_id, p.slot, p.sample_count, p.success_milli, p.created_at, p.updated_at, p.profile_id,
    p.title_id, t.kind, p.length
FROM pattern AS p JOIN by_title AS b ON b.id = p.title_id JOIN title AS t ON t.id = p.title_id
WHERE TRUE{where}
ORDER BY (b.product + json_extract(?2, '$[' || p.slot || ']')) / p.length DESC, p.id LIMIT ?3

-- name: set_length
-- When the vectors were replaced.
UPDATE pattern SET length = ? WHERE id = ?

-- name: has_vectors
-- A store that nothing was bound to has no table of them.
SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'title_vector')

-- name: title_vectors
-- Their bytes, in any order.
SELECT vector FROM title_vector

-- name: without_length
-- Patterns that were derived anew.
SELECT id, title_id, slot FROM pattern WHERE length = 0

-- name: events
-- The newest first; a limit of -1 is none. {where} is filled in with the columns that are asked for.
SELECT t.content_id, e.at, e.slot, e.watched_milli, e.season, e.episode, e.profile_id, e.engagement_milli, e.offered,
    e.shared, d.propensity
FROM event AS e JOIN title AS t ON t.id = e.title_id LEFT JOIN drawn AS d ON d.event_id = e.id WHERE {where} ORDER BY e.id DESC LIMIT ?

-- name: events_after
-- In order of recording.
SELECT e.id, t.content_id, e.at, e.slot, e.watched_milli, e.season, e.episode, e.profile_id,
    e.engagement_milli, e.offered, e.shared, d.propensity
FROM event AS e JOIN title AS t ON t.id = e.title_id LEFT JOIN drawn AS d ON d.event_id = e.id WHERE e.id > ? ORDER BY e.id LIMIT ?

-- name: watched
-- One row a title and profile.
SELECT t.content_id, w.profile_id, w.at, w.slot, w.watched_milli, w.season, w.episode, w.best_milli
FROM watched AS w JOIN title AS t ON t.id = w.title_id ORDER BY t.id, w.profile_id

-- name: watched_count
-- How many titles and profiles are summed up: none as long as nothing was derived.
SELECT count(*) FROM watched

-- name: event_count
-- How many events there are.
SELECT count(*) FROM event

-- name: pattern_count
-- How many patterns there are.
SELECT count(*) FROM pattern

-- name: skills
-- All sums.
SELECT profile_id, day, time, facet, count, finished, episodes, successes, rewards, uses, last_at FROM skill
ORDER BY profile_id, day, time, facet

-- name: set_skill
-- In the place of the same.
INSERT OR REPLACE INTO skill
    (profile_id, day, time, facet, count, finished, episodes, successes, rewards, uses, last_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: drop_skill
-- One that faded.
DELETE FROM skill WHERE profile_id = ? AND day = ? AND time = ? AND facet = ?

-- name: drop_skills
-- All, to be made again from the events that are left.
DELETE FROM skill;
DELETE FROM meta WHERE key = 'consolidated'

-- name: profiles
-- In order of their making.
SELECT id, name, age FROM profile ORDER BY id

-- name: set_profile
-- The newest age limit holds.
INSERT INTO profile (name, age) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET age = excluded.age
RETURNING id, name, age

-- name: drop_profiles
-- One, or with NULL all.
DELETE FROM profile WHERE ?1 IS NULL OR id = ?1

-- name: begin_forgetting
-- The events and titles that a selection names; a title also when events that were pruned may have lain in the period.
CREATE TEMP TABLE doomed_event AS SELECT e.id, e.title_id FROM event AS e JOIN title AS t ON t.id = e.title_id
WHERE (:content_id IS NULL OR t.content_id = :content_id) AND (:profile IS NULL OR e.profile_id = :profile)
    AND (:since IS NULL OR e.at >= :since) AND (:until IS NULL OR e.at < :until);
CREATE TEMP TABLE doomed_title AS SELECT title_id AS id FROM doomed_event UNION
SELECT p.title_id FROM pattern AS p JOIN title AS t ON t.id = p.title_id
WHERE (:content_id IS NULL OR t.content_id = :content_id) AND (:profile IS NULL OR p.profile_id = :profile)
    AND (:since IS NULL OR p.updated_at >= :since) AND (:until IS NULL OR p.created_at < :until)
    AND p.sample_count > (
        SELECT count(*) FROM event AS e
        WHERE e.title_id = p.title_id AND e.slot = p.slot AND e.profile_id = p.profile_id)

-- name: doomed_titles
-- What the ledger knows by a hash.
SELECT content_id FROM title WHERE id IN (SELECT id FROM temp.doomed_title)

-- name: retract
-- What has left the TV is to be taken back, what waits is dropped by `drop_queued`.
UPDATE contribution SET retract = 1, event_id = NULL
WHERE version IS NOT NULL AND event_id IN (SELECT id FROM temp.doomed_event)

-- name: drop_queued
-- Nothing has left the TV.
DELETE FROM contribution WHERE version IS NULL AND event_id IN (SELECT id FROM temp.doomed_event)

-- name: retract_pruned
-- The same for events of a title that were pruned, since nobody knows any more which of them are meant.
UPDATE contribution SET retract = 1, event_id = NULL
WHERE version IS NOT NULL AND title_key = ? AND event_id NOT IN (SELECT id FROM event)

-- name: drop_pruned
-- As `drop_queued`.
DELETE FROM contribution WHERE version IS NULL AND title_key = ? AND event_id NOT IN (SELECT id FROM event)

-- name: forget_events
-- The rows are overwritten (secure_delete).
DELETE FROM event WHERE id IN (SELECT id FROM temp.doomed_event)

-- name: forget_derived
-- What is left of these titles is derived anew.
DELETE FROM pattern WHERE title_id IN (SELECT id FROM temp.doomed_title);
DELETE FROM watched WHERE title_id IN (SELECT id FROM temp.doomed_title)

-- name: derive_watched
-- The last event by time, then by recording, and the most that was watched. {which} names the titles.
INSERT INTO watched (title_id, profile_id, at, slot, watched_milli, season, episode, best_milli)
SELECT title_id, profile_id, at, slot, watched_milli, season, episode, best_milli FROM (
    SELECT *, row_number() OVER (PARTITION BY title_id, profile_id ORDER BY at DESC, id DESC) AS place,
        max(watched_milli) OVER (PARTITION BY title_id, profile_id) AS best_milli
    FROM event WHERE title_id IN ({which})
) WHERE place = 1

-- name: summed
-- What patterns are made of. {which} names the titles.
SELECT t.content_id, e.title_id, e.slot, e.profile_id, count(*), sum(e.watched_milli), min(e.at), max(e.at)
FROM event AS e JOIN title AS t ON t.id = e.title_id WHERE e.title_id IN ({which})
GROUP BY e.title_id, e.slot, e.profile_id

-- name: add_pattern
-- Whole, when it is derived.
INSERT INTO pattern (id, title_id, slot, profile_id, sample_count, success_milli, created_at, updated_at, length)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: empty_titles
-- Titles of which nothing is left.
SELECT id FROM title WHERE id NOT IN (SELECT title_id FROM event) AND id NOT IN (SELECT title_id FROM pattern)
    AND id NOT IN (SELECT title_id FROM watched)

-- name: drop_nameless
-- Events whose title was on a page that can't be read: nobody can say what they were about.
DELETE FROM event WHERE title_id NOT IN (SELECT id FROM title)

-- name: keep_counting
-- No event to come may have the id of one that was lost: the ledger may still name that.
DELETE FROM sqlite_sequence WHERE name = 'event';
INSERT INTO sqlite_sequence (name, seq) SELECT 'event', max(
    ifnull((SELECT max(id) FROM event), 0), ifnull((SELECT max(event_id) FROM contribution), 0))

-- name: drop_title
-- Its vector goes with it.
DELETE FROM title WHERE id = ?

-- name: end_forgetting
-- Both live in memory alone.
DROP TABLE temp.doomed_event;
DROP TABLE temp.doomed_title

-- name: prune_events
-- The oldest, by order of recording; what they added up to stays. What `watched` says of a title and profile follows from
-- two events, its last and its best, which are kept.
DELETE FROM event WHERE id <= (SELECT id FROM event ORDER BY id DESC LIMIT 1 OFFSET ?) AND id NOT IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY title_id, profile_id ORDER BY at DESC, id DESC) AS last,
            row_number() OVER (PARTITION BY title_id, profile_id ORDER BY watched_milli DESC, id DESC) AS best
        FROM event)
    WHERE last = 1 OR best = 1)

-- name: prune_patterns
-- Those that were longest without an event.
DELETE FROM pattern WHERE id IN (SELECT id FROM pattern ORDER BY updated_at DESC, id LIMIT -1 OFFSET ?)

-- name: contributed
-- Whether the title was contributed in this context on this day already.
SELECT EXISTS (SELECT 1 FROM contribution WHERE title_key = ? AND slot = ? AND day = ?)

-- name: tried
-- Whether an experiment's day has a line already.
SELECT EXISTS (SELECT 1 FROM contribution WHERE title_key = ? AND day = ?)

-- name: retract_trials
-- Days of experiments that anything is forgotten of, one more or less for the time zone; with ?1 all. They have left.
UPDATE contribution SET retract = 1
WHERE title_key < 0 AND version IS NOT NULL AND NOT retract AND (?1 OR EXISTS (
    SELECT 1 FROM event AS e WHERE e.id IN (SELECT id FROM temp.doomed_event) AND abs(e.at / 86400 - day) <= 1))

-- name: drop_trials
-- The same that haven't.
DELETE FROM contribution
WHERE title_key < 0 AND version IS NULL AND (?1 OR EXISTS (
    SELECT 1 FROM event AS e WHERE e.id IN (SELECT id FROM temp.doomed_event) AND abs(e.at / 86400 - day) <= 1))

-- name: queue
-- Waits for its first frame.
INSERT INTO contribution (event_id, title_key, slot, day, success_milli, taste) VALUES (?, ?, ?, ?, ?, ?)

-- name: ledger_counts
-- Queued, unacknowledged, acknowledged, retractions.
SELECT count(*) FILTER (WHERE version IS NULL),
    count(*) FILTER (WHERE version IS NOT NULL AND NOT acknowledged AND NOT retract),
    count(*) FILTER (WHERE acknowledged AND NOT retract),
    count(*) FILTER (WHERE retract = 1)
FROM contribution

-- name: bound
-- The rows of one version.
SELECT id, title_key, slot, day, success_milli, taste, retracted_in IS ?3 FROM contribution
WHERE shard = ?1 AND incarnation = ?2 AND (version = ?3 OR retracted_in = ?3) ORDER BY id

-- name: bound_after
-- The versions after one, for a shard that was restored from a backup; none that is settled.
SELECT version FROM contribution WHERE shard = ?1 AND incarnation = ?2 AND version > ?3 AND acknowledged < 2
UNION SELECT retracted_in FROM contribution WHERE shard = ?1 AND incarnation = ?2 AND retracted_in > ?3 ORDER BY 1

-- name: waiting
-- What bind_retractions and then, with ?4, bind_queued would take, in their order.
SELECT id, title_key, slot, day, success_milli, taste, version IS NOT NULL FROM contribution
WHERE (retract AND retracted_in IS NULL AND shard = ?1 AND incarnation = ?2) OR (?4 AND version IS NULL)
ORDER BY version IS NULL, iif(version IS NULL, -day, 0), id LIMIT ?3

-- name: bind_retractions
-- What was counted and is to be taken back, before anything new.
UPDATE contribution SET retracted_in = ?3 WHERE id IN (
    SELECT id FROM contribution
    WHERE retract AND retracted_in IS NULL AND shard = ?1 AND incarnation = ?2 ORDER BY id LIMIT ?4)

-- name: bind_queued
-- The newest day first: a shard's trends halve within days, so that an old sample tells them little.
UPDATE contribution SET shard = ?1, incarnation = ?2, version = ?3 WHERE id IN (
    SELECT id FROM contribution WHERE version IS NULL ORDER BY day DESC, id LIMIT ?4)

-- name: acknowledge
-- Everything up to a version is counted.
UPDATE contribution SET acknowledged = 1 WHERE shard = ?1 AND incarnation = ?2 AND version <= ?3 AND NOT acknowledged

-- name: acknowledge_retractions
-- Everything up to a version is taken back.
UPDATE contribution SET retract = 2 WHERE shard = ?1 AND incarnation = ?2 AND retracted_in <= ?3

-- name: settle
-- 2 is settled: no backup of the shard is older, so that it will not have to be told again. The row stays, since its
-- event may be forgotten, and says that this day's sample of the title and context was given.
UPDATE contribution SET acknowledged = 2 WHERE shard = ?1 AND incarnation = ?2 AND version <= ?3 AND acknowledged

-- name: drop_before
-- Given and taken back, and no backup of the shard is older than either.
DELETE FROM contribution WHERE shard = ?1 AND incarnation = ?2 AND retracted_in <= ?3 AND retract = 2

-- name: shards
-- By shard: its newest incarnation, the greatest version there, and whether any row of any incarnation isn't settled.
SELECT shard, incarnation, max(max(version, ifnull(retracted_in, 0))), (
    SELECT max(acknowledged < 2 OR retract) FROM contribution AS c WHERE c.shard = contribution.shard)
FROM contribution WHERE shard IS NOT NULL AND incarnation = (
    SELECT max(incarnation) FROM contribution AS c WHERE c.shard = contribution.shard)
GROUP BY shard, incarnation ORDER BY shard

-- name: carry
-- To another incarnation, the versions as they are.
UPDATE contribution SET incarnation = ?3 WHERE shard = ?1 AND incarnation = ?2

-- name: carry_told
-- To another incarnation, as settled; a retraction that was never bound waits for a frame of the new one.
UPDATE contribution SET incarnation = ?3, version = 0, acknowledged = 2 WHERE shard = ?1 AND incarnation = ?2

-- name: carry_taken_back
-- The retractions among them that were bound.
UPDATE contribution SET retract = 2, retracted_in = 0
WHERE shard = ?1 AND incarnation = ?3 AND retracted_in IS NOT NULL

-- name: tell_queued
-- What waits counts as told, too.
UPDATE contribution SET shard = ?1, incarnation = ?3, version = 0, acknowledged = 2 WHERE version IS NULL
