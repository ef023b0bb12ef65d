//go:build !linux

package component

import "syscall"

func setUserTimeout(network, address string, c syscall.RawConn) error { return nil }
