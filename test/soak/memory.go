package soak

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is what a process has at a time.
type sample struct {
	messages int // from SIP, sent so far
	memory   int // KiB, proportional set size
	threads  int
	files    int
	cpu      time.Duration
}

// look reads what the kernel says of a process.
func look(pid int) (s sample, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	if s.memory, err = numberIn(dir+"smaps_rollup", "Pss:"); err != nil {
		return s, err
	}
	if s.threads, err = numberIn(dir+"status", "Threads:"); err != nil {
		return s, err
	}
	fds, err := os.ReadDir(dir + "fd")
	if err != nil {
		return s, err
	}
	s.files = len(fds)
	b, err := os.ReadFile(dir + "stat")
	if err != nil {
		return s, err
	}
	// The name may have spaces in it; utime and stime are the 14th and 15th field.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return s, err
		}
		s.cpu += time.Duration(n) * 10 * time.Millisecond
	}
	return s, nil
}

// numberIn finds the number behind a word at the start of a line.
func numberIn(path, word string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == word {
			return strconv.Atoi(f[1])
		}
	}
	return 0, fmt.Errorf("no %s in %s", word, path)
}

// What may grow from one part of the load to the next. Memory: what outcomes are remembered
// in fills up during the first minutes (docs/performance.md), and what the collector leaves
// is not the same every time. 40,000 messages are a third of a minute: a leak of 400 bytes in
// each does not pass.
const (
	moreMemory  = 12 << 10 // KiB
	moreThreads = 4
	moreFiles   = 4
)

// What is remembered of messages on purpose grows with them until it is full, and part of
// that at once: the memory is looked at before, or behind.
const (
	fewMessages = 200_000
	allFull     = 600_000
	enough      = 60 // samples
)

// judged are the samples of the earlier and the later part of a load, to be compared: the
// last two thirds of one that is short, the halves of what came when all was full of one
// that is long. ok is false as long as it is neither.
func judged(all []sample) (earlier, later []sample, ok bool) {
	if n := len(all); n == 0 || all[n-1].messages <= fewMessages {
		third := n / 3
		return all[third : 2*third], all[2*third:], third >= 3
	}
	for len(all) > 0 && all[0].messages < allFull {
		all = all[1:]
	}
	return all[:len(all)/2], all[len(all)/2:], len(all) >= enough
}

// growth says what grew that must not have, by medians.
func growth(all []sample) (faults []string) {
	earlier, later, ok := judged(all)
	if !ok {
		return []string{fmt.Sprintf("%d samples are too few to say whether anything grows", len(all))}
	}
	for _, of := range []struct {
		what string
		get  func(sample) int
		more int
	}{
		{"KiB of memory", func(s sample) int { return s.memory }, moreMemory},
		{"threads", func(s sample) int { return s.threads }, moreThreads},
		{"files", func(s sample) int { return s.files }, moreFiles},
	} {
		if a, b := median(earlier, of.get), median(later, of.get); b > a+of.more {
			faults = append(faults, fmt.Sprintf("%d %s at first, %d later: %d more may be", a, of.what, b, of.more))
		}
	}
	return faults
}

func median(all []sample, get func(sample) int) int {
	var list []int
	for _, s := range all {
		list = append(list, get(s))
	}
	slices.Sort(list)
	return list[len(list)/2]
}
