package app

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/accounts"
	"github.com/stoxgw/stox/internal/presence"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// testdata/stored has a file of the store of each version of its schema, as a daemon of that
// version has left it behind. A new migration needs one more:
//
//	go test ./internal/app -run TestStoredFiles -update-stored
var updateStored = flag.Bool("update-stored", false, "write the file of this version of the schema")

// stored is the file of one version, packed.
func stored(version int) string {
	return filepath.Join("testdata", "stored", fmt.Sprintf("schema-%d.db.gz", version))
}

// schemaVersion is that of the last migration.
func schemaVersion(t *testing.T) int {
	t.Helper()
	all, err := filepath.Glob("../store/migrations/*.sql")
	if err != nil || len(all) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	return len(all)
}

// keeping is the configuration of the daemons that wrote and read them.
func keeping(path string) []string {
	return []string{"store: path='" + path + "'", "top: shutdown_timeout='1s'", "queue: expire='24h'"}
}

// leaveBehind has a daemon do what leaves a trace of every kind.
func leaveBehind(t *testing.T, dir, path string) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, dir, keeping(path)...)
		defer h.stop()
		h.xmpp("<presence from='juliet@example.com' to='sip.example.com' type='subscribe' id='s'/>")
		if got := h.fromSIP(neighbour, 1, romeo, juliet, "from SIP"); got != 200 {
			t.Errorf("status %d", got)
		}
		watch := siptest.Text("", "SUBSCRIBE "+juliet+" SIP/2.0", fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bKhome2", neighbour), "Max-Forwards: 70",
			"From: <"+romeo+">;tag=w", "To: <"+juliet+">", "Call-ID: w", "CSeq: 1 SUBSCRIBE", fmt.Sprintf("Contact: <sip:romeo@%s>", neighbour), "Event: presence", "Expires: 3600")
		if m := h.final(neighbour, 2, watch); m == nil || m.Status() != 200 {
			t.Errorf("SUBSCRIBE: %+v", m)
		}
		h.xmpp("<presence from='juliet@example.com' to='romeo@sip.example.com' type='subscribed'/>")
		h.toSIP("romeo", "m-done", "delivered")
		h.answering(func(m *siptest.Message) string { return m.Reply(503, "Later") })
		h.toSIP("romeo", "m-waits", "still waits")
		if err := h.app.journal.PutAccounts([]accounts.Record{storedAccount}, nil); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
	})
}

// storedAccount is an account as its row is: what is in it only its key would open.
var storedAccount = accounts.Record{User: mapping.MustParseJID("juliet@example.com"), AOR: "sip:juliet@pbx.example.net", Since: began, Sealed: []byte("\x01sealed")}

// There is a file of every version of the schema.
func TestStoredFiles(t *testing.T) {
	latest := schemaVersion(t)
	if *updateStored {
		dir := t.TempDir()
		path := filepath.Join(dir, "stox.db")
		leaveBehind(t, dir, path)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		w.Write(text)
		w.Close()
		if err := os.WriteFile(stored(latest), packed.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for v := 1; v <= latest; v++ {
		if _, err := os.Stat(stored(v)); err != nil {
			t.Errorf("%v: go test ./internal/app -run TestStoredFiles -update-stored writes that of schema %d", err, latest)
		}
	}
}

// What a daemon of an earlier version has left behind is there after an upgrade: the message
// that waits is sent, the trail is found, the repeat of a request is known, and the user who
// has subscribed is told that the gateway is there.
func TestUpgrade(t *testing.T) {
	for v := 1; v <= schemaVersion(t); v++ {
		t.Run(fmt.Sprint("schema ", v), func(t *testing.T) {
			dir := t.TempDir()
			path := unpack(t, v, dir)
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(began.Add(5 * time.Minute))) // outcomes are kept for ten
				h := newHome(t, dir, keeping(path)...)
				defer h.stop()
				time.Sleep(time.Minute)
				synctest.Wait()
				all := h.sent("MESSAGE")
				if len(all) != 1 || string(all[0].Body) != "still waits" || all[0].Get("CSeq") == "1 MESSAGE" {
					t.Errorf("%d messages were sent", len(all))
				}
				if got := h.fromSIP(neighbour, 1, romeo, juliet, "from SIP"); got != 200 || len(h.texts()) > 0 {
					t.Errorf("the repeat of a request gets %d, and was delivered %d times", got, len(h.texts()))
				}
				for _, id := range []string{"m-done", "m-waits", "home-1"} {
					if steps, err := h.app.journal.store.Lookup(id); err != nil || len(steps) == 0 {
						t.Errorf("the trail of %s: %d steps, %v", id, len(steps), err)
					}
				}
				subscribed := h.written(func(st xmpptest.Stanza) bool { return isGateway(st) && st.To == "juliet@example.com" })
				if want := min(v/2, 1); len(subscribed) != want { // there were no contacts in the first
					t.Errorf("told %d times, want %d", len(subscribed), want)
				}
				if v >= 3 { // there was no presence before
					e, ok := h.app.presence.Find(mapping.MustParseJID("juliet@example.com"), mapping.MustParseJID("romeo@sip.example.com"))
					if !ok || e.State&presence.WatcherGranted == 0 || len(e.Dialogs) != 1 || e.Dialogs[0].Direction != presence.Watched {
						t.Errorf("who watches whom: %v %+v", ok, e)
					}
				}
				if all := h.app.accounts.All(); len(all) != max(0, min(v-3, 1)) || len(all) > 0 && (all[0].User != storedAccount.User || all[0].AOR.String() != storedAccount.AOR || all[0].State != accounts.StateAsleep) {
					t.Errorf("accounts: %+v", all)
				}
				if strings.Contains(h.log.String(), "cannot be read") {
					t.Errorf("the log\n%s", h.log.String())
				}
			})
			// And once more: nothing is left, and nothing comes again.
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(began.Add(time.Hour)))
				h := newHome(t, dir, keeping(path)...)
				defer h.stop()
				if n := len(h.sent("MESSAGE")); n > 0 {
					t.Errorf("%d messages come again", n)
				}
			})
		})
	}
}

// The queue of a file that was not upgraded can be looked at, and is not changed by that.
func TestUpgradeIsNotMadeByLooking(t *testing.T) {
	for v := 1; v <= schemaVersion(t); v++ {
		path := unpack(t, v, t.TempDir())
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := store.OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := r.Page(0, 10)
		if err != nil || len(rows) != 1 {
			t.Fatalf("schema %d: %d rows, %v", v, len(rows), err)
		}
		if m := describe(rows, nil); m[0].Stanza != "m-waits" || m[0].State != "back-off" && m[0].State != "queued" {
			t.Errorf("schema %d: %+v", v, m[0])
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("schema %d: the file is another one, %v", v, err)
		}
	}
}

func unpack(t *testing.T, version int, dir string) (path string) {
	t.Helper()
	f, err := os.Open(stored(version))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "stox.db")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
