package metrics

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes at the same time are answered; one more gets 503.
const maxScrapes = 4

// Page is the page that Prometheus reads: what gather puts into a Batch, the Go runtime and
// the process. gather may be called by several goroutines at a time and must not block.
func Page(gather func(*Batch), log *slog.Logger) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector(gather), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// What can be told is told: a metric that is missing is not as bad as all of them.
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics:   true,
	})
}

// collector asks for the values when somebody wants them.
type collector func(*Batch)

func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, s := range Sections {
		for _, m := range s.Metrics {
			out <- m.desc
		}
	}
}

func (c collector) Collect(out chan<- prometheus.Metric) { c(&Batch{out}) }
