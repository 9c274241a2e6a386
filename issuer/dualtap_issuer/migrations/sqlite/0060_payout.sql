CREATE TABLE payout (token BLOB, holder BLOB, epoch INTEGER NOT NULL, fresh BLOB NOT NULL, PRIMARY KEY (token, holder)) WITHOUT ROWID;
CREATE INDEX leaf_holder ON leaf (holder);
