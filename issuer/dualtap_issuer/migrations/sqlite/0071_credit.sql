CREATE TABLE credited (transfer BLOB, number INTEGER, token BLOB NOT NULL, key BLOB NOT NULL, amount INTEGER NOT NULL,
    epoch INTEGER NOT NULL, PRIMARY KEY (transfer, number)) WITHOUT ROWID;
INSERT INTO credited SELECT transfer, number, token, key, amount, epoch FROM credit;
DROP TABLE credit;
ALTER TABLE credited RENAME TO credit;
