-- What 0003 added; all of it follows from the sums.

DROP TABLE likeness, due;
