-- +goose Up
-- The newest rows of the journal, many to a slot (slots.go), which is overwritten in place once
-- they are done. A row is here or in journal, never in both. Slot 0 says which rows of the
-- others are done.
CREATE TABLE slots (
    slot INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);
