CREATE TABLE renewal (transfer bytea PRIMARY KEY);
