// Command chaos breaks what stox depends on while numbered messages cross it in
// both directions, and holds what became of each of them against the delivery
// contract (docs/reliability.md). Each scenario has programs of its own: an XMPP
// server, stox, XMPP clients and a SIP peer, in a private directory.
//
// Everything that is drawn comes from the seed, which is printed; what the machine
// makes of it is not the same every time.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/stoxgw/stox/test/stage"
)

func main() {
	var (
		long    = flag.Bool("long", false, "the long form: some four minutes")
		seed    = flag.Uint64("seed", 0, "what is drawn; 0: by the time")
		only    = flag.String("run", "", "the scenarios whose names match")
		verbose = flag.Bool("v", false, "tell what happens")
		keep    = flag.Bool("keep", false, "keep the directory also if all went well")
		at      = flag.Int("parallel", 7, "scenarios at the same time")
	)
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	f := form{rate: 40, rounds: 1, kills: 10, verbose: *verbose, seed: *seed}
	limit := 3 * time.Minute
	if *long {
		f.long, f.rate, f.rounds, f.kills = true, 80, 6, 35
		limit = 10 * time.Minute
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ok, err := prove(ctx, f, *only, *at, *keep)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if err != nil || !ok {
		fmt.Printf("To draw the same again: SEED=%d\n", *seed)
		stop()
		os.Exit(1)
	}
}

// result is what a scenario came to.
type result struct {
	name   string
	rows   []row
	faults []string
	err    error
	took   time.Duration
}

// prove runs the scenarios and prints the report.
func prove(ctx context.Context, f form, only string, parallel int, keep bool) (ok bool, err error) {
	began := time.Now()
	match, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "stox-chaos-")
	if err != nil {
		return false, err
	}
	defer func() {
		if ok && !keep {
			os.RemoveAll(dir)
		} else {
			fmt.Println("The logs are in", dir)
		}
	}()
	fmt.Printf("SEED=%d\n", f.seed)
	bin, err := stage.BuildStox(ctx, dir, true)
	if err != nil {
		return false, err
	}
	all := slices.DeleteFunc(scenarios(), func(s scenario) bool {
		return s.long && !f.long || !match.MatchString(s.name)
	})
	disk := new(stalls)
	probe, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	var probed error
	watcher.Go(func() { probed = disk.watch(probe, dir) })
	results := make([]result, len(all))
	next := make(chan int)
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for i := range next {
				results[i] = perform(ctx, filepath.Join(dir, all[i].name), bin, all[i], f, disk)
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	wg.Wait()
	stop()
	watcher.Wait()
	if probed != nil {
		return false, probed
	}
	ok = report(results)
	fmt.Printf("%d scenarios in %.0f s\n", len(results), time.Since(began).Seconds())
	return ok && len(results) > 0, nil
}

// perform runs one scenario.
func perform(ctx context.Context, dir, bin string, s scenario, f form, disk *stalls) (r result) {
	began := time.Now()
	r.name = s.name
	defer func() { r.took = time.Since(began) }()
	for _, c := range strings.TrimSuffix(s.name, noEarly) { // its twin draws the same
		f.seed = draw(f.seed, int(c))
	}
	w, err := newWorld(ctx, dir, bin, s.name, s.server, f, disk, f.seed, s.env)
	if err != nil {
		r.err = err
		return r
	}
	run, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		w.traffic.stop()
		w.Close()
		w.wg.Wait()
		w.traffic.open.Wait()
		os.WriteFile(filepath.Join(dir, "stox.log"), []byte(strings.Join(w.lines(), "\n")), 0o600)
		os.WriteFile(filepath.Join(dir, "all.log"), []byte(w.Logs()), 0o600)
	}()
	if r.err = w.scene(run, s); r.err != nil {
		return r // what became of the messages is nobody's fault then
	}
	w.book.slowed(disk)
	r.rows, r.faults = w.book.judge(w.evidence())
	r.faults = append(w.faults, r.faults...)
	if err := w.inspect(); err != nil {
		r.faults = append(r.faults, err.Error())
	}
	return r
}

// scene is a scenario from its start to the end of stox.
func (w *world) scene(ctx context.Context, s scenario) error {
	if err := w.start(ctx); err != nil {
		return err
	}
	if err := s.run(w); err != nil {
		return err
	}
	settle := s.settle
	if settle == 0 {
		settle = 20 * time.Second
	}
	if err := w.finish(settle); err != nil {
		return err
	}
	return w.stopStox()
}

// compare says what early send costs in kills, next to its twin without it, and
// reports whether it is no more than chance makes of the same risk. What the server
// wrote after the kill is the same risk for both.
func compare(early, late *row) (alike bool) {
	if early == nil || late == nil {
		return true
	}
	fmt.Printf("lost in the gap with early send: %d, without: %d; kills that cost something which had reached stox: %d of %d, and %d of %d\n",
		early.gap, late.gap, early.hurt, early.breaks, late.hurt, late.breaks)
	n1, n2 := float64(early.breaks), float64(late.breaks)
	p := float64(early.hurt+late.hurt) / (n1 + n2)
	spread := math.Sqrt(p * (1 - p) * (1/n1 + 1/n2))
	if float64(early.hurt)/n1-float64(late.hurt)/n2 > 3*spread {
		fmt.Println("BROKEN: early send costs more")
		return false
	}
	return true
}

// find is what a scenario came to in the direction to SIP; nil if it was not played.
func find(results []result, name string) *row {
	for _, r := range results {
		if r.name == name && len(r.rows) > 0 {
			return &r.rows[0]
		}
	}
	return nil
}

// report prints the table, then the faults.
func report(results []result) (ok bool) {
	ok = true
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "scenario\t\tsent\tarrived\terrors\t202\tuncertain\tlost in the gap\ttwice\tverdict\tseconds\t")
	for _, r := range results {
		verdict := "holds"
		if len(r.faults) > 0 {
			verdict, ok = "BROKEN", false
		}
		if r.err != nil {
			ok = false
			fmt.Fprintf(t, "%s\t\t\t\t\t\t\t\t\tFAILED\t%.0f\t\n", r.name, r.took.Seconds())
		}
		for i, row := range r.rows {
			name, last, seconds := r.name, verdict, fmt.Sprintf("%.0f", r.took.Seconds())
			if i > 0 {
				name, last, seconds = "", "", ""
			}
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t\n", name, row.way, row.sent, row.delivered, row.errors, row.handed, row.uncertain, row.gap, row.twice, last, seconds)
		}
	}
	t.Flush()
	for _, r := range results {
		for _, row := range r.rows {
			if len(row.lost) > 0 {
				fmt.Printf("%s: lost in the gap, as they reached stox before (-) or after the break: %v\n", r.name, row.lost)
			}
		}
	}
	if !compare(find(results, "kill-9"), find(results, "kill-9"+noEarly)) {
		ok = false
	}
	const most = 15
	for _, r := range results {
		for i, f := range r.faults {
			if i == most {
				fmt.Printf("%s: and %d more\n", r.name, len(r.faults)-most)
				break
			}
			fmt.Printf("%s: %s\n", r.name, f)
		}
		if r.err != nil {
			fmt.Printf("%s: %v\n", r.name, r.err)
		}
	}
	return ok
}
