-- How probable a watched title was at its place in a list, where chance decided. Apart from `event`, whose checksums hold
-- for the columns that it has.

CREATE TABLE drawn (
    event_id   INTEGER PRIMARY KEY,
    propensity REAL NOT NULL CHECK (propensity > 0 AND propensity <= 1)
) STRICT;

-- Forgotten, pruned: nothing of an event outlives it.
CREATE TRIGGER drawn_with_its_event AFTER DELETE ON event BEGIN
    DELETE FROM drawn WHERE event_id = old.id;
END;
