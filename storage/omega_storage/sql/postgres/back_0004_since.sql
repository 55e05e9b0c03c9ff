-- What 0004 added; shown figures are replaced a little later without it.

ALTER TABLE sums DROP COLUMN since;
