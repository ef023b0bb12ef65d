package statuspage

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// plot is a picture of the last hour: lines over time, drawn by the template plot.
type plot struct {
	ID, Title, Desc string
	Lines           []line
	Y, X            []tick
	Empty           bool
}

type line struct {
	Name, Class string
	Parts       []string // points of each part without a gap
	Now         string   // the last value, in words
}

type tick struct {
	At    float64
	Label string
}

// The picture, in units of its own.
const (
	plotWidth, plotHeight                   = 640, 190
	plotLeft, plotRight, plotTop, plotBelow = 56, 632, 10, 166
)

// scale says where a value is drawn.
type scale struct {
	low, high float64
	log       bool
}

func (s scale) y(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		v, low, high = math.Log10(max(v, s.low)), math.Log10(low), math.Log10(high)
	}
	return plotBelow - (min(v, high)-low)/(high-low)*(plotBelow-plotTop)
}

// linear has room for values up to most, and marks at round ones.
func linear(most float64) (s scale, marks []tick) {
	step := roundStep(most / 4)
	s = scale{high: 4 * step}
	for v := 0.0; v <= s.high; v += step {
		marks = append(marks, tick{s.y(v), number(v)})
	}
	return s, marks
}

// roundStep is the smallest of 1, 2, 5, 10, 20 and so on that is not below v.
func roundStep(v float64) float64 {
	for step := 1.0; step < 1e15; step *= 10 {
		for _, f := range []float64{1, 2, 5} {
			if step*f >= v {
				return step * f
			}
		}
	}
	return v
}

// decades has room for times up to most, from a tenth of a millisecond on.
func decades(most float64) (s scale, marks []tick) {
	s = scale{low: 0.0001, high: 0.01, log: true}
	for s.high < most && s.high < 1000 {
		s.high *= 10
	}
	for v := s.low; v <= s.high*1.001; v *= 10 {
		marks = append(marks, tick{s.y(v), took(v)})
	}
	return s, marks
}

// series makes the line of a value of the samples.
func series(all []sample, now time.Time, s scale, name, class string, value func(*sample) float64, words func(float64) string) line {
	l := line{Name: name, Class: class, Now: "none"}
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			l.Parts = append(l.Parts, b.String())
			b.Reset()
		}
	}
	for i := range all {
		v := value(&all[i])
		if math.IsNaN(v) {
			flush()
			l.Now = "none"
			continue
		}
		l.Now = words(v)
		x := xOf(all[i].at, now)
		if b.Len() == 0 && (i == len(all)-1 || math.IsNaN(value(&all[i+1]))) { // a point alone would not be seen
			fmt.Fprintf(&b, "%.1f,%.1f ", x-1.6, s.y(v))
		}
		fmt.Fprintf(&b, "%.1f,%.1f ", x, s.y(v))
	}
	flush()
	return l
}

func xOf(t, now time.Time) float64 {
	return plotRight - now.Sub(t).Seconds()/time.Hour.Seconds()*(plotRight-plotLeft)
}

// plots are those of the last hour.
func plots(all []sample, now time.Time) []plot {
	var fast, slow, long float64
	for i := range all {
		fast = max(fast, all[i].toSIP, all[i].toXMPP, all[i].failed)
		long = max(long, float64(all[i].queue))
		if !math.IsNaN(all[i].p99) {
			slow = max(slow, all[i].p99)
		}
	}
	x := hours(now)
	perSecond := func(v float64) string { return number(v) + " a second" }
	rates, rateMarks := linear(fast)
	times, timeMarks := decades(slow)
	queues, queueMarks := linear(long)
	out := []plot{
		{ID: "rate", Title: "Messages a second", Y: rateMarks, Lines: []line{
			series(all, now, rates, "XMPP to SIP", "a", func(s *sample) float64 { return s.toSIP }, perSecond),
			series(all, now, rates, "SIP to XMPP", "b", func(s *sample) float64 { return s.toXMPP }, perSecond),
			series(all, now, rates, "failed or refused", "bad", func(s *sample) float64 { return s.failed }, perSecond),
		}},
		{ID: "latency", Title: "How long deliveries took", Y: timeMarks, Lines: []line{
			series(all, now, times, "half of them, at most", "a", func(s *sample) float64 { return s.p50 }, took),
			series(all, now, times, "99 of 100, at most", "b", func(s *sample) float64 { return s.p99 }, took),
		}},
		{ID: "queue", Title: "Messages that wait", Y: queueMarks, Lines: []line{
			series(all, now, queues, "in memory and on the disk", "a", func(s *sample) float64 { return float64(s.queue) }, number),
		}},
	}
	for i := range out {
		out[i].X, out[i].Empty = x, len(all) == 0
		var now []string
		for _, l := range out[i].Lines {
			now = append(now, l.Name+": "+l.Now)
		}
		out[i].Desc = "The last hour. At its end: " + strings.Join(now, "; ") + ". The numbers are in the table below."
	}
	return out
}

// hours are marks every ten minutes.
func hours(now time.Time) (x []tick) {
	for t := now.Truncate(10 * time.Minute); now.Sub(t) <= time.Hour; t = t.Add(-10 * time.Minute) {
		if at := xOf(t, now); at > plotLeft+12 && at < plotRight-12 {
			x = append(x, tick{at, t.Format("15:04")})
		}
	}
	return x
}

// row is five minutes of the last hour, in numbers.
type row struct {
	From, To              time.Time
	ToSIP, ToXMPP, Failed string
	P50, P99              string
	Queue                 int
}

// table says in numbers what the plots draw: of rates the mean, of the rest the worst.
func table(all []sample) (rows []row) {
	const each = 30
	for end := len(all); end > 0; end -= each {
		part := all[max(end-each, 0):end]
		r := row{From: part[0].at.Add(-sampleEvery), To: part[len(part)-1].at, P50: "none", P99: "none"}
		var sip, xmpp, failed, p50, p99 float64
		for i := range part {
			s := &part[i]
			sip, xmpp, failed = sip+s.toSIP, xmpp+s.toXMPP, failed+s.failed
			r.Queue = max(r.Queue, s.queue)
			if !math.IsNaN(s.p50) {
				p50, p99 = max(p50, s.p50), max(p99, s.p99)
				r.P50, r.P99 = took(p50), took(p99)
			}
		}
		n := float64(len(part))
		r.ToSIP, r.ToXMPP, r.Failed = number(sip/n), number(xmpp/n), number(failed/n)
		rows = append(rows, r)
	}
	return rows
}

// number is v as people write it: three digits are enough.
func number(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + " million"
	case v >= 100 || v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// took is a time in seconds, in words.
func took(v float64) string {
	switch {
	case v < 0.001:
		return number(math.Round(v*1e7)/10) + " µs"
	case v < 1:
		return number(math.Round(v*1e4)/10) + " ms"
	}
	return number(math.Round(v*10)/10) + " s"
}
