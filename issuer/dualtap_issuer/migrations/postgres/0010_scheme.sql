CREATE TABLE authority (hint bytea, certificate bytea, PRIMARY KEY (hint, certificate));
CREATE TABLE dated (epoch bigint PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE party (what bytea, name bytea, key bytea NOT NULL, PRIMARY KEY (what, name));
CREATE TABLE setting (name bytea PRIMARY KEY, value bytea NOT NULL);
ALTER TABLE ordinal DROP CONSTRAINT ordinal_pkey;
ALTER TABLE ordinal DROP CONSTRAINT ordinal_key_key;
ALTER TABLE ordinal ADD COLUMN bank bytea NOT NULL DEFAULT '';
ALTER TABLE ordinal ADD PRIMARY KEY (bank, number);
ALTER TABLE ordinal ADD UNIQUE (bank, key);
