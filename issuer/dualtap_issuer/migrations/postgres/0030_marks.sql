CREATE TABLE mark (key bytea, fraud integer, statement bytea, PRIMARY KEY (key, fraud, statement));
INSERT INTO mark SELECT key, fraud, first FROM conflict WHERE fraud <> 4
    UNION SELECT key, fraud, second FROM conflict;
DROP TABLE conflict;
