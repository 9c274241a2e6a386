CREATE TABLE mark (key BLOB, fraud INTEGER, statement BLOB, PRIMARY KEY (key, fraud, statement)) WITHOUT ROWID;
INSERT INTO mark SELECT key, fraud, first FROM conflict WHERE fraud <> 4
    UNION SELECT key, fraud, second FROM conflict;
DROP TABLE conflict;
