-- +goose Up
-- What has happened between users and their contacts (contacts.go): addresses, no texts.
CREATE TABLE contacts (
    user    TEXT NOT NULL,
    contact TEXT NOT NULL,
    marks   INTEGER NOT NULL,
    PRIMARY KEY (user, contact)
) WITHOUT ROWID;
