package statuspage

import (
	"fmt"

	"github.com/stoxgw/stox/internal/history"
)

// ladder is a message as a picture, drawn by the template ladder, and as the table beside it.
type ladder struct {
	Width, Height, Below int
	Columns              []ladderColumn
	Rows                 []ladderRow
	Omitted              int
}

type ladderColumn struct {
	X    int
	Name string
}

type ladderRow struct {
	Y, X1, X2 int
	Head      string // points of the head of an arrow; "": it is a box at X1
	Box       int    // its left edge
	LabelX    int
	LabelY    int
	Class     string
	Time      string
	Label     string
	Text      string
	From, To  string // names of the columns
}

const (
	ladderLeft, ladderGap, ladderRight = 140, 170, 60
	ladderTop, ladderStep, ladderBox   = 56, 40, 96
)

func drawLadder(m *history.Message) ladder {
	names := history.Columns()
	rows := history.Rows(m)
	l := ladder{Width: ladderLeft + ladderGap*(len(names)-1) + ladderRight, Height: ladderTop + ladderStep*len(rows), Omitted: m.Omitted}
	l.Below = l.Height - 10
	x := func(c history.Column) int { return ladderLeft + ladderGap*int(c) }
	for i, name := range names {
		l.Columns = append(l.Columns, ladderColumn{x(history.Column(i)), name})
	}
	for i, r := range rows {
		y := ladderTop + ladderStep*i + ladderStep/2
		d := ladderRow{
			Y: y, X1: x(r.From), X2: x(r.To), Class: string(r.Style), Time: history.Offset(r.After), Label: r.Label, Text: shown(r.Text),
			From: names[r.From], To: names[r.To], LabelX: (x(r.From) + x(r.To)) / 2, LabelY: y - 6,
		}
		switch {
		case r.From == r.To:
			d.Box, d.LabelY = d.X1-ladderBox/2, y+5
		case r.From < r.To:
			d.Head = fmt.Sprintf("%d,%d %d,%d %d,%d", d.X2, y, d.X2-10, y-5, d.X2-10, y+5)
		default:
			d.Head = fmt.Sprintf("%d,%d %d,%d %d,%d", d.X2, y, d.X2+10, y-5, d.X2+10, y+5)
		}
		l.Rows = append(l.Rows, d)
	}
	return l
}
