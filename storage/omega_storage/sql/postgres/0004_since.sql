-- Who came or went since a row's shown figures were replaced: what many watch is shown anew by three of them.

ALTER TABLE sums ADD COLUMN since bytea NOT NULL -- 4 unsigned 4-byte integers: 4 x how often they were replaced, plus
    DEFAULT '\x00000000000000000000000000000000'; -- how many tags follow, up to 3
