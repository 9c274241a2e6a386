CREATE TABLE successor (key BLOB, successor BLOB, body BLOB NOT NULL, PRIMARY KEY (key, successor)) WITHOUT ROWID;
CREATE INDEX successor_of ON successor (successor);
