package doctor

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/config"
)

// The order is that of a message's way, and a gateway without a fault has no finding
// that is not ok, but for the clock if nobody tells the time.
func TestNoFaults(t *testing.T) {
	w := newWorld(t)
	w.want(nil,
		"ok config: stox.toml has no faults",
		"ok daemon: no daemon answers at DIR/stox.sock: the doctor stands in for it",
		"ok xmpp: XMPP accepts us as sip.example.com (TIME)",
		"ok xmpp: barriers of sip.example.com come home in TIME, TIME at most of 20",
		"ok xmpp: example.com, of xmpp.user_domains, answers (Prosody 1)",
		"ok listen: udp://LISTEN is free",
		"ok dns: DNS answers in TIME",
		"ok route: sip.route[0] (pbx.example.net) leads to udp PEER",
		"ok route: udp PEER answers OPTIONS with 200 OK in TIME (test (1))",
		"ok files: 65536 files may be open here; limits.max_connections = 1000 can need 2200",
		"ok disk: DIR has 20 GiB of 100 GiB free",
		"ok disk: the disk at DIR keeps what is written in TIME",
		"skip clock: nobody has told the time",
	)
}

// What the check of the file warns of is told again.
func TestWarningsOfTheFile(t *testing.T) {
	w := newWorld(t)
	w.o.Config.Warnings = []config.Fault{{Path: "sip.peer[0]", Text: "nobody may", Hint: "let somebody"}}
	w.want([]string{checkConfig}, "ok config: stox.toml has no faults", "warn config: sip.peer[0]: nobody may -> let somebody")
}

// The whole ends in time, whoever is silent, and says what it has not done.
func TestLimit(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	w.silentXMPP()
	silent := w.peer("udp", nil)
	silent.Answer(nil)
	w.route(silent.Addr(), "udp")
	w.o.Limit = 2 * time.Second
	w.want([]string{checkXMPP, checkRoute},
		"skip xmpp: the XMPP server at XMPP: no time was left for it",
		"ok route: sip.route[0] (pbx.example.net) leads to udp PEER",
		"skip route: udp PEER: no time was left for it",
	)
}

// Who interrupts it does not wait.
func TestInterrupted(t *testing.T) {
	w := bareWorld(t)
	w.silentXMPP()
	ctx, cancel := context.WithCancel(t.Context())
	var last Finding
	Run(ctx, w.o, func(f Finding) {
		if f.Check == checkDaemon {
			cancel()
		}
		if f.Check == checkXMPP {
			last = f
		}
	})
	if last.Level != Skip || w.plain(last.Text) != "the XMPP server at XMPP: interrupted" {
		t.Errorf("%+v", last)
	}
}

// The names in the JSON are a promise.
func TestJSON(t *testing.T) {
	for want, f := range map[string]Finding{
		`{"level":"fail","check":"xmpp","text":"what","remedy":"how","steps":["a","b"]}`: {Fail, checkXMPP, "what", "how", []string{"a", "b"}},
		`{"level":"ok","check":"disk","text":"what"}`:                                    {Level: OK, Check: checkDisk, Text: "what"},
	} {
		if b, err := json.Marshal(f); err != nil || string(b) != want {
			t.Errorf("%s, %v, want %s", b, err, want)
		}
	}
}

func TestSaid(t *testing.T) {
	long := ""
	for range 100 {
		long += "é"
	}
	for in, want := range map[string]string{
		" Kamailio \r": "Kamailio",
		long:           long[:80] + "…",
		"x" + long:     "x" + long[:78] + "…",
		"":             "",
	} {
		if got := said(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
	if got := said("xx" + string([]byte{0x80, 0x80, 0x80, 0x80, 0x80})); got != "xx"+string([]byte{0x80, 0x80, 0x80, 0x80, 0x80}) {
		t.Errorf("%q", got)
	}
}
