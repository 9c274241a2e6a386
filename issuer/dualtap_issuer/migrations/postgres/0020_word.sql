CREATE TABLE word (wallet bytea, id bytea, key bytea NOT NULL, PRIMARY KEY (wallet, id));
CREATE INDEX word_key ON word (key);
