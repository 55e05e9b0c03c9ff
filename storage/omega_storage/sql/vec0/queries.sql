-- Every {table}, {columns} and so on is filled in by sqlite_vec.py from names that it checked.

-- name: create
-- Vectors are of unit length, so that L2 orders as cosine does, a seventh sooner.
CREATE VIRTUAL TABLE "{table}" USING vec0(id INTEGER PRIMARY KEY, vector FLOAT[{dimensions}]{typed_columns})

-- name: drop
-- Takes the shadow tables along.
DROP TABLE "{table}"

-- name: definition
-- What the table was created with, to be compared with what is asked for.
SELECT sql FROM sqlite_master WHERE name = ?

-- name: insert
-- vec0 knows no upsert: a row that is there is updated.
INSERT INTO "{table}" (vector, {columns}id) VALUES (?, {marks}?)

-- name: update
-- Keeps the row's place; a deleted place is only used again at the end of the table.
UPDATE "{table}" SET vector = ?{assignments} WHERE id = ?

-- name: update_attributes
-- Leaves the vector alone.
UPDATE "{table}" SET {some_assignments} WHERE id = ?

-- name: delete
-- vec0 overwrites the vector with zeros.
DELETE FROM "{table}" WHERE id = ?

-- name: exists
-- A look into the table of ids.
SELECT 1 FROM "{table}" WHERE id = ?

-- name: count
-- With a filter it reads every row's attributes.
SELECT count(*) FROM "{table}" WHERE TRUE{where}

-- name: vector
-- One vector as 4-byte floats.
SELECT vector FROM "{table}" WHERE id = ?

-- name: nearest
-- vec0's own scan, filter first; it takes k up to 4,096 and can't order ties.
SELECT id, vector FROM "{table}" WHERE vector MATCH ? AND k = ?{where}

-- name: nearest_of_many
-- The same by sorting all rows, for any k.
SELECT id, vector FROM "{table}" WHERE TRUE{where} ORDER BY vec_distance_L2(vector, ?), id LIMIT ?

-- name: rows
-- Everything, through the public columns.
SELECT id, vector{more_columns} FROM "{table}"

-- name: row
-- One row, through the public columns.
SELECT vector{more_columns} FROM "{table}" WHERE id = ?

-- name: chunks
-- Everything, as vec0 0.1.9 lays it out: 1,024 rows a blob, a bit for each that is taken; 12 times as fast.
SELECT c.validity, c.rowids, v.vectors{chunk_columns}
FROM "{table}_chunks" AS c JOIN "{table}_vector_chunks00" AS v ON v.rowid = c.chunk_id{chunk_joins}

-- name: stash
-- First half of a rebuild: deleted rows leave holes that VACUUM doesn't see.
CREATE TEMP TABLE omega_stash AS SELECT vector, {columns}id FROM "{table}"

-- name: unstash
-- Second half of a rebuild.
INSERT INTO "{table}" (vector, {columns}id) SELECT vector, {columns}id FROM temp.omega_stash

-- name: drop_stash
-- Ends a rebuild.
DROP TABLE temp.omega_stash
