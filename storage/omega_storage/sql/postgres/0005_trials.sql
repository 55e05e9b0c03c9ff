-- What households' days in the arms of experiments came to. No device, no title.

CREATE TABLE trial (
    experiment      bigint NOT NULL,
    arm             bigint NOT NULL,
    day             bigint NOT NULL,
    households      bigint NOT NULL,
    watched         bigint NOT NULL,
    chosen          bigint NOT NULL,
    minutes         bigint NOT NULL,
    watched_squares bigint NOT NULL,
    chosen_squares  bigint NOT NULL,
    minutes_squares bigint NOT NULL,
    PRIMARY KEY (experiment, arm, day)
);
