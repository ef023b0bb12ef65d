// Package metrics is what Prometheus is told: the names, the help and the labels of
// everything that is measured, and the page that has the values. The values are gathered
// when somebody asks for them: nothing is counted here, and nobody who counts knows this
// package.
//
// No address of a user, a contact or a peer is ever a label. Labels are component names and
// domains of routes, as they are configured, and words of closed lists.
package metrics

import "github.com/prometheus/client_golang/prometheus"

// Kind is the kind of a metric.
type Kind string

// The kinds.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric describes one metric.
type Metric struct {
	Name   string
	Kind   Kind
	Help   string   // one sentence, without a full stop
	Labels []string //
	Values string   // in words: what the labels say

	desc *prometheus.Desc
}

// Section is a part of the list of metrics.
type Section struct {
	Title   string
	Metrics []*Metric
}

// Sections are all metrics of stox, in the order of the documentation.
var Sections []*Section

func section(title string) *Section {
	s := &Section{Title: title}
	Sections = append(Sections, s)
	return s
}

func (s *Section) add(kind Kind, name, help, values string, labels ...string) *Metric {
	m := &Metric{Name: "stox_" + name, Kind: kind, Help: help, Labels: labels, Values: values}
	m.desc = prometheus.NewDesc(m.Name, help, labels, nil)
	s.Metrics = append(s.Metrics, m)
	return m
}

func (s *Section) counter(name, help, values string, labels ...string) *Metric {
	return s.add(Counter, name+"_total", help, values, labels...)
}

func (s *Section) gauge(name, help, values string, labels ...string) *Metric {
	return s.add(Gauge, name, help, values, labels...)
}

func (s *Section) histogram(name, help, values string, labels ...string) *Metric {
	return s.add(Histogram, name, help, values, labels...)
}

// Batch takes the values of one scrape.
type Batch struct{ to chan<- prometheus.Metric }

// Put gives a counter or gauge its value. labels are in the order of m.Labels.
func (b *Batch) Put(m *Metric, value float64, labels ...string) {
	kind := prometheus.GaugeValue
	if m.Kind == Counter {
		kind = prometheus.CounterValue
	}
	v, err := prometheus.NewConstMetric(m.desc, kind, value, labels...)
	b.put(m, v, err)
}

// put hands on a value, or why there is none: a fault of one metric must not cost the
// daemon, which a panic in the middle of a scrape would.
func (b *Batch) put(m *Metric, v prometheus.Metric, err error) {
	if err != nil {
		v = prometheus.NewInvalidMetric(m.desc, err)
	}
	b.to <- v
}

// Flag is Put with 1 or 0.
func (b *Batch) Flag(m *Metric, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	b.Put(m, value, labels...)
}

// State puts a gauge for each of states, the last label, which is 1 for the one that is the
// state.
func (b *Batch) State(m *Metric, state string, states []string, labels ...string) {
	for _, s := range states {
		b.Flag(m, s == state, append(labels[:len(labels):len(labels)], s)...)
	}
}
