package cli

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// All threads are scheduled in batches, those that come later too; a policy that somebody has
// chosen stays.
func TestScheduleAsBatch(t *testing.T) {
	t.Cleanup(func() {
		if err := reschedule(unix.SCHED_BATCH, unix.SCHED_NORMAL); err != nil {
			t.Error(err)
		}
		wantPolicy(t, unix.SCHED_NORMAL)
	})
	if err := scheduleAsBatch(); err != nil {
		t.Fatal(err)
	}
	later, done := make(chan struct{}), make(chan struct{})
	defer close(done)
	for range 4 {
		go func() {
			runtime.LockOSThread() // and the thread ends with this
			later <- struct{}{}
			<-done
		}()
	}
	for range 4 {
		<-later
	}
	wantPolicy(t, unix.SCHED_BATCH)
	if err := reschedule(unix.SCHED_NORMAL, unix.SCHED_IDLE); err != nil {
		t.Fatal(err)
	}
	wantPolicy(t, unix.SCHED_BATCH)
}

// Where a policy is taken and nothing changes, that is an error, and not waited for.
func TestScheduleWithoutEffect(t *testing.T) {
	if err := reschedule(unix.SCHED_NORMAL, unix.SCHED_NORMAL); !errors.Is(err, errPolicy) {
		t.Errorf("%v, want %v", err, errPolicy)
	}
}

// wantPolicy checks all threads there are.
func wantPolicy(t *testing.T, want uint32) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		attr, err := unix.SchedGetAttr(id, 0)
		if err == unix.ESRCH {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if n++; attr.Policy != want {
			t.Errorf("thread %d has policy %d, want %d", id, attr.Policy, want)
		}
	}
	if n == 0 {
		t.Error("no threads")
	}
}
