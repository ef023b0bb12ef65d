package doctor

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

// Whatever comes, reading ends: each message takes some of it, and says nothing that
// could not be a status.
func FuzzReadAnswer(f *testing.F) {
	for _, s := range []string{
		"SIP/2.0 200 OK\r\nCall-ID: a\r\nServer: x\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\nContent-Length: 2\r\n\r\nhi",
		"SIP/2.0 100 Trying\r\ni: a\r\n\r\nSIP/2.0 503 Busy\r\nl: 0\r\n\r\n",
		"\r\n\r\nOPTIONS sip:x SIP/2.0\r\nCall-ID: b\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "SIP/2.0 200", "SIP/2.0 99 x\r\n\r\n",
		"SIP/2.0 200 OK\r\nContent-Length: -1\r\n\r\n", "SIP/2.0 200 OK\nl:99999999999999999999\n\n", "\n\n\n", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r := bufio.NewReader(strings.NewReader(in))
		for n := 0; ; n++ {
			a, err := readAnswer(r)
			if n > len(in) {
				t.Fatal("it does not end")
			}
			var notSIP *notSIPError
			switch {
			case err == nil:
				if a.status != 0 && (a.status < 100 || a.status > 699) || strings.ContainsAny(a.reason+a.callID+a.server+a.date, "\n") {
					t.Fatalf("%+v", a)
				}
			case errors.As(err, &notSIP), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				return
			default:
				t.Fatalf("%v", err)
			}
		}
	})
}
