-- name: checked_tables
-- The tables with a column of this name.
SELECT m.name FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS c ON c.name = ? WHERE m.type = 'table'

-- name: rows
-- All of one.
SELECT * FROM "{table}"

-- name: columns
-- In order of declaration; pk is the place in the primary key, 0 for none; the default is SQL.
SELECT name, type, pk, ifnull(dflt_value, 'NULL') FROM pragma_table_xinfo(?)

-- name: default
-- What a column holds in rows that are older than it.
SELECT {default}

-- name: without_rowid
-- 1 for a table whose rows lie in the b-tree of its primary key.
SELECT wr FROM pragma_table_list(?)

-- name: count
-- How many rows one has.
SELECT count(*) FROM "{table}"

-- name: add
-- A row whose key is there already is refused, as is one that breaks a constraint.
INSERT INTO "{table}" ({columns}) VALUES ({marks})

-- name: quick
-- 1 ms a MB: structure, not whether indexes agree with their tables.
PRAGMA quick_check(1)

-- name: whole
-- 2 ms a MB: structure, and indexes against tables.
PRAGMA integrity_check(1)
