CREATE TABLE payout (token bytea, holder bytea, epoch bigint NOT NULL, fresh bytea NOT NULL, PRIMARY KEY (token, holder));
CREATE INDEX leaf_holder ON leaf (holder);
