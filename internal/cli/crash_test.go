package cli

import (
	"bufio"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A daemon that crashes is to be started again. Service managers know it by the signal: the
// status of a Go program that has panicked, 2, means a fault of the configuration here
// (RestartPreventExitStatus=2 in the unit). SIGABRT is also what a watchdog sends.
func TestCrashIsNoFaultOfTheConfiguration(t *testing.T) {
	dir, file := queueConfig(t)
	cmd := exec.CommandContext(t.Context(), "stox", "run", "-c", file)
	cmd.Env = append(cmd.Environ(), "STOX_XMPP_SERVER=127.0.0.1:1", "STOX_SIP_LISTEN=udp://127.0.0.1:0",
		"STOX_STORE_PATH="+filepath.Join(dir, "stox.db"), "GOTRACEBACK=single")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(log)
	ready := false
	for !ready && said.Scan() {
		ready = strings.Contains(said.Text(), "msg=ready")
	}
	if !ready {
		t.Fatal("it has not become ready")
	}
	if err := cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	for said.Scan() { // what it says of its end
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("it ended with %v", err)
	}
	if ws := exit.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGABRT {
		t.Errorf("it ended with %v", err)
	}
}
