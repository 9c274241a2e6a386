CREATE TABLE fact (digest BLOB PRIMARY KEY, kind INTEGER NOT NULL, body BLOB NOT NULL, epoch INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE hand (id BLOB PRIMARY KEY, key BLOB NOT NULL, payee BLOB NOT NULL, epoch INTEGER NOT NULL,
    commitment BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX hand_commitment ON hand (commitment);
CREATE TABLE tape (key BLOB, prev INTEGER, ctr INTEGER, id BLOB, PRIMARY KEY (key, prev, ctr, id)) WITHOUT ROWID;
CREATE INDEX tape_long ON tape (key, prev) WHERE ctr - prev > 64;
CREATE TABLE outcome (key BLOB, request BLOB, id BLOB, transfer BLOB NOT NULL, PRIMARY KEY (key, request, id))
    WITHOUT ROWID;
CREATE TABLE asked (payee BLOB, request BLOB, transfer BLOB, PRIMARY KEY (payee, request, transfer)) WITHOUT ROWID;
CREATE INDEX asked_by ON asked (transfer);
CREATE TABLE certified (key BLOB, certificate BLOB, PRIMARY KEY (key, certificate)) WITHOUT ROWID;
CREATE TABLE span (token BLOB, parent BLOB, side INTEGER, place INTEGER, start INTEGER, "end" INTEGER, transfer BLOB,
    number INTEGER, PRIMARY KEY (token, parent, side, place, start, "end", transfer, number)) WITHOUT ROWID;
CREATE INDEX span_of ON span (transfer, number);
CREATE TABLE wait (missing BLOB, transfer BLOB, PRIMARY KEY (missing, transfer)) WITHOUT ROWID;
CREATE TABLE conflict (key BLOB, fraud INTEGER, first BLOB, second BLOB, PRIMARY KEY (key, fraud, first, second))
    WITHOUT ROWID;
CREATE TABLE deposit (transfer BLOB PRIMARY KEY, credited INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE credit (token BLOB, transfer BLOB, number INTEGER, key BLOB NOT NULL, amount INTEGER NOT NULL,
    epoch INTEGER NOT NULL, PRIMARY KEY (token, transfer, number)) WITHOUT ROWID;
CREATE TABLE settled (token BLOB PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE leaf (token BLOB, start INTEGER, "end" INTEGER, holder BLOB, lot INTEGER, transfer BLOB,
    PRIMARY KEY (token, start, "end", holder, lot, transfer)) WITHOUT ROWID;
CREATE TABLE delivery (owner BLOB, number INTEGER, token BLOB NOT NULL, PRIMARY KEY (owner, number)) WITHOUT ROWID;
CREATE TABLE challenge (challenge BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE ordinal (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE);
CREATE TABLE policy (version INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE closed (epoch INTEGER PRIMARY KEY);
