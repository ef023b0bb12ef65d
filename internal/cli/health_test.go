package cli

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/admin"
)

// healthyQueue is a daemon that says how it does.
type healthyQueue struct {
	*daemonQueue
	h admin.Health
}

func (q healthyQueue) Health(context.Context) (admin.Health, error) { return q.h, nil }

// The status is for those who start a daemon again, the lines are for people.
func TestHealthCommand(t *testing.T) {
	var well, down, stuck admin.Health
	well.Put(admin.CheckProcess, true, "all parts are at work")
	well.Put(admin.CheckLink, true, "up")
	down.Put(admin.CheckProcess, true, "all parts are at work")
	down.Put(admin.CheckLink, false, "refused\x1b[2J: start the server")
	stuck.Put(admin.CheckProcess, false, "the bridge stands still")
	for _, tt := range []struct {
		name         string
		h            admin.Health
		ready, alive int
		want         string
	}{
		{"well", well, exitOK, exitOK, "ok process: all parts are at work\nok link: up\n"},
		{"no link", down, exitFailure, exitOK, "ok process: all parts are at work\nfail link: refused\\x1b[2J: start the server\n"},
		{"stuck", stuck, exitFailure, exitFailure, "fail process: the bridge stands still\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, file := queueConfig(t)
			stop, err := startDaemon(filepath.Join(dir, "stox.sock"), healthyQueue{&daemonQueue{}, tt.h})
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			s, out, errOut := std("")
			if code := Main([]string{"health", "-c", file}, s); code != tt.ready || out.String() != tt.want || errOut.Len() > 0 {
				t.Errorf("status %d, %q, %q", code, out, errOut)
			}
			s, out, _ = std("")
			if code := Main([]string{"health", "--alive", "--json", "-c", file}, s); code != tt.alive || !strings.HasPrefix(out.String(), `{"alive":`) {
				t.Errorf("--alive: status %d, %q", code, out)
			}
		})
	}
}

// Nobody there, and somebody of an earlier version.
func TestHealthWithoutAnAnswer(t *testing.T) {
	dir, file := queueConfig(t)
	s, out, errOut := std("")
	if code := Main([]string{"health", "--alive", "-c", file}, s); code != exitFailure || out.Len() > 0 || !strings.Contains(errOut.String(), "no daemon answers at") {
		t.Errorf("status %d, %q, %q", code, out, errOut)
	}
	stop, err := startDaemon(filepath.Join(dir, "stox.sock"), &daemonQueue{})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	s, out, errOut = std("")
	if code := Main([]string{"health", "-c", file}, s); code != exitFailure || out.Len() > 0 || errOut.Len() == 0 {
		t.Errorf("status %d, %q, %q", code, out, errOut)
	}
	s, _, _ = std("")
	if code := Main([]string{"health", "-c", filepath.Join(dir, "none.toml")}, s); code != exitConfig {
		t.Errorf("status %d without a configuration", code)
	}
}
