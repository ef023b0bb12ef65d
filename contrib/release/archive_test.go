package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"
	"time"
)

// What this machine is like, its umask, its users, its clock, is in no archive.
func TestTree(t *testing.T) {
	a := newTree(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	for _, err := range []error{
		a.dir("var/lib/stox", 0o700, imageUser),
		a.dir("tmp", fs.ModeSticky|0o777, 0),
		a.file("usr/bin/stox", 0o755, []byte("a program")),
		a.file("usr/bin/other", 0o644, nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := a.bytes()
	if err != nil {
		t.Fatal(err)
	}
	var got string
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got += fmt.Sprintf("%o %d:%d%s %s %s %q\n", h.Mode, h.Uid, h.Gid, h.Uname, h.ModTime.UTC().Format(time.DateTime), h.Name, b)
	}
	const want = `755 0:0 2026-03-01 12:00:00 var/ ""
755 0:0 2026-03-01 12:00:00 var/lib/ ""
700 65532:65532 2026-03-01 12:00:00 var/lib/stox/ ""
1777 0:0 2026-03-01 12:00:00 tmp/ ""
755 0:0 2026-03-01 12:00:00 usr/ ""
755 0:0 2026-03-01 12:00:00 usr/bin/ ""
755 0:0 2026-03-01 12:00:00 usr/bin/stox "a program"
644 0:0 2026-03-01 12:00:00 usr/bin/other ""
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
