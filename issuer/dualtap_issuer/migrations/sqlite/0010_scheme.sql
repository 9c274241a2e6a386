CREATE TABLE authority (hint BLOB, certificate BLOB, PRIMARY KEY (hint, certificate)) WITHOUT ROWID;
CREATE TABLE dated (epoch INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE party (what BLOB, name BLOB, key BLOB NOT NULL, PRIMARY KEY (what, name)) WITHOUT ROWID;
CREATE TABLE setting (name BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE counted (bank BLOB, number INTEGER, key BLOB NOT NULL, PRIMARY KEY (bank, number), UNIQUE (bank, key))
    WITHOUT ROWID;
INSERT INTO counted (bank, number, key) SELECT x'', number, key FROM ordinal;
DROP TABLE ordinal;
ALTER TABLE counted RENAME TO ordinal;
