-- Whose audiences are alike: a copy for a search, made when a title's shown figures are replaced.

CREATE TABLE likeness (
    title     bigint PRIMARY KEY,
    good      boolean NOT NULL, -- it goes well, and enough households and taste codes say so
    direction real[] NOT NULL -- 44 numbers of length 1; an index by pgvector, where there is one, is on them
);

-- Titles that are to enter it, or move in it.
CREATE TABLE due (title bigint PRIMARY KEY);

INSERT INTO due (title) SELECT key >> 4 FROM shown
WHERE rank IS NOT NULL AND key >= 0 AND key & 15 = 8 AND (1 + success_milli / 1000::float8) / (2 + samples)::float8 >= 0.8;
