//go:build interop

// Package docs does what the documents tell a reader to do, and plants the
// faults that they promise to explain, against the real daemon and real servers.
//
//	go test -tags interop ./test/docs -update    writes the tables of docs/troubleshooting.md
package docs

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

var update = flag.Bool("update", false, "write the tables of docs/troubleshooting.md anew")

var (
	scratch    string // directory of this run that every user may enter
	stoxBinary string // with the race detector
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	err := stage.Install(stage.Missing(), os.Stdout)
	if err == nil {
		scratch, err = os.MkdirTemp("", "stox-docs-")
	}
	if err == nil {
		defer os.RemoveAll(scratch)
		err = os.Chmod(scratch, 0o755) // one fault is planted as another user
	}
	if err == nil {
		stoxBinary, err = stage.BuildStox(context.Background(), scratch, true)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// newStage makes a stage for a test, whose programs end with it.
func newStage(t *testing.T) *stage.Stage {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "stage-")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	s, err := stage.New(dir)
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		s.Close()
	})
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	n, err := stage.Port()
	must(t, err)
	return n
}
