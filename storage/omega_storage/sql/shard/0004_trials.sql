-- What households' days in the arms of experiments came to. No device, no title.

CREATE TABLE trial (
    experiment      INTEGER NOT NULL,
    arm             INTEGER NOT NULL,
    day             INTEGER NOT NULL,
    households      INTEGER NOT NULL,
    watched         INTEGER NOT NULL,
    chosen          INTEGER NOT NULL,
    minutes         INTEGER NOT NULL,
    watched_squares INTEGER NOT NULL,
    chosen_squares  INTEGER NOT NULL,
    minutes_squares INTEGER NOT NULL,
    PRIMARY KEY (experiment, arm, day)
) STRICT, WITHOUT ROWID;
