package history

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Column is one of those who have to do with a message, from left to right.
type Column int

// The columns of a ladder.
const (
	ColumnUser Column = iota
	ColumnServer
	ColumnStox
	ColumnPeer
	columns
)

// Columns are their names.
func Columns() []string { return []string{"XMPP user", "XMPP server", "stox", "SIP peer"} }

// Style says what a Row is.
type Style string

// The styles of rows.
const (
	StyleMessage Style = "message" // something was said
	StyleBarrier Style = "barrier" // the proof that what was said before has been handled
	StyleJournal Style = "journal" // something was written to the disk, or read there
	StyleTrouble Style = "trouble" // something went wrong, or did not come
	StyleRemark  Style = "remark"  // nothing of these
)

// Row is a line of a ladder: an arrow, or something at one column if From is To.
type Row struct {
	After    time.Duration
	From, To Column
	Style    Style
	Label    string // a word or two at the arrow
	Text     string // what happened, a sentence without its full stop
}

// Rows are the ladder of a message. Their texts have what others have chosen.
func Rows(m *Message) []Row {
	rows := make([]Row, 0, len(m.Steps))
	for i := range m.Steps {
		r := rowOf(m, &m.Steps[i])
		r.After = m.Steps[i].After
		rows = append(rows, r)
	}
	return rows
}

func arrow(from, to Column, label, text string) Row {
	return Row{From: from, To: to, Style: StyleMessage, Label: label, Text: text}
}

func at(c Column, style Style, label, text string) Row {
	return Row{From: c, To: c, Style: style, Label: label, Text: text}
}

// trouble is r, gone wrong.
func trouble(r Row) Row {
	r.Style = StyleTrouble
	return r
}

func rowOf(m *Message, s *Step) Row {
	if m.FromSIP {
		return rowFromSIP(s)
	}
	return rowFromXMPP(s)
}

func rowFromXMPP(s *Step) Row {
	switch s.Kind {
	case Read:
		return arrow(ColumnUser, ColumnStox, "message", "read from the XMPP server")
	case Refused:
		return trouble(arrow(ColumnStox, ColumnUser, "error", "not taken, and the sender is told so"+because(s)))
	case Early:
		return arrow(ColumnStox, ColumnPeer, "MESSAGE", "sent at once, while the journal writes it down")
	case Sent:
		return arrow(ColumnStox, ColumnPeer, "MESSAGE", "sent"+which(s))
	case Answer:
		r := arrow(ColumnPeer, ColumnStox, status(s), "SIP answers"+said(s))
		if s.Status >= 300 {
			return trouble(r)
		}
		return r
	case NoAnswer:
		return trouble(arrow(ColumnPeer, ColumnStox, "no answer", "no answer comes: it may have arrived"+because(s)))
	case NotSent:
		return at(ColumnStox, StyleTrouble, "not sent", "nothing has left"+because(s))
	case Retry:
		return at(ColumnStox, StyleRemark, "again", strings.TrimSpace("to be tried again "+s.Text))
	case Split:
		return at(ColumnStox, StyleRemark, "split", "too long for one request: it goes in parts")
	case Told:
		return trouble(arrow(ColumnStox, ColumnUser, "error", "the error is written for the sender"+because(s)))
	case Reported:
		return Row{From: ColumnServer, To: ColumnStox, Style: StyleBarrier, Label: "barrier", Text: "the barrier behind the error comes back: the XMPP server has it"}
	case Untold:
		return at(ColumnStox, StyleTrouble, "untold", "the sender cannot be told")
	case Receipt:
		return arrow(ColumnStox, ColumnUser, "receipt", "the sender is told: "+s.Text)
	}
	return either(s)
}

func rowFromSIP(s *Step) Row {
	switch s.Kind {
	case Read:
		return arrow(ColumnPeer, ColumnStox, "MESSAGE", "read from SIP")
	case Refused:
		return trouble(arrow(ColumnStox, ColumnPeer, status(s), "not taken"+because(s)))
	case Sent:
		return arrow(ColumnStox, ColumnUser, "message", "written to the XMPP server")
	case Processed:
		return Row{From: ColumnServer, To: ColumnStox, Style: StyleBarrier, Label: "barrier", Text: "the barrier comes back: the XMPP server has handled the message"}
	case Bounced:
		return trouble(arrow(ColumnServer, ColumnStox, "error", "the XMPP server gives it back"+because(s)))
	case Unwritten:
		return at(ColumnStox, StyleTrouble, "no link", "no link to the XMPP server takes it"+because(s))
	case Unproved:
		return at(ColumnServer, StyleTrouble, "no barrier", "the barrier does not come back in time: it was handed over, nothing more is known")
	case LinkLost:
		return at(ColumnServer, StyleTrouble, "link lost", "the link is lost behind it: it may have arrived")
	case Answered:
		r := arrow(ColumnStox, ColumnPeer, status(s), "SIP is answered"+said(s))
		if s.Status >= 300 {
			return trouble(r)
		}
		return r
	case Joined:
		return arrow(ColumnPeer, ColumnStox, "repeat", "it comes again while it is under way: one answer counts for both")
	case Repeated:
		return arrow(ColumnPeer, ColumnStox, "repeat", "it comes again and gets the same answer")
	case Late:
		return trouble(arrow(ColumnServer, ColumnStox, "error", "an error comes after the answer"+because(s)))
	case Receipt:
		return arrow(ColumnStox, ColumnPeer, "receipt", "the sender is told: "+s.Text)
	}
	return either(s)
}

func either(s *Step) Row {
	switch s.Kind {
	case Journaled:
		return at(ColumnStox, StyleJournal, "journal", "in the journal: from now on a crash does not lose it")
	case Loaded:
		return at(ColumnStox, StyleJournal, "journal", "read from the journal again")
	}
	text := s.Text
	if text == "" {
		text = s.Kind
	}
	return at(ColumnStox, StyleRemark, "note", text)
}

// because is the reason of a step, behind what it is.
func because(s *Step) string {
	switch {
	case s.Text != "":
		return ": " + strings.TrimSuffix(s.Text, ".")
	case s.Condition != "":
		return ": " + s.Condition
	}
	return ""
}

// said is a status with what was said beside it, which mostly begins with the status.
func said(s *Step) string {
	switch {
	case s.Text != "" && !strings.HasPrefix(s.Text, status(s)):
		return " " + status(s) + ": " + strings.TrimSuffix(s.Text, ".")
	case s.Text != "":
		return " " + strings.TrimSuffix(s.Text, ".")
	}
	return " " + status(s)
}

func status(s *Step) string {
	if s.Status == 0 {
		return "answer"
	}
	return strconv.Itoa(s.Status)
}

// which request of the message it is, if there are several.
func which(s *Step) string {
	switch {
	case s.Of > 1:
		return fmt.Sprintf(", part %d of %d", s.N, s.Of)
	case s.N > 1:
		return fmt.Sprintf(" once more, attempt %d", s.N)
	}
	return ""
}

const (
	ladderTime = 11 // characters before the first column
	ladderGap  = 14 // between columns
	ladderText = ladderTime + ladderGap*(int(columns)-1) + 3
)

// Ladder draws a message as text, a line for each step, in 53 characters and the sentence
// behind them. clean makes of what others have chosen what a terminal can be given.
func Ladder(m *Message, clean func(string) string) string {
	var b strings.Builder
	head := []byte(strings.Repeat(" ", ladderText+8))
	for i, name := range Columns() {
		copy(head[max(pos(Column(i))-len(name)/2, 0):], name)
	}
	b.WriteString(strings.TrimRight(string(head), " ") + "\n")
	for _, r := range Rows(m) {
		line := r.draw()
		copy(line, fmt.Sprintf("%*s", ladderTime-3, Offset(r.After)))
		b.WriteString(string(line) + clean(r.Text) + "\n")
	}
	if m.Omitted > 0 {
		fmt.Fprintf(&b, "%*s%d steps between the first ones and the last ones are left out\n", ladderText, "", m.Omitted)
	}
	return b.String()
}

// Offset is a time since a message was read, as it stands in a ladder.
func Offset(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 10*time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	return d.Round(time.Second).String()
}

func pos(c Column) int { return ladderTime + ladderGap*int(c) }

// draw is the line of a row but for the time and the sentence.
func (r *Row) draw() []byte {
	line := []byte(strings.Repeat(" ", ladderText))
	for c := range columns {
		line[pos(c)] = '|'
	}
	label := " " + r.Label + " "
	if r.From == r.To {
		label = "[" + r.Label + "]"
		copy(line[max(pos(r.From)-len(label)/2, 0):], label)
		return line
	}
	from, to := min(pos(r.From), pos(r.To))+1, max(pos(r.From), pos(r.To))
	stroke := byte('-')
	switch r.Style {
	case StyleBarrier:
		stroke = '='
	case StyleTrouble:
		stroke = '~'
	}
	for i := from; i < to; i++ {
		line[i] = stroke
	}
	if r.From < r.To {
		line[to-1] = '>'
	} else {
		line[from] = '<'
	}
	copy(line[from+(to-from-len(label))/2:], label)
	return line
}
