-- Indexes for what is told, and room in each page: a row that finds its next version beside it touches no index.

CREATE INDEX device_revoked ON device (slot) WHERE counts_from = 4294967295;
CREATE INDEX shown_title ON shown (rank DESC, key) WHERE rank IS NOT NULL AND key & 15 = 8;
CREATE INDEX shown_pattern ON shown (rank DESC, key) WHERE rank IS NOT NULL AND key & 15 < 8;
CREATE INDEX shown_hidden ON shown (day) WHERE rank IS NULL;
CREATE INDEX bucket_key ON bucket (key, day);

ALTER TABLE device SET (fillfactor = 80);
ALTER TABLE sums SET (fillfactor = 50);
ALTER TABLE bucket SET (fillfactor = 70);
ALTER TABLE audience SET (fillfactor = 70);
