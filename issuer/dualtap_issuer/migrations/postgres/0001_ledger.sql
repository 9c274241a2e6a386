CREATE TABLE fact (digest bytea PRIMARY KEY, kind integer NOT NULL, body bytea NOT NULL, epoch bigint NOT NULL);
CREATE TABLE todo (batch bytea PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE hand (id bytea PRIMARY KEY, key bytea NOT NULL, payee bytea NOT NULL, epoch bigint NOT NULL,
    commitment bytea NOT NULL);
CREATE INDEX hand_commitment ON hand (commitment);
CREATE TABLE tape (key bytea, prev bigint, ctr bigint, id bytea, PRIMARY KEY (key, prev, ctr, id));
CREATE INDEX tape_long ON tape (key, prev) WHERE ctr - prev > 64;
CREATE TABLE outcome (key bytea, request bytea, id bytea, transfer bytea NOT NULL, PRIMARY KEY (key, request, id));
CREATE TABLE asked (payee bytea, request bytea, transfer bytea, PRIMARY KEY (payee, request, transfer));
CREATE INDEX asked_by ON asked (transfer);
CREATE TABLE certified (key bytea, certificate bytea, PRIMARY KEY (key, certificate));
CREATE TABLE span (token bytea, parent bytea, side integer, place bigint, start bigint, "end" bigint, transfer bytea,
    number bigint, PRIMARY KEY (token, parent, side, place, start, "end", transfer, number));
CREATE INDEX span_of ON span (transfer, number);
CREATE TABLE wait (missing bytea, transfer bytea, PRIMARY KEY (missing, transfer));
CREATE TABLE conflict (key bytea, fraud integer, first bytea, second bytea, PRIMARY KEY (key, fraud, first, second));
CREATE TABLE deposit (transfer bytea PRIMARY KEY, credited integer NOT NULL);
CREATE TABLE credit (token bytea, transfer bytea, number bigint, key bytea NOT NULL, amount bigint NOT NULL,
    epoch bigint NOT NULL, PRIMARY KEY (token, transfer, number));
CREATE TABLE settled (token bytea PRIMARY KEY, epoch bigint NOT NULL);
CREATE TABLE leaf (token bytea, start bigint, "end" bigint, holder bytea, lot integer, transfer bytea,
    PRIMARY KEY (token, start, "end", holder, lot, transfer));
CREATE TABLE delivery (owner bytea, number bigint, token bytea NOT NULL, PRIMARY KEY (owner, number));
CREATE TABLE challenge (challenge bytea PRIMARY KEY);
CREATE TABLE ordinal (number bigint PRIMARY KEY, key bytea NOT NULL UNIQUE);
CREATE TABLE policy (version bigint PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE closed (epoch bigint PRIMARY KEY);
