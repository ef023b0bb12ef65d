package cli

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/queuetest"
)

// cmdRelations makes the file of a stopped daemon: "relations FILE".
func cmdRelations(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: relations FILE")
	}
	since := time.Now().Add(-90 * time.Second)
	ts.Check(queuetest.FillPresence(ts.MkAbs(args[0]), // bits as on the disk
		queuetest.Relation{User: "juliet@example.com", Contact: "romeo@sip.example.com", State: 2 | 8, Since: since},
		queuetest.Relation{User: "juliet@example.com", Contact: "tybalt@sip.example.com", State: 1 | 16, Since: since},
		queuetest.Relation{User: "nurse@example.com", Contact: "romeo@sip.example.com", State: 4},
		queuetest.Relation{User: "not a jid", Contact: "romeo@sip.example.com\x1b[2J", State: 2, Since: since},
	))
}

// The relations of a running daemon: of users 1 to n with one contact.
func (q *daemonQueue) relation(i int) admin.Relation {
	now := time.Now()
	r := admin.Relation{User: fmt.Sprintf("u%04d@example.com", i), Contact: "romeo@sip.example.com", SIP: "sip:romeo@example.net",
		Watches: "granted", Watched: "asked", Since: now.Add(-90 * time.Second), Dialogs: []admin.Dialog{
			{Direction: admin.Watches, State: "active", Expires: now.Add(time.Hour + time.Second), Refresh: now.Add(30*time.Minute + time.Second)},
			{Direction: admin.Watched, State: "pending", Expires: now.Add(10*time.Minute + time.Second)},
		}}
	if i == 2 {
		r.Watched, r.Dialogs = "declined", nil
	}
	return r
}

func (q *daemonQueue) Relations(_ context.Context, f admin.RelationFilter, n int) (admin.RelationPage, error) {
	if f.Contact != "" && f.Contact != "sip:romeo@example.net" {
		return admin.RelationPage{}, nil
	}
	p := admin.RelationPage{Total: int(q.n)}
	for i := 1; i <= int(q.n) && len(p.Relations) < n; i++ {
		if r := q.relation(i); r.User > f.AfterUser && (f.User == "" || r.User == f.User) {
			p.Relations = append(p.Relations, r)
		}
	}
	return p, nil
}

func (q *daemonQueue) Relation(_ context.Context, user, contact string) (admin.Relation, error) {
	for i := 1; i <= int(q.n); i++ {
		if r := q.relation(i); r.User == user && (r.Contact == contact || r.SIP == contact) {
			return r, nil
		}
	}
	return admin.Relation{}, admin.ErrNotFound.With("there is no such subscription between " + user + " and " + contact + " (any more)")
}

func (q *daemonQueue) Cancel(ctx context.Context, user, contact, direction string) (admin.Relation, error) {
	return q.Relation(ctx, user, contact)
}

// TestPresenceListStreams: every row once, page by page, as many as are asked for.
func TestPresenceListStreams(t *testing.T) {
	const rows = 3*page + 7
	dir, file := queueConfig(t)
	stop, err := startDaemon(filepath.Join(dir, "stox.sock"), &daemonQueue{n: rows})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for args, want := range map[string]int{"--json": rows, "--json -n 3": 3, "-n 0": rows + 1, fmt.Sprint("-n ", page+1): page + 3} {
		s, out, errOut := std("")
		if code := Main(append([]string{"presence", "list", "-c", file}, strings.Fields(args)...), s); code != exitOK {
			t.Fatalf("%s: status %d, %s", args, code, errOut)
		}
		seen := map[string]bool{}
		for line := range bytes.Lines(out.Bytes()) {
			if seen[string(line)] {
				t.Fatalf("%s: %s comes twice", args, line)
			}
			seen[string(line)] = true
		}
		if len(seen) != want {
			t.Errorf("%s: %d lines, want %d", args, len(seen), want)
		}
	}
}

func TestEarlier(t *testing.T) {
	a, b := time.UnixMilli(1), time.UnixMilli(2)
	for _, c := range [][3]time.Time{{a, b, a}, {b, a, a}, {a, {}, a}, {{}, a, a}, {{}, {}, {}}} {
		if got := earlier(c[0], c[1]); !got.Equal(c[2]) {
			t.Errorf("%v, %v: %v", c[0], c[1], got)
		}
	}
}
