package cli

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// scheduleAsBatch has the kernel schedule the process as one that works in batches
// (SCHED_BATCH, sched(7)): it gets its share of the CPU as before, but it does not interrupt
// whoever runs when something comes for it. The XMPP server or the proxy on the same machine
// gets to say all that it has to say, and more messages share a system call, a barrier and a
// commit. Only the ordinary policy is replaced: who has chosen one keeps it.
func scheduleAsBatch() error { return reschedule(unix.SCHED_NORMAL, unix.SCHED_BATCH) }

// maxLooks is many more than it takes: what is new at the second look was made during the first.
const maxLooks = 20

var errPolicy = errors.New("threads keep their scheduling policy, or new ones come all the time")

// reschedule gives all threads that have the policy from the policy to. The kernel keeps a
// policy for each thread, and a new thread has that of the one that makes it, so it looks
// until it finds none any more. There are sandboxes that take a policy and change nothing, so it
// does not look for ever.
func reschedule(from, to uint32) error {
	for range maxLooks {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		changed := false
		for _, task := range tasks {
			id, err := strconv.Atoi(task.Name())
			if err != nil {
				return err
			}
			attr, err := unix.SchedGetAttr(id, 0)
			if err == unix.ESRCH { // it has ended
				continue
			}
			if err != nil {
				return err
			}
			if attr.Policy != from {
				continue
			}
			attr.Policy = to
			if err := unix.SchedSetAttr(id, attr, 0); err != nil && err != unix.ESRCH {
				return err
			}
			changed = true
		}
		if !changed {
			return nil
		}
	}
	return errPolicy
}
