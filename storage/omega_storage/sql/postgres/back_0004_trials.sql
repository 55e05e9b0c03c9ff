-- What 0004 added; what experiments came to is lost, nothing that TVs go by.

DROP TABLE trial;
