package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the table says is what the document says. Whether it is true needs the messages:
// make torture.
func TestSectionIsOfTheTable(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("../..", document))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(place(doc), doc) {
		t.Errorf("%s has not what cases.go says: make torture writes it", document)
	}
	if len(cases) != 49 {
		t.Errorf("%d cases", len(cases))
	}
	for _, c := range cases {
		if c.verdict != yes && c.verdict != method && c.why == "" {
			t.Errorf("%s: %s, and no reason", c.name, c.verdict)
		}
		if c.verdict == method && c.udp != "405" || c.udp == "" || c.tcp == "" {
			t.Errorf("%s: %s, and UDP: %s, TCP: %s", c.name, c.verdict, c.udp, c.tcp)
		}
	}
}

func TestPlace(t *testing.T) {
	fresh := string(place([]byte("# Head\n")))
	if fresh != "# Head\n\n"+section() {
		t.Errorf("a document without the section: %q", fresh)
	}
	old := "# Head\n\n" + begin + "of old\n" + end + "\n## Foot\n"
	if got := string(place([]byte(old))); got != "# Head\n\n"+section()+"\n## Foot\n" {
		t.Errorf("a document with an old one: %q", got)
	}
}

// A verdict can be each of those that the table has.
func TestPlay(t *testing.T) {
	message := func(edits ...string) []byte {
		s := "MESSAGE sip:juliet@xmpp.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nTo: <sip:juliet@xmpp.example>\r\n" +
			"From: <sip:romeo@sip.example>;tag=1\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
		return []byte(strings.NewReplacer(edits...).Replace(s))
	}
	double := append(message(), message("Call-ID: x", "Call-ID: y", "z9hG4bKx", "z9hG4bKy")...)
	for _, tt := range []struct {
		name     string
		message  []byte
		udp, tcp string
	}{
		{"good", message(), "200, delivered", "200, delivered"},
		{"two", double, "200, delivered", "200, 200, delivered, delivered"},
		{"refused", message("MESSAGE", "INVITE"), "405", "405"},
		{"too long", message("Length: 2", "Length: 4000"), "400", "nothing, waits for the rest"},
		{"without a length", message("Content-Length: 2\r\n", ""), "200, delivered", "400, closed"},
		{"a response", message("MESSAGE sip:juliet@xmpp.example SIP/2.0", "SIP/2.0 200 OK"), "nothing", "nothing"},
		{"not SIP", []byte("\x16\x03\x01"), "nothing", "nothing, closed"},
	} {
		for network, want := range map[string]string{"udp": tt.udp, "tcp": tt.tcp} {
			if got, err := play(network, tt.message); err != nil || got != want {
				t.Errorf("%s over %s: %q, %v; want %q", tt.name, network, got, err, want)
			}
		}
	}
}

// Files are read by their names, an empty line at the end is added to one that has none,
// and what differs from the table is counted.
func TestTorture(t *testing.T) {
	dir := t.TempDir()
	for _, c := range cases {
		ack := "ACK sip:juliet@xmpp.example SIP/2.0\r\nContent-Length: 0\r\n" // is never answered
		if err := os.WriteFile(filepath.Join(dir, c.name+".dat"), []byte(ack), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	differ := 0
	for _, c := range cases {
		for _, want := range []string{c.udp, c.tcp} {
			if want != "nothing" {
				differ++
			}
		}
	}
	if wrong, err := torture(dir); err != nil || wrong != differ || differ == 0 {
		t.Errorf("%d are wrong, %v; want %d", wrong, err, differ)
	}
	if err := os.Remove(filepath.Join(dir, "wsinv.dat")); err != nil {
		t.Fatal(err)
	}
	if _, err := torture(dir); err == nil {
		t.Error("nobody misses a file")
	}
}
