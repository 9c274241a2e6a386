ALTER TABLE settled ADD COLUMN accounts bytea
