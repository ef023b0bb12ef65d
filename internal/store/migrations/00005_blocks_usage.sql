-- +goose Up
-- Who is blocked by whom (blocks.go); owner: "" is an admin, for everybody. since: milliseconds
-- since 1970.
CREATE TABLE blocks (
    owner TEXT NOT NULL,
    what  TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (owner, what)
) WITHOUT ROWID;

-- How many messages users have sent to telephones, by day (usage.go): addresses of users and
-- numbers of messages, nothing of whom they were for.
CREATE TABLE usage (
    day  TEXT NOT NULL,
    user TEXT NOT NULL,
    sent INTEGER NOT NULL,
    PRIMARY KEY (day, user)
) WITHOUT ROWID;
