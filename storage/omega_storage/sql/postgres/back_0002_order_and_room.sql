-- What 0002 added; no row is lost.

DROP INDEX device_revoked, shown_title, shown_pattern, shown_hidden, bucket_key;

ALTER TABLE device RESET (fillfactor);
ALTER TABLE sums RESET (fillfactor);
ALTER TABLE bucket RESET (fillfactor);
ALTER TABLE audience RESET (fillfactor);
