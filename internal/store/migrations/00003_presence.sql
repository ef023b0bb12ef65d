-- +goose Up
-- Who may see whose presence (relations.go): addresses and times, no texts. since:
-- milliseconds since 1970, 0 if it is not known.
CREATE TABLE relations (
    user    TEXT NOT NULL,
    contact TEXT NOT NULL,
    state   INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    PRIMARY KEY (user, contact)
) WITHOUT ROWID;

-- Dialogs of subscriptions that the next run goes on with (dialogs.go). expires: as above.
CREATE TABLE dialogs (
    key     TEXT PRIMARY KEY,
    expires INTEGER NOT NULL,
    data    BLOB NOT NULL
) WITHOUT ROWID;

-- What users and contacts (not the gateway, which has no localpart) have agreed upon before
-- presence was carried. Marks: 1 the user is subscribed, 8 he lets the contact see him.
-- States: 2 and 8.
INSERT INTO relations (user, contact, state, since)
SELECT user, contact, (marks & 1) * 2 + (marks & 8), 0
FROM contacts
WHERE (marks & 9) <> 0 AND instr(contact, '@') > 1;
