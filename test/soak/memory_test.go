package soak

import (
	"os"
	"testing"
)

// What the verdict is worth: it has to see what it is there for.
func TestGrowth(t *testing.T) {
	flat := func(i int) sample { return sample{messages: 2000 * i, memory: 50 << 10, threads: 10, files: 20} }
	for name, tt := range map[string]struct {
		at     func(i int) sample
		n      int
		faults int
	}{
		"flat":            {flat, 60, 0},
		"few":             {flat, 8, 1},
		"noise":           {func(i int) sample { s := flat(i); s.memory += i % 7 * 1000; return s }, 60, 0},
		"a start":         {func(i int) sample { s := flat(i); s.memory += 1000 * min(i, 20); return s }, 60, 0},
		"400 bytes each":  {func(i int) sample { s := flat(i); s.memory += i * 2000 * 400 / 1024; return s }, 60, 1},
		"long":            {flat, 600, 0},
		"full at last":    {func(i int) sample { s := flat(i); s.memory += 60 << 10 * min(i, 280) / 280; return s }, 400, 0},
		"full at once":    {func(i int) sample { s := flat(i); s.memory += i / 260 * 32 << 10; return s }, 400, 0},
		"not yet full":    {flat, 330, 1},
		"long, 100 bytes": {func(i int) sample { s := flat(i); s.memory += i * 2000 * 100 / 1024; return s }, 600, 1},
		"a file a second": {func(i int) sample { s := flat(i); s.files += i; return s }, 60, 1},
		"threads":         {func(i int) sample { s := flat(i); s.threads += i; return s }, 60, 1},
	} {
		var all []sample
		for i := range tt.n {
			all = append(all, tt.at(i))
		}
		if got := growth(all); len(got) != tt.faults {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestLook(t *testing.T) {
	s, err := look(os.Getpid())
	if err != nil || s.memory == 0 || s.threads == 0 || s.files < 3 {
		t.Errorf("%+v, %v", s, err)
	}
}
