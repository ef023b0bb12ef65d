package doctor

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// sipRequest is what is asked: for options (RFC 3261 §11), or for bindings (§10.2.3).
type sipRequest struct {
	method    string // "" is OPTIONS
	target    string // Request-URI
	to        string // "" is target
	from      string
	transport string // as in Via
	lines     string // complete header lines, of credentials
	callID    string // "" is a fresh one
	tag       string // of From, likewise
	cseq      int    // 0 is 1
	t1        time.Duration
}

// reply is a final answer.
type reply struct {
	status         int
	reason, server string
	took           time.Duration
	ahead          time.Duration // the server's clock, if hasDate
	hasDate        bool
	www, proxy     []string // challenges
}

// notSIPError is an answer in another protocol.
type notSIPError struct{ line string }

func (e *notSIPError) Error() string { return fmt.Sprintf("not SIP: %q", said(e.line)) }

// timerT1 is that of RFC 3261, from which on the gaps between repeats over UDP double.
const timerT1 = 500 * time.Millisecond

// askSIP sends the request over conn, over UDP again and again, and waits for a final
// answer until the deadline of conn.
func askSIP(conn net.Conn, datagrams bool, o sipRequest) (reply, error) {
	callID := cmp.Or(o.callID, rand.Text())
	if o.method == "" {
		o.method = "OPTIONS"
	}
	if o.to == "" {
		o.to = o.target
	}
	here := conn.LocalAddr().String()
	text := strings.Join([]string{
		o.method + " " + o.target + " SIP/2.0",
		"Via: SIP/2.0/" + o.transport + " " + here + ";branch=z9hG4bK" + rand.Text() + ";rport",
		"Max-Forwards: 70",
		"From: <" + o.from + ">;tag=" + cmp.Or(o.tag, rand.Text()),
		"To: <" + o.to + ">",
		"Call-ID: " + callID,
		"CSeq: " + strconv.Itoa(max(o.cseq, 1)) + " " + o.method,
		"User-Agent: stox",
		"Accept: application/sdp",
		o.lines + "Content-Length: 0",
		"", "",
	}, "\r\n")
	begin := time.Now()
	if _, err := io.WriteString(conn, text); err != nil {
		return reply{}, err
	}
	var next func() (answer, error)
	if datagrams {
		stop := repeat(conn, text, o.t1)
		defer stop()
		buf := make([]byte, 65535)
		next = func() (answer, error) {
			n, err := conn.Read(buf)
			if err != nil {
				return answer{}, err
			}
			return readAnswer(bufio.NewReader(bytes.NewReader(buf[:n])))
		}
	} else {
		r := bufio.NewReader(conn)
		next = func() (answer, error) { return readAnswer(r) }
	}
	for {
		a, err := next()
		if errors.Is(err, io.EOF) && !datagrams {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			if datagrams && errors.Is(err, io.EOF) { // a packet that is none, such as a keep-alive
				continue
			}
			return reply{}, err
		}
		if a.status < 200 || a.callID != callID {
			continue
		}
		r := reply{status: a.status, reason: a.reason, server: a.server, took: time.Since(begin), www: a.www, proxy: a.proxy}
		if t, err := time.Parse(time.RFC1123, a.date); err == nil {
			r.ahead, r.hasDate = t.Sub(begin.Add(r.took/2)), true
		}
		return r, nil
	}
}

// repeat sends the request again until it is stopped. A write that fails shows in what
// is read.
func repeat(conn net.Conn, text string, t1 time.Duration) (stop func()) {
	end, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for gap := t1; ; gap = min(2*gap, 8*t1) {
			again := time.NewTimer(gap)
			select {
			case <-again.C:
				if _, err := io.WriteString(conn, text); errors.Is(err, os.ErrDeadlineExceeded) {
					return
				}
			case <-end:
				again.Stop()
				return
			}
		}
	}()
	return func() { close(end); <-over }
}

// answer is what is looked at of a response; of a request nothing is, and status is 0.
type answer struct {
	status                       int
	reason, callID, server, date string
	www, proxy                   []string // challenges
}

const (
	maxHead = 32 << 10 // octets of headers
	maxBody = 64 << 10
)

// readAnswer reads one message. io.EOF is an end before it began.
func readAnswer(r *bufio.Reader) (a answer, err error) {
	left := maxHead
	line := func() (string, error) {
		var b []byte
		for {
			part, err := r.ReadSlice('\n')
			if left -= len(part); left < 0 {
				return "", &notSIPError{"headers without an end"}
			}
			b = append(b, part...)
			if err == nil {
				return strings.TrimRight(string(b), "\r\n"), nil
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				if len(b) > 0 && errors.Is(err, io.EOF) {
					if !looksLikeSIP(string(b)) {
						return string(b), nil // one line of something else, cut off
					}
					err = io.ErrUnexpectedEOF
				}
				return "", err
			}
		}
	}
	start := ""
	for start == "" { // RFC 5626 keep-alives, RFC 3261 §7.5
		if start, err = line(); err != nil {
			return a, err
		}
	}
	if !looksLikeSIP(start) {
		return a, &notSIPError{start}
	}
	if rest, is := strings.CutPrefix(start, "SIP/2.0 "); is {
		code, reason, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(code)
		if err != nil || n < 100 || n > 699 {
			return a, &notSIPError{start}
		}
		a.status, a.reason = n, reason
	}
	body := 0
	for {
		l, err := line()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return a, err
		}
		if l == "" {
			break
		}
		name, value, _ := strings.Cut(l, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "call-id", "i":
			a.callID = value
		case "server", "user-agent":
			a.server = value
		case "date":
			a.date = value
		case "www-authenticate":
			a.www = append(a.www, value)
		case "proxy-authenticate":
			a.proxy = append(a.proxy, value)
		case "content-length", "l":
			if body, err = strconv.Atoi(value); err != nil || body < 0 || body > maxBody {
				return a, &notSIPError{l}
			}
		}
	}
	_, err = r.Discard(body)
	if errors.Is(err, io.EOF) && a.status >= 200 { // the rest of it does not matter
		err = nil
	}
	return a, err
}

// looksLikeSIP reports whether a message of SIP/2.0 begins with that line.
func looksLikeSIP(line string) bool {
	line = strings.TrimRight(line, "\r\n")
	return strings.HasPrefix(line, "SIP/2.0 ") || strings.HasSuffix(line, " SIP/2.0")
}
