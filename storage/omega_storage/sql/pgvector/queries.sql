-- Every {table}, {columns} and so on is filled in by pgvector_table.py from names that were checked.

-- name: reach
-- The extension's version, if the database has it; its schema joins those that this session looks into.
SELECT e.extversion, CASE WHEN n.nspname = ANY(current_schemas(TRUE)) THEN NULL ELSE
    set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), quote_ident(n.nspname)), FALSE) END
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'vector'

-- name: tune
-- For this session: how many rows a search down an index holds in view, and that it goes on until it has enough.
SELECT set_config('hnsw.ef_search', $1, FALSE), set_config('hnsw.iterative_scan', 'strict_order', FALSE)

-- name: lock
-- Until the transaction ends; the numbers of these locks begin with "OMGS".
SELECT pg_advisory_xact_lock(1330464595, 3)

-- name: home
-- Where an extension is to stand.
SELECT quote_ident(coalesce((SELECT nspname FROM pg_namespace WHERE nspname = 'public'), current_schema()))

-- name: make
-- Many servers let superusers alone do so.
CREATE EXTENSION vector SCHEMA {home}

-- name: create
-- Under the lock, so that two sessions don't both make it.
CREATE TABLE IF NOT EXISTS "{table}" (id bigint PRIMARY KEY, vector vector({dimensions}) NOT NULL{typed_columns})

-- name: definition
-- The columns and their types, in order.
SELECT a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.relname = $1 AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: upsert
-- Replaces the row.
INSERT INTO "{table}" (id, vector{columns}) VALUES ($1, $2{marks})
ON CONFLICT (id) DO UPDATE SET vector = excluded.vector{assignments}

-- name: nearest
-- By inner product, which orders unit vectors as cosine does, over all rows that the filter leaves: no index, so exact.
SELECT id, vector FROM "{table}" WHERE TRUE{where} ORDER BY vector <#> $1, id LIMIT $2

-- name: count
-- With a filter it reads every row's attributes.
SELECT count(*) FROM "{table}" WHERE TRUE{where}

-- name: delete
-- By id.
DELETE FROM "{table}" WHERE id = ANY($1)

-- name: rewrite
-- Into a new file, and the old one is removed; what it says tells whether another session still needed removed rows.
VACUUM (FULL, VERBOSE) "{table}"

-- name: patience
-- For this session: a rewrite takes its time.
SELECT set_config('statement_timeout', $1, FALSE)
