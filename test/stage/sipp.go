package stage

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// SIPp scenarios. A transport is "udp" or "tcp".

// SIPpName is the program's name and version.
func SIPpName() string { return "SIPp " + packageVersion("sip-tester") }

var sippRuns atomic.Int64

func sippTransport(transport string) string {
	if transport == "tcp" {
		return "t1"
	}
	return "u1"
}

// SIPpSend is a MESSAGE that SIPp sends.
type SIPpSend struct {
	Transport   string
	Host        string // address of both ends; "" is 127.0.0.1
	To          int    // port of who gets it
	URI         string // Request-URI and To
	From        string // URI
	Port        int    // of SIPp
	ContentType string // "text/plain;charset=UTF-8"
	Body        string // without [ ]
	Headers     []string
	Expect      int // final status
	Times       int // how often, in order; 0 is once. [call_number] in Body counts from 1
}

// SIPpSend sends a MESSAGE, several times if m says so, and returns an error
// unless each gets the expected final response.
func (r *Stage) SIPpSend(ctx context.Context, m SIPpSend) error {
	if m.ContentType == "" {
		m.ContentType = "text/plain;charset=UTF-8"
	}
	var more string
	for _, h := range m.Headers {
		more += h + "\n"
	}
	n, host := sippRuns.Add(1), cmp.Or(m.Host, "127.0.0.1")
	scenario, err := r.file(fmt.Sprintf("sipp%d.xml", n), fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<scenario name="MESSAGE out"><send retrans="500"><![CDATA[
MESSAGE %s SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <%s>;tag=[pid]t[call_number]
To: <%s>
Call-ID: [call_id]
CSeq: 1 MESSAGE
%sContent-Type: %s
Content-Length: [len]

%s]]></send><recv response="100" optional="true"/><recv response="%d" timeout="15000"/></scenario>
`, m.URI, m.From, m.URI, more, m.ContentType, m.Body, m.Expect), 0o644)
	if err != nil {
		return err
	}
	errors := filepath.Join(r.Dir, fmt.Sprintf("sipp%d.err", n))
	p, err := r.Start(exec.Command("sipp", "-sf", scenario, "-i", host, "-p", fmt.Sprint(m.Port), "-t", sippTransport(m.Transport),
		"-m", fmt.Sprint(max(m.Times, 1)), "-r", "100", "-nostdin", "-trace_err", "-error_file", errors, fmt.Sprintf("%s:%d", host, m.To)), "sipp")
	if err != nil {
		return err
	}
	status, err := p.Wait(ctx)
	if err != nil {
		p.Kill()
		return err
	}
	if status != 0 {
		said, _ := os.ReadFile(errors)
		return fmt.Errorf("SIPp did not get %d for a MESSAGE from %s to %s (its status is %d):\n%s", m.Expect, m.From, m.URI, status, said)
	}
	return nil
}

// Marks in SIPp's log that no request has in it.
const requestBegins, requestEnds = "(request begins)", "(request ends)"

// SIPpServer answers MESSAGE requests.
type SIPpServer struct {
	*Proc
	Port int
	log  string
}

// SIPpAnswer is what a SIPpServer answers.
type SIPpAnswer struct {
	Status  int
	Reason  string
	Headers []string
}

// SIPpServe starts a SIP server that answers n requests with a status and then ends.
func (r *Stage) SIPpServe(ctx context.Context, transport string, n, status int, reason string) (*SIPpServer, error) {
	return r.sippServe(ctx, transport, n, sippTakes(SIPpAnswer{Status: status, Reason: reason}))
}

// SIPpServeOne starts a SIP server that answers the requests of one Call-ID, one after
// the other, and then ends.
func (r *Stage) SIPpServeOne(ctx context.Context, transport string, answers ...SIPpAnswer) (*SIPpServer, error) {
	return r.sippServe(ctx, transport, 1, sippTakes(answers...))
}

// SIPpReply starts a SIP server that answers a request with 200, then writes to its
// sender with the same Call-ID, as each m says (its Transport, URI, From, ContentType and
// Body), and ends when each of these is answered with its Expect. In a Body [$id] is the
// identifier of the message that has come (RFC 5438 §6.3), and [$time] its time.
func (r *Stage) SIPpReply(ctx context.Context, replies ...SIPpSend) (*SIPpServer, error) {
	steps := sippTakes(SIPpAnswer{Status: 200, Reason: "OK"})
	for i, m := range replies {
		steps += fmt.Sprintf(`<send retrans="500"><![CDATA[
MESSAGE %s SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <%s>;tag=[pid]t[call_number]
To: <%s>
Call-ID: [call_id]
CSeq: %d MESSAGE
Content-Type: %s
Content-Length: [len]

%s]]></send><recv response="100" optional="true"/><recv response="%d" timeout="15000"/>`, m.URI, m.From, m.URI, i+1, cmp.Or(m.ContentType, "text/plain;charset=UTF-8"), m.Body, m.Expect)
	}
	return r.sippServe(ctx, replies[0].Transport, 1, steps)
}

// sippTakes are the steps of a scenario that takes requests and notes them.
func sippTakes(answers ...SIPpAnswer) string {
	var b strings.Builder
	for _, a := range answers {
		fmt.Fprintf(&b, `<recv request="MESSAGE"><action><ereg regexp=".*" search_in="msg" assign_to="all"/>`+
			`<ereg regexp="imdn.Message-ID: ([^[:space:]]+)" search_in="msg" assign_to="whole,id"/><ereg regexp="DateTime: ([^[:space:]]+)" search_in="msg" assign_to="whole,time"/><log message="`+requestBegins+`[$all]`+requestEnds+`"/></action></recv>
<send><![CDATA[
SIP/2.0 %d %s
[last_Via:]
[last_From:]
[last_To:];tag=[pid]u[call_number]
[last_Call-ID:]
[last_CSeq:]
`, a.Status, a.Reason)
		for _, h := range a.Headers {
			b.WriteString(h + "\n")
		}
		b.WriteString("Content-Length: 0\n\n]]></send>\n")
	}
	return b.String()
}

// sippServe starts a SIP server of n calls, as SIPp counts them: Call-IDs.
func (r *Stage) sippServe(ctx context.Context, transport string, n int, steps string) (*SIPpServer, error) {
	return r.sippServes(ctx, transport, n, "MESSAGE in", steps, "all,whole,id,time")
}

// sippServes is sippServe with the scenario's name and its variables.
func (r *Stage) sippServes(ctx context.Context, transport string, n int, name, steps, variables string) (*SIPpServer, error) {
	run := sippRuns.Add(1)
	scenario, err := r.file(fmt.Sprintf("sipp%d.xml", run), `<?xml version="1.0" encoding="UTF-8"?>
<scenario name="`+name+`">`+steps+`<Reference variables="`+variables+`"/></scenario>
`, 0o644)
	if err != nil {
		return nil, err
	}
	s := &SIPpServer{log: filepath.Join(r.Dir, fmt.Sprintf("sipp%d.log", run))}
	if s.Port, err = Port(); err != nil {
		return nil, err
	}
	s.Proc, err = r.Start(exec.Command("sipp", "-sf", scenario, "-i", "127.0.0.1", "-p", fmt.Sprint(s.Port), "-t", sippTransport(transport),
		"-m", fmt.Sprint(n), "-nostdin", "-trace_logs", "-log_file", s.log), "sipp")
	if err != nil {
		return nil, err
	}
	return s, poll(ctx, "SIPp does not listen", func() bool { return bound(transport, s.Port) })
}

// Requests waits until the server has answered all it was started for, and
// returns them as they were on the wire.
func (s *SIPpServer) Requests(ctx context.Context) ([]string, error) {
	if _, err := s.Wait(ctx); err != nil {
		return nil, err
	}
	return s.requests()
}

// AwaitRequests waits until that many requests have come, and returns what has come so far.
func (s *SIPpServer) AwaitRequests(ctx context.Context, n int) (all []string, err error) {
	return all, poll(ctx, fmt.Sprintf("SIPp does not have %d requests", n), func() bool {
		all, err = s.requests()
		return err == nil && len(all) >= n
	})
}

func (s *SIPpServer) requests() ([]string, error) {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, part := range strings.Split(string(b), requestBegins)[1:] {
		raw, _, whole := strings.Cut(part, requestEnds)
		if !whole {
			break // it is being written
		}
		all = append(all, strings.ReplaceAll(raw, "\r\n", "\n"))
	}
	return all, nil
}
