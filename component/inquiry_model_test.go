package component

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// inquiryModel asks and answers by chance, and says what must be on the wire.
type inquiryModel struct {
	t     *testing.T
	rnd   *rand.Rand
	r     *rig
	conn  *xmpptest.Conn // nil: there is no link
	open  []*mapping.XMPPCommand
	since map[string]time.Time // of those, by id
	all   []*mapping.XMPPCommand
	due   []string       // answers that must have come: id and type or condition
	got   []string       // those that have
	refs  int            // answers that were delivered
	want  map[any]string // their outcomes
	trace []string
}

func (m *inquiryModel) note(format string, a ...any) {
	m.trace = append(m.trace, time.Now().Format("04:05.000 ")+fmt.Sprintf(format, a...))
}

// look compares what is on the wire with what must be there.
func (m *inquiryModel) look() {
	m.t.Helper()
	synctest.Wait()
	if m.conn == nil {
		return
	}
	for len(m.open) > 0 && time.Since(m.since[m.open[0].ID]) >= inquiryPatience {
		m.due = append(m.due, m.open[0].ID+" remote-server-timeout")
		m.open = m.open[1:]
	}
	for _, st := range fence(m.t, m.conn) {
		what := st.Type
		if what == "error" {
			what = st.Condition
		}
		m.got = append(m.got, st.ID+" "+what)
	}
	slices.Sort(m.due)
	slices.Sort(m.got)
	if !slices.Equal(m.due, m.got) {
		m.t.Fatalf("on the wire is\n%s\nwant\n%s\n%s", strings.Join(m.got, ", "), strings.Join(m.due, ", "), strings.Join(m.trace, "\n"))
	}
	m.due, m.got = nil, nil
}

func (m *inquiryModel) ask() {
	if m.conn == nil {
		return
	}
	id := fmt.Sprint("i", len(m.all)+len(m.trace))
	from := mapping.MustParseJID(fmt.Sprintf("u%d@example.com/%d", m.rnd.IntN(2), m.rnd.IntN(2)))
	m.note("%s asks %s", from, id)
	of := 0
	for _, c := range m.open {
		if c.From.Bare() == from.Bare() {
			of++
		}
	}
	send(m.t, m.conn, commandFrom(from.String(), id))
	synctest.Wait()
	asked := m.r.sink.inquiries()
	if of >= maxInquiriesOf {
		m.due = append(m.due, id+" resource-constraint")
		if len(asked) != 0 {
			m.t.Fatalf("one too many was handed over\n%s", strings.Join(m.trace, "\n"))
		}
		return
	}
	if len(asked) != 1 {
		m.t.Fatalf("%d handed over\n%s", len(asked), strings.Join(m.trace, "\n"))
	}
	c := asked[0].(*mapping.XMPPCommand)
	m.open, m.all, m.since[id] = append(m.open, c), append(m.all, c), time.Now()
}

// answer answers whichever, also what has been answered before.
func (m *inquiryModel) answer() {
	if len(m.all) == 0 {
		return
	}
	c := m.all[len(m.all)-1-m.rnd.IntN(min(len(m.all), 12))]
	m.refs++
	at := slices.Index(m.open, c)
	m.note("answer %d to %s", m.refs, c.ID)
	switch {
	case m.conn == nil:
		m.want[m.refs] = "not written"
	case at < 0:
		m.want[m.refs] = "refused"
	default:
		m.want[m.refs] = "processed"
		m.open = slices.Delete(m.open, at, at+1)
		m.due = append(m.due, c.ID+" result")
	}
	m.r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: m.refs, Value: answerTo(c)}})
}

// drop loses the link, or lets it return.
func (m *inquiryModel) drop() {
	if m.conn != nil {
		m.note("the link is lost")
		m.r.srv.Refuse(errors.New("down"))
		m.conn.Drop()
		m.conn = nil
		return
	}
	m.note("the link returns")
	m.r.srv.Refuse(nil)
	conn := m.r.srv.Accept()
	if !conn.Echoed(xmpptest.LinkCheck) {
		m.t.Fatal("the link did not come up")
	}
	m.conn = conn
}

// Whatever users ask, and whatever the handler and the link do: each has one answer.
func TestInquiryModel(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			r, conn := memory(t, xmpptest.Options{}, func(c *Config) { withCommands(t)(c); c.Barrier = BarrierSingle })
			m := &inquiryModel{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), r: r, conn: conn, since: make(map[string]time.Time), want: make(map[any]string)}
			m.note("seed %d", seed)
			for range 150 {
				switch n := m.rnd.IntN(100); {
				case n < 45:
					m.ask()
				case n < 75:
					m.answer()
				case n < 96:
					time.Sleep(time.Duration(m.rnd.IntN(20000)) * time.Millisecond)
				default:
					m.drop()
				}
				m.look()
			}
			if m.conn == nil {
				m.drop()
			}
			time.Sleep(inquiryPatience)
			m.look()
			if len(m.open) != 0 {
				t.Errorf("%d have no answer\n%s", len(m.open), strings.Join(m.trace, "\n"))
			}
			for ref := 1; ref <= m.refs; ref++ {
				kind := map[mapping.OutcomeKind]string{mapping.Processed: "processed", mapping.NotWritten: "not written", mapping.Refused: "refused"}[r.sink.outcome(t, ref).Kind]
				if kind != m.want[ref] {
					t.Errorf("seed %d: answer %d is %q, want %q", seed, ref, kind, m.want[ref])
				}
			}
			r.stop()
		})
	}
}
