CREATE TABLE successor (key bytea, successor bytea, body bytea NOT NULL, PRIMARY KEY (key, successor));
CREATE INDEX successor_of ON successor (successor);
