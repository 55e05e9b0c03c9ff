-- Whose audiences are alike: a copy for a search, made when a title's shown figures are replaced.

CREATE TABLE likeness (
    title     INTEGER PRIMARY KEY,
    good      INTEGER NOT NULL, -- it goes well, and enough households and taste codes say so
    direction BLOB NOT NULL -- 44 floats of length 1
) STRICT;

-- Titles that are to enter it, or move in it.
CREATE TABLE due (title INTEGER PRIMARY KEY) STRICT;

INSERT INTO due (title) SELECT key >> 4 FROM shown
WHERE rank IS NOT NULL AND key >= 0 AND key & 15 = 8 AND (1.0 + success_milli / 1000.0) / (2.0 + samples) >= 0.8;
