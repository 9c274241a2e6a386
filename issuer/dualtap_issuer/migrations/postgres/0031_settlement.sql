ALTER TABLE settled ADD COLUMN payee_cap bigint NOT NULL DEFAULT 0;
ALTER TABLE settled ADD COLUMN token_cap bigint NOT NULL DEFAULT 0;
ALTER TABLE settled ADD COLUMN bound bytea NOT NULL DEFAULT '';
ALTER TABLE settled ADD COLUMN seal bytea NOT NULL DEFAULT '';
CREATE TABLE share (token bytea, holder bytea, claim bigint NOT NULL, backed bigint NOT NULL,
    guaranteed bigint NOT NULL, PRIMARY KEY (token, holder));
CREATE TABLE liability (token bytea, key bytea, amount bigint NOT NULL, PRIMARY KEY (token, key));
CREATE INDEX fact_token ON fact (digest) WHERE kind = 1;
