package component

import (
	"net"
	"time"
)

// userTimeout is how long written octets may stay unacknowledged (Linux).
const userTimeout = 30 * time.Second

func newDialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         setUserTimeout,
	}
}
