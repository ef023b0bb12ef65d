package metrics

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/stoxgw/stox/internal/hist"
)

//go:generate go test . -run TestDocumented -update

var update = flag.Bool("update", false, "write the generated files")

// TestDocumented: docs/metrics.md is what the list says.
func TestDocumented(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "metrics.md")
	intro, err := os.ReadFile("intro.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("# Metrics\n\n<!-- Made from internal/metrics by go generate ./internal/metrics. Do not edit. -->\n\n")
	b.Write(intro)
	b.WriteString("\n## The list\n\nBesides these there are those of the Go runtime (`go_…`) and of the process (`process_…`).\n")
	for _, s := range Sections {
		fmt.Fprintf(&b, "\n### %s\n\n| metric | kind | what it says |\n|---|---|---|\n", s.Title)
		for _, m := range s.Metrics {
			text := m.Help + "."
			if m.Values != "" {
				text += " Labels: " + m.Values + "."
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m.Name, m.Kind, text)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), b.String()); diff != "" {
		t.Errorf("%s is stale (go generate ./internal/metrics); -file +now\n%s", file, diff)
	}
}

// Names are as Prometheus wants them, each is there once, and what its labels say is said.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Sections {
		for _, m := range s.Metrics {
			if !regexp.MustCompile(`^stox_[a-z]+(_[a-z]+)*$`).MatchString(m.Name) || seen[m.Name] {
				t.Errorf("%s is there twice, or no name", m.Name)
			}
			seen[m.Name] = true
			if strings.HasSuffix(m.Name, "_total") != (m.Kind == Counter) {
				t.Errorf("%s is a %s", m.Name, m.Kind)
			}
			if m.Kind == Histogram && !strings.HasSuffix(m.Name, "_seconds") && !strings.HasSuffix(m.Name, "_rows") {
				t.Errorf("%s has no unit", m.Name)
			}
			if m.Help == "" || strings.HasSuffix(m.Help, ".") {
				t.Errorf("%s: help %q", m.Name, m.Help)
			}
			for _, l := range m.Labels {
				if !strings.Contains(m.Values, "`"+l+"`") && m != BuildInfo {
					t.Errorf("%s: nothing is said of the label %s", m.Name, l)
				}
			}
		}
	}
}

// What the rules and the dashboard ask for is in the list, with the labels they name.
func TestContribAsksForWhatThereIs(t *testing.T) {
	names := map[string]*Metric{}
	for _, s := range Sections {
		for _, m := range s.Metrics {
			names[m.Name] = m
			if m.Kind == Histogram {
				for _, part := range []string{"_bucket", "_sum", "_count"} {
					names[m.Name+part] = m
				}
			}
		}
	}
	asked := regexp.MustCompile(`\b(stox_[a-z_]+)(?:\{([^}]*)\})?`)
	label := regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	for _, file := range []string{"prometheus/stox.rules.yml", "prometheus/stox.rules.test.yml", "grafana/stox.json"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "contrib", file))
		if err != nil {
			t.Fatal(err)
		}
		found := asked.FindAllStringSubmatch(string(b), -1)
		if len(found) < 10 {
			t.Errorf("%s: only %d metrics found", file, len(found))
		}
		for _, f := range found {
			m := names[f[1]]
			if m == nil {
				t.Errorf("%s asks for %s, which there is not", file, f[1])
				continue
			}
			for _, l := range label.FindAllStringSubmatch(f[2], -1) {
				if !slices.Contains(append([]string{"instance", "job", "le"}, m.Labels...), l[1]) {
					t.Errorf("%s: %s has no label %s", file, f[0], l[1])
				}
			}
		}
	}
}

// The alerts of the rules are documented, each with what to do.
func TestAlertsAreDocumented(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join("..", "..", "contrib", "prometheus", "stox.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(filepath.Join("..", "..", "contrib", "prometheus", "stox.rules.test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	intro, err := os.ReadFile("intro.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`(?m)^ *- alert: (\w+)$`).FindAllStringSubmatch(string(rules), -1)
	if len(alerts) < 10 {
		t.Fatalf("%d alerts", len(alerts))
	}
	for _, a := range alerts {
		if !strings.Contains(string(intro), "| `"+a[1]+"` |") {
			t.Errorf("%s is not in intro.md", a[1])
		}
		if !strings.Contains(string(tests), "alertname: "+a[1]+"\n") {
			t.Errorf("%s is not tested", a[1])
		}
	}
}

// fill puts a value for each metric of the list.
func fill(b *Batch) {
	for _, s := range Sections {
		for _, m := range s.Metrics {
			labels := make([]string, len(m.Labels))
			for i := range labels {
				labels[i] = fmt.Sprint("value", i)
			}
			if m.Kind == Histogram {
				var h hist.Histogram
				for _, v := range []float64{0, 0.0003, 0.02, 1000} {
					h.Add(v, hist.Seconds)
				}
				b.Histogram(m, &h, hist.Seconds, labels...)
				continue
			}
			b.Put(m, 3, labels...)
		}
	}
}

// What is put is what was announced, and each metric can be had.
func TestPage(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(collector(fill))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range Sections {
		n += len(s.Metrics)
	}
	if len(families) != n {
		t.Errorf("%d metrics of %d", len(families), n)
	}
	srv := httptest.NewServer(Page(fill, slog.New(slog.DiscardHandler)))
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	for _, want := range []string{
		"# HELP stox_journal_commit_seconds How long commits took\n# TYPE stox_journal_commit_seconds histogram\n",
		`stox_journal_commit_seconds_bucket{le="0.0005"} 2` + "\n", `stox_journal_commit_seconds_bucket{le="30"} 3` + "\n", `stox_journal_commit_seconds_bucket{le="+Inf"} 4` + "\n",
		`stox_messages_total{direction="value0",outcome="value1"} 3` + "\n", "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// A histogram has both kinds of buckets, and as many in each.
func TestBothHistograms(t *testing.T) {
	out := make(chan prometheus.Metric, 1)
	var h hist.Histogram
	values := []float64{0, 0.0003, 0.02, 0.021, 1000}
	for _, v := range values {
		h.Add(v, hist.Seconds)
	}
	(&Batch{out}).Histogram(CommitTime, &h, hist.Seconds)
	var got dto.Metric
	if err := (<-out).Write(&got); err != nil {
		t.Fatal(err)
	}
	g := got.Histogram
	if g.GetSampleCount() != 5 || math.Abs(g.GetSampleSum()-1000.0413) > 1e-9 || g.GetZeroCount() != 1 || g.GetSchema() != hist.Schema {
		t.Errorf("%v", g)
	}
	if n := len(g.Bucket); n != len(hist.Seconds) || g.Bucket[n-1].GetCumulativeCount() != 4 {
		t.Errorf("classic: %v", g.Bucket)
	}
	at, n, total, i := int32(0), int64(0), int64(0), 0
	for _, span := range g.PositiveSpan { // each value is in the bucket where it belongs
		at += span.GetOffset()
		for range span.GetLength() {
			n += g.PositiveDelta[i]
			total += n
			i++
			upper, lower := math.Exp2(float64(at)/4), math.Exp2(float64(at-1)/4)
			within := int64(0)
			for _, v := range values {
				if v > lower && v <= upper {
					within++
				}
			}
			if within != n {
				t.Errorf("%d in (%v, %v], want %d", n, lower, upper, within)
			}
			at++
		}
	}
	if total != 4 {
		t.Errorf("%d in native buckets", total)
	}
}

// A fault of one metric is a fault of that one.
func TestFaultyMetric(t *testing.T) {
	srv := httptest.NewServer(Page(func(b *Batch) {
		b.Put(Messages, 1, "too few labels")
		b.Put(LinkUp, 1, "not \xff UTF-8")
		b.Histogram(CommitTime, new(hist.Histogram), hist.Seconds, "too many labels")
		b.Put(Early, 7)
	}, slog.New(slog.DiscardHandler)))
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), "stox_messages_early_total 7\n") {
		t.Errorf("%s %v\n%.300s", resp.Status, err, text)
	}
}
