package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// command runs one of stox's commands beside the daemon.
func (w *world) command(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.stox.Bin, append(args, "-c", w.stox.Config)...)
	cmd.Env = w.stox.Environ()
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("stox %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}

// queueEmpty waits until nothing is left in the queue.
func (w *world) queueEmpty(limit time.Duration) error {
	beat := time.NewTicker(100 * time.Millisecond)
	defer beat.Stop()
	end := time.NewTimer(limit)
	defer end.Stop()
	for {
		out, err := w.command("queue", "list", "--json")
		if err == nil && strings.TrimSpace(out) == "" {
			return nil
		}
		select {
		case <-beat.C:
		case <-end.C:
			lines := strings.Split(strings.TrimSpace(out), "\n")
			return fmt.Errorf("%d messages stay in the queue (%v), the first: %s", len(lines), err, lines[0])
		}
	}
}

// trailDelay is how much of the trail a kill may take with it: a second, and what it
// takes to write it.
const trailDelay = 2 * time.Second

// sampled is how many messages of each kind are looked up: each starts a program.
const sampled = 10

// trails looks messages up as an operator does: some that ended in an odd way and
// that the log has not called uncertain, and some of the others, of which each must
// be known. It returns those that the trail calls uncertain.
func (w *world) trails() (uncertain map[string]bool) {
	uncertain = make(map[string]bool)
	odd, rest := w.book.ids()
	told, _ := listed(w.lines())
	odd = slices.DeleteFunc(odd, func(id string) bool { return told[id] })
	for _, ids := range [][]string{odd, rest} {
		w.rnd.Shuffle(len(ids), func(i, k int) { ids[i], ids[k] = ids[k], ids[i] })
	}
	odd, rest = odd[:min(len(odd), sampled)], rest[:min(len(rest), sampled)]
	for i, id := range append(odd, rest...) {
		out, err := w.command("trail", id)
		if err != nil && i >= len(odd) {
			w.fault("%v", err)
		}
		if strings.Contains(out, "uncertain") {
			uncertain[id] = true
		}
		if strings.Contains(out, secret) {
			w.fault("the text of a message is in its trail: %s", out)
		}
	}
	return uncertain
}

// ids are the ids of messages: those that arrived more than once, or although their
// sender was told that they did not, and the others, as far as the trail must know
// their end. A kill may take the last second of it.
func (l *ledger) ids() (odd, rest []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// What was sent just before a kill may be read a moment after it: until stox is
	// back, an answer is one from before.
	forgotten := func(end time.Time) bool {
		return slices.ContainsFunc(l.breaks, func(b rupture) bool {
			return b.kind == "kill" && (b.healed.IsZero() || end.Before(b.healed)) && end.After(b.at.Add(-trailDelay))
		})
	}
	for n, m := range l.toSIP {
		switch {
		case len(m.shown) > 1, len(m.shown) > 0 && len(m.errors) > 0:
			odd = append(odd, outboundID(n))
		case m.handed.IsZero(), !m.done(), len(m.errors) == 0 && forgotten(m.last), len(m.errors) > 0 && forgotten(m.told):
		default:
			rest = append(rest, outboundID(n))
		}
	}
	for _, m := range l.toXMPP {
		status, _ := m.final()
		switch {
		case m.id == "" || len(m.answers) == 0:
		case m.arrived > 1, m.arrived > 0 && status >= 300:
			odd = append(odd, m.id)
		case !forgotten(m.answers[0].at):
			rest = append(rest, m.id, m.callID)
		}
	}
	return odd, rest
}
