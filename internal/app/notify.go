package app

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// statusReady is what the service manager shows of a daemon that has no complaint.
const statusReady = "STATUS=ready"

// notify tells the service manager our state; without one it does nothing. A
// failure is not worth more than that: the manager notices by its own time-outs.
func notify(state string) { _, _ = daemon.SdNotify(false, state) }

// notifyReloading tells it that the configuration is being read again (sd_notify(3)). READY=1
// ends that.
func notifyReloading() { notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec()) }

// runWatchdog tells the service manager at half its interval that the process
// is alive, if it is and the manager asks for that (WatchdogSec=). One that is not is started
// again then.
func runWatchdog(ctx context.Context, alive func() bool) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval <= 0 {
		return
	}
	t := time.NewTicker(interval / 2)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if alive() {
				notify(daemon.SdNotifyWatchdog)
			}
		}
	}
}
