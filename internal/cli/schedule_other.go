//go:build !linux

package cli

func scheduleAsBatch() error { return nil }
