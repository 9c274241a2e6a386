ALTER TABLE credit DROP CONSTRAINT credit_pkey;
ALTER TABLE credit ADD PRIMARY KEY (transfer, number);
