package stage

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// SIPp as a presence server, and as somebody who watches (RFC 3856, RFC 6665).

// SIPpState is a NOTIFY that a presence server sends.
type SIPpState struct {
	State string // Subscription-State
	PIDF  string // the document; "" for none
}

// sippNotes are the actions that note a request as SIPpServer.Requests reads it, and what else is told of it.
const sippNotes = `<ereg regexp=".*" search_in="msg" assign_to="all"/><log message="` + requestBegins + `[$all]` + requestEnds + `"/>`

// SIPpPresence starts a presence server of one subscription: it grants what SUBSCRIBE asks for and
// tells the states, each when the one before was taken. A state without a name stands for the wait
// for a further SUBSCRIBE of the dialog, which is granted. It ends after the last one.
func (r *Stage) SIPpPresence(ctx context.Context, transport string, states ...SIPpState) (*SIPpServer, error) {
	const grants = `<recv request="SUBSCRIBE" rrs="true"><action>` + sippNotes + `
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>
<ereg regexp="[[:space:]]*([^;]*)" search_in="hdr" header="To:" assign_to="whole,to"/>
<ereg regexp="[[:space:]]*([0-9]+)" search_in="hdr" header="Expires:" assign_to="whole,expires"/>
<ereg regexp="[[:space:]]*&lt;([^&gt;]+)&gt;" search_in="hdr" header="Contact:" assign_to="whole,target"/></action></recv>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
To: [$to];tag=[pid]u[call_number]
[last_Call-ID:]
[last_CSeq:]
Expires: [$expires]
Contact: <sip:presence@[local_ip]:[local_port];transport=[transport]>
Content-Length: 0

]]></send>
`
	var steps strings.Builder
	steps.WriteString(grants)
	for i, s := range states {
		if s.State == "" {
			steps.WriteString(grants)
			continue
		}
		typ := ""
		if s.PIDF != "" {
			typ = "Content-Type: application/pidf+xml\n"
		}
		fmt.Fprintf(&steps, `<send retrans="500"><![CDATA[
NOTIFY [$target] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: [$to];tag=[pid]u[call_number]
To: [$from]
Call-ID: [call_id]
CSeq: %d NOTIFY
Contact: <sip:presence@[local_ip]:[local_port];transport=[transport]>
Event: presence
Subscription-State: %s
%sContent-Length: [len]

%s]]></send><recv response="200" timeout="15000"/>
`, i+1, s.State, typ, s.PIDF)
	}
	return r.sippServes(ctx, transport, 1, "presence server", steps.String(), "all,whole,from,to,expires,target")
}

// SIPpWatch is a SUBSCRIBE that SIPp sends, over UDP.
type SIPpWatch struct {
	To      int    // port of who gets it
	URI     string // Request-URI and To
	From    string // URI
	Expires int    // 0 polls
	Port    int    // of SIPp
}

// SIPpWatch subscribes to somebody's presence and takes every NOTIFY until the subscription is
// terminated, and then ends. Its requests are the NOTIFYs.
func (r *Stage) SIPpWatch(m SIPpWatch) (*SIPpServer, error) {
	// Not a loop: between the end of one round and the next one SIPp takes no request.
	const maxNotifies = 32
	const takes = `<recv request="NOTIFY"><action>` + sippNotes + `<ereg regexp="Subscription-State: *terminated" search_in="msg" assign_to="end"/></action></recv>
<send next="1" test="end"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
`
	run := sippRuns.Add(1)
	scenario, err := r.file(fmt.Sprintf("sipp%d.xml", run), fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<scenario name="SUBSCRIBE out"><send retrans="500"><![CDATA[
SUBSCRIBE %s SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <%s>;tag=[pid]t[call_number]
To: <%s>
Call-ID: [call_id]
CSeq: 1 SUBSCRIBE
Contact: <sip:watcher@[local_ip]:[local_port]>
Event: presence
Accept: application/pidf+xml
Expires: %d
Content-Length: 0

]]></send><recv response="100" optional="true"/><recv response="200" timeout="15000"/>
%s<label id="1"/><nop/>
<Reference variables="all,end"/></scenario>
`, m.URI, m.From, m.URI, m.Expires, strings.Repeat(takes, maxNotifies)), 0o644)
	if err != nil {
		return nil, err
	}
	s := &SIPpServer{Port: m.Port, log: filepath.Join(r.Dir, fmt.Sprintf("sipp%d.log", run))}
	s.Proc, err = r.Start(exec.Command("sipp", "-sf", scenario, "-i", "127.0.0.1", "-p", fmt.Sprint(s.Port), "-t", "u1", "-m", "1", "-nostdin",
		"-trace_logs", "-log_file", s.log, "-trace_err", "-error_file", filepath.Join(r.Dir, fmt.Sprintf("sipp%d.err", run)), fmt.Sprintf("127.0.0.1:%d", m.To)), "sipp")
	return s, err
}

// AwaitRequest waits for a request, from the from-th on, that has all the words in it, and returns the number of the one after it.
func (s *SIPpServer) AwaitRequest(ctx context.Context, from int, words ...string) (request string, next int, err error) {
	err = poll(ctx, fmt.Sprintf("SIPp has no request with %q", words), func() bool {
		all, err := s.requests()
		for i := from; err == nil && i < len(all); i++ {
			every := true
			for _, w := range words {
				every = every && strings.Contains(all[i], w)
			}
			if every {
				request, next = all[i], i+1
				return true
			}
		}
		return false
	})
	return request, next, err
}
