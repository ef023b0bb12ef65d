-- +goose Up
-- The mark of a stox file: "stox" in ASCII.
PRAGMA application_id = 1937010552;

-- Messages that are not done. row: version, times, lane, data (row.go).
CREATE TABLE journal (
    id  INTEGER PRIMARY KEY,
    row BLOB NOT NULL
);

-- Outcomes of requests, packed (seen.go). last: milliseconds since 1970 of the
-- newest; size: how many.
CREATE TABLE seen (
    batch INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL,
    size  INTEGER NOT NULL,
    data  BLOB NOT NULL
);

-- What became of messages, packed (trail.go), without their text. last: as above;
-- size: bytes; filter: which ids may be in it.
CREATE TABLE trail (
    batch  INTEGER PRIMARY KEY,
    last   INTEGER NOT NULL,
    size   INTEGER NOT NULL,
    filter BLOB NOT NULL,
    data   BLOB NOT NULL
);

-- Written and emptied to see whether the disk takes anything.
CREATE TABLE probe (
    data BLOB NOT NULL
);
