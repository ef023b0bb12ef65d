package sipside

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// TestWhatIsInPieces: unless the configuration says no, responses may leave in one piece, and so
// may requests that leave for the first time, to a loopback address.
func TestWhatIsInPieces(t *testing.T) {
	for _, no := range []bool{false, true} {
		t.Run(fmt.Sprintf("NoGSO %t", no), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.NoGSO = no
				u, m := memUA(t, cfg, newBridge(processed))
				var sent []string
				m.deny = func(p packet) error {
					what, _, _ := strings.Cut(string(p.b), " ")
					sent = append(sent, fmt.Sprint(what, " ", p.piece))
					return nil
				}
				m.in <- fromMem("z9hG4bK1")
				synctest.Wait()
				u.Deliver(parcel("one", toMem(1)))
				u.Deliver(parcel("two", toLoopback(2)))
				time.Sleep(timerT1 + time.Millisecond)
				synctest.Wait()
				want := []string{fmt.Sprint("SIP/2.0 ", !no), "MESSAGE false", fmt.Sprint("MESSAGE ", !no), "MESSAGE false", "MESSAGE false"}
				if !slices.Equal(sent, want) {
					t.Errorf("sent %q, want %q", sent, want)
				}
			})
		})
	}
}

// toLoopback is a message to a server at a loopback address.
func toLoopback(n int) *mapping.SIPMessage {
	m := toMem(n)
	m.RequestURI.Host, m.RequestURI.Port = "127.0.0.1", 5099
	return m
}

// TestNoPiecesAfter: after a piece of requests was refused, requests are in none for a minute. What
// was in it ends at once, as nobody has read it, and so it does if a filter has dropped it; what
// may have left in part goes on.
func TestNoPiecesAfter(t *testing.T) {
	for name, fail := range map[string]func(u *UA, sent []packet) error{
		"refusal": func(u *UA, sent []packet) error {
			if len(sent) < 2 {
				return nil
			}
			linkPiece(sent)
			go u.client.refused(sent[0].to, append(bytes.Clone(sent[0].b), sent[1].b...), syscall.EPERM)
			return nil
		},
		"dropped": func(*UA, []packet) error { return &pieceError{2, false, syscall.EPERM} },
		"lost":    func(*UA, []packet) error { return &pieceError{2, true, syscall.EMSGSIZE} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(nil)
				u, m := memUA(t, testConfig(), b)
				var piece []packet
				var may []bool // of those after the piece
				m.deny = func(p packet) error {
					switch {
					case p.tx == nil:
						return nil
					case len(p.tx.req.CallID) == len("call-10"):
						may = append(may, p.piece)
						return nil
					}
					piece = append(piece, p)
					return fail(u, piece)
				}
				send := func(i int) {
					u.Deliver(parcel(i, toLoopback(10+i)))
					synctest.Wait()
				}
				u.Deliver(append(parcel(1, toLoopback(1)), parcel(2, toLoopback(2))...))
				synctest.Wait()
				send(3)
				time.Sleep(wholeFor - time.Nanosecond)
				send(4)
				time.Sleep(time.Nanosecond)
				send(5)
				want := []bool{false, false, true}
				if name != "refusal" { // then the socket makes none by itself
					want = []bool{true, true, true}
				}
				if !slices.Equal(may, want) {
					t.Errorf("may be in a piece: %t, want %t", may, want)
				}
				for i := range 2 {
					if name == "lost" {
						if o := b.outcome(1 + i); o.Kind != mapping.Unknown {
							t.Errorf("%d: %+v", 1+i, o)
						}
					} else if o := b.outcome(1 + i); o.Kind != mapping.NotWritten || !errors.Is(o.Failure, syscall.EPERM) {
						t.Errorf("%d: %+v", 1+i, o)
					}
				}
			})
		})
	}
}
