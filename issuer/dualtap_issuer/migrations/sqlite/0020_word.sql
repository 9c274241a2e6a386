CREATE TABLE word (wallet BLOB, id BLOB, key BLOB NOT NULL, PRIMARY KEY (wallet, id)) WITHOUT ROWID;
CREATE INDEX word_key ON word (key);
