-- Who came or went since a row's shown figures were replaced: what many watch is shown anew by three of them.

ALTER TABLE sums ADD COLUMN since BLOB NOT NULL -- 4 unsigned 4-byte integers: 4 x how often they were replaced, plus
    DEFAULT x'00000000000000000000000000000000'; -- how many tags follow, up to 3
