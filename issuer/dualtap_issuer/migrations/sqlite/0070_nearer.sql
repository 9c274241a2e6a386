UPDATE fact SET digest = CAST(substr(body, 4, 16) || substr(sha256(CAST('dualtap opening' || substr(body, 4, 32) AS BLOB)), 1, 16) AS BLOB)
    WHERE kind = 4;
INSERT OR IGNORE INTO wait SELECT sha256(CAST('dualtap asked' || commitment AS BLOB)), id FROM hand h
    WHERE NOT EXISTS (SELECT 1 FROM asked a WHERE a.transfer = h.id);
DROP TABLE hand;
DROP INDEX asked_by;
DROP INDEX fact_token;
CREATE INDEX fact_token ON fact (epoch) WHERE kind = 1;
