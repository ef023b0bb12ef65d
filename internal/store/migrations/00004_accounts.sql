-- +goose Up
-- The users' own SIP accounts (accounts.go). data: sealed, with passwords in it; since:
-- milliseconds since 1970.
CREATE TABLE accounts (
    user  TEXT PRIMARY KEY,
    aor   TEXT NOT NULL UNIQUE,
    since INTEGER NOT NULL,
    data  BLOB NOT NULL
) WITHOUT ROWID;
