package soak

import (
	"testing"
	"time"
)

func TestBook(t *testing.T) {
	now := time.Unix(1e9, 0)
	for name, tt := range map[string]struct {
		do     func(b *book, n int)
		faults int
	}{
		"once":           {func(b *book, n int) { b.arrive(n); b.answer(n, 200, now, 2) }, 0},
		"lost":           {func(b *book, n int) { b.answer(n, 200, now, 2) }, 1},
		"no answer":      {func(b *book, n int) { b.arrive(n); b.due(now.Add(timerF)) }, 2},
		"twice":          {func(b *book, n int) { b.arrive(n); b.arrive(n); b.answer(n, 200, now, 2) }, 1},
		"another answer": {func(b *book, n int) { b.arrive(n); b.answer(n, 503, now, 2) }, 1},
		"an answer more": {func(b *book, n int) { b.arrive(n); b.answer(n, 200, now, 2); b.answer(n, 200, now, 2) }, 1},
		"two of two": {func(b *book, n int) {
			b.arrive(n)
			b.due(now.Add(timerE[0]))
			b.answer(n, 200, now, 2)
			b.answer(n, 200, now, 2)
		}, 0},
		"a copy": {func(b *book, n int) {
			b.arrive(n)
			b.answer(n, 200, now, 1)
			b.due(now.Add(timerF))
			b.answer(n, 200, now, 1)
		}, 0},
		"a copy, otherwise": {func(b *book, n int) {
			b.arrive(n)
			b.answer(n, 200, now, 1)
			b.due(now.Add(timerF))
			b.answer(n, 480, now, 1)
		}, 1},
		"given up": {func(b *book, n int) { b.close(n) }, 2},
		"of nothing": {func(b *book, n int) {
			b.arrive(n)
			b.answer(n, 200, now, 2)
			b.answer(n+1, 200, now, 2)
			b.arrive(n + 1)
		}, 2},
	} {
		b := newBook(name)
		b.arrive(b.add(now))
		b.answer(0, 200, now, 1)
		b.stopCopies()
		tt.do(b, b.add(now))
		if all, open := b.counts(); all != 2 || open != 0 {
			t.Errorf("%s: %d of %d are open", name, open, all)
		}
		if got := b.verdict(true); len(got) != tt.faults {
			t.Errorf("%s: %q", name, got)
		}
	}
}
