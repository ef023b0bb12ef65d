package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
)

// tracing is a daemon that answers stox wire.
type tracing struct {
	daemonQueue
	asked []string
	now   admin.Wire
}

func (q *tracing) WireOn(_ context.Context, w admin.Watch) (admin.Wire, error) {
	q.asked = append(q.asked, fmt.Sprintf("on %q %t %v", w.Targets, w.Full, w.For))
	if w.Targets[0] == "@" {
		return admin.Wire{}, admin.ErrRequest.With(`"@" is no address`)
	}
	return q.now, nil
}

func (q *tracing) WireOff(context.Context) (admin.Wire, error) {
	q.asked = append(q.asked, "off")
	return q.now, nil
}

func (q *tracing) Wire(context.Context) (admin.Wire, error) {
	q.asked = append(q.asked, "status")
	return q.now, nil
}

// TestWire: what the commands ask, what they print and the status they end with.
func TestWire(t *testing.T) {
	dir, file := queueConfig(t)
	until := time.Date(2026, 3, 1, 14, 12, 9, 0, time.Local)
	const rest = "log.wire is off for all packets\nsince the start: 0 logged, 0 copied, 0 missing\n"
	for _, tt := range []struct {
		args, asked, out, bad string
		now                   admin.Wire
		status                int
	}{
		{args: "on juliet@example.com 192.0.2.10", asked: `on ["juliet@example.com" "192.0.2.10"] false 10m0s`,
			now: admin.Wire{All: "off", Targets: []string{"juliet@example.com", "192.0.2.10"}, Mode: "headers", Until: until},
			out: "logged until 2026-03-01 14:12:09, headers: juliet@example.com, 192.0.2.10\n" + rest},
		{args: "on --full --for 90s *", asked: `on ["*"] true 1m30s`, now: admin.Wire{All: "off"}, out: "nobody's packets are logged by stox wire on\n" + rest},
		{args: "off", asked: "off", now: admin.Wire{All: "headers", Logged: 7, Copied: 8, Dropped: 9, HEP: "192.0.2.1:9060"},
			out: "nobody's packets are logged by stox wire on\nlog.wire is headers for all packets\nSIP packets are copied to 192.0.2.1:9060, without texts\nsince the start: 7 logged, 8 copied, 9 missing\n"},
		{args: "status", asked: "status", now: admin.Wire{All: "full", HEP: "192.0.2.1:9060", HEPTexts: true, Quiet: "warn"},
			out: "nobody's packets are logged by stox wire on\nlog.wire is full for all packets\nSIP packets are copied to 192.0.2.1:9060, with texts\nsince the start: 0 logged, 0 copied, 0 missing\n",
			bad: "stox: packets are logged at level info, which log.level = \"warn\" leaves out; set log.level = \"info\" and reload\n"},
		{args: "on @", asked: `on ["@"] false 10m0s`, status: exitFailure, bad: "stox: \"@\" is no address\n"},
		{args: "on", status: exitFailure, bad: "stox: stox wire on takes addresses, or \"*\" for all packets; see stox wire on --help\n"},
		{args: "on --for 0s a@b", status: exitFailure, bad: "stox: --for has to be more than nothing; see stox wire on --help\n"},
		{args: "", status: exitFailure, bad: "stox: say what to do; see stox wire --help\n"},
	} {
		q := &tracing{now: tt.now}
		stop, err := startDaemon(filepath.Join(dir, "stox.sock"), q)
		if err != nil {
			t.Fatal(err)
		}
		args := append([]string{"wire"}, strings.Fields(tt.args)...)
		if len(args) > 1 {
			args = append(args, "-c", file)
		}
		s, out, bad := std("")
		if code := Main(args, s); code != tt.status || out.String() != tt.out || bad.String() != tt.bad || strings.Join(q.asked, ",") != tt.asked {
			t.Errorf("%s: status %d, asked %q\n%s%s", tt.args, code, q.asked, out, bad)
		}
		if tt.out != "" {
			s, out, _ = std("")
			var got admin.Wire
			if code := Main(append(args, "--json"), s); code != 0 || json.Unmarshal(out.Bytes(), &got) != nil || !got.Until.Equal(tt.now.Until) {
				t.Errorf("%s --json: status %d, %s", tt.args, code, out)
			}
			if got.Until = tt.now.Until; !reflect.DeepEqual(got, tt.now) {
				t.Errorf("%s --json: %+v", tt.args, got)
			}
		}
		stop()
	}
	s, _, bad := std("")
	if code := Main([]string{"wire", "status", "-c", file}, s); code != exitFailure || !strings.Contains(bad.String(), "no daemon answers at") {
		t.Errorf("without a daemon: status %d, %s", code, bad)
	}
}

// packetText has lines of its own, as packets have.
type packetText string

func (p packetText) Lines() string { return string(p) }

// TestBlocks: what has lines of its own comes below its record, each line marked, and begins no
// record, whatever is in it; as JSON it is a value like others.
func TestBlocks(t *testing.T) {
	var out strings.Builder
	l := newLogging(config.Log{Level: "info", Format: "text"}, &out)
	log := l.logger().With("side", "sip").WithGroup("g")
	log.Info("received", "peer", "a b", "packet", packetText("MESSAGE x\n\ntime=2026 level=ERROR msg=forged\n"), "n", 1)
	log.Info("plain", "any", []int{1}, "nothing", nil)
	_, got, _ := strings.Cut(out.String(), " ")
	want := "level=INFO msg=received side=sip g.peer=\"a b\" g.n=1\n    | MESSAGE x\n    | \n    | time=2026 level=ERROR msg=forged\n"
	first, second, _ := strings.Cut(got, "time=20")
	second, third, _ := strings.Cut(second, "time=20")
	if got := first + "time=20" + second; got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	if !strings.HasSuffix(third, "level=INFO msg=plain side=sip g.any=[1] g.nothing=<nil>\n") {
		t.Errorf("%q", third)
	}
	out.Reset()
	l.change(config.Log{Level: "info", Format: "json"})
	log.Info("received", "packet", packetText("a\nb\n"))
	var record struct{ G struct{ Packet string } }
	if err := json.Unmarshal([]byte(out.String()), &record); err != nil || record.G.Packet != "a\nb\n" {
		t.Errorf("%v: %s", err, out.String())
	}
}
