-- What 0005 added; what experiments came to is lost, nothing that TVs go by.

DROP TABLE trial;
