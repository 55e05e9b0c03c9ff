-- name: space
-- The space of the vectors; no row as long as there are none.
SELECT value FROM meta WHERE key = 'space'

-- name: set_space
-- Written with the first vector, and when all vectors are replaced.
INSERT INTO meta (key, value) VALUES ('space', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: add_event
-- Events are only ever added.
INSERT INTO event (content_id, at, slot, watched_milli, season, episode) VALUES (?, ?, ?, ?, ?, ?)

-- name: set_watched
-- Keeps the summary as Watched.after does: events may come late, and what was finished stays so.
INSERT INTO watched (content_id, at, slot, watched_milli, season, episode, best_milli)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?4)
ON CONFLICT (content_id) DO UPDATE SET
    best_milli = max(best_milli, excluded.best_milli),
    at = max(at, excluded.at),
    slot = iif(excluded.at >= at, excluded.slot, slot),
    watched_milli = iif(excluded.at >= at, excluded.watched_milli, watched_milli),
    season = iif(excluded.at >= at, excluded.season, season),
    episode = iif(excluded.at >= at, excluded.episode, episode)

-- name: add_to_pattern
-- One sample more; the dates widen, since events may come late.
INSERT INTO pattern (id, content_id, slot, kind, sample_count, success_milli, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?6)
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, sample_count = sample_count + 1,
    success_milli = success_milli + excluded.success_milli, created_at = min(created_at, excluded.created_at),
    updated_at = max(updated_at, excluded.updated_at)
RETURNING id, content_id, slot, sample_count, success_milli, created_at, updated_at

-- name: set_local_title
-- The newest name wins.
INSERT INTO local_title (content_id, title) VALUES (?, ?) ON CONFLICT (content_id) DO UPDATE SET title = excluded.title

-- name: events
-- The newest first; a limit of -1 is none. {where} is filled in with the columns that are asked for.
SELECT content_id, at, slot, watched_milli, season, episode FROM event WHERE {where} ORDER BY id DESC LIMIT ?

-- name: watched
-- One row a title.
SELECT content_id, at, slot, watched_milli, season, episode, best_milli FROM watched

-- name: event_count
-- How many events there are.
SELECT count(*) FROM event

-- name: pattern_count
-- How many patterns there are.
SELECT count(*) FROM pattern

-- name: patterns
-- All of them, by id.
SELECT id, content_id, slot, sample_count, success_milli, created_at, updated_at FROM pattern ORDER BY id

-- name: patterns_by_id
-- Those in a JSON list of ids: one statement for 50 rows takes a third of 50 statements' time.
SELECT id, content_id, slot, sample_count, success_milli, created_at, updated_at
FROM pattern WHERE id IN (SELECT value FROM json_each(?))

-- name: attributes
-- What the vector of each pattern is filtered by, in the order of ATTRIBUTES.
SELECT id, slot, kind, sample_count, success_milli FROM pattern

-- name: local_titles
-- All of them.
SELECT content_id, title FROM local_title
