//go:build !linux

package doctor

import "context"

// The questions that only Linux answers.

func holderOf(socket) (pid int, program string, found bool) { return 0, "", false }

func peerProcess(context.Context, string) int { return 0 }

func processFiles(int) (uint64, bool) { return 0, false }
