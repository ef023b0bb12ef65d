package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// old is set for a stox without a journal.
var old = os.Getenv("CHAOS_OLD") != ""

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
	if old {
		return nil
	}
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

// trails asks for the trail of messages of either direction: of those that ids
// names, each must be known. It returns those whose trail says "uncertain".
func (w *world) trails(ids []string) (uncertain map[string]bool, err error) {
	uncertain = make(map[string]bool)
	if old {
		return uncertain, nil
	}
	for _, id := range ids {
		out, err := w.command("trail", id)
		if err != nil {
			return nil, err
		}
		if strings.Contains(out, "uncertain") {
			uncertain[id] = true
		}
		if strings.Contains(out, secret) {
			return nil, fmt.Errorf("the text of a message is in its trail: %s", out)
		}
	}
	return uncertain, nil
}
