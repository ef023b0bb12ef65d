package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const childEnv = "STOX_STORE_CRASH_CHILD"

// crashChild is the process that gets killed. It tells on its output, unbuffered,
// a ID before Append, c ID when committed, d ID before Done, g ID when the
// deletion is on the disk.
func crashChild(path string) {
	s, err := Open(path, Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	next := uint64(1)
	if err := s.Load(func(e Entry) error { next = e.ID + 1; return nil }); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	if base := os.Getenv(childEnv + "_BASE"); base != "" {
		fmt.Sscan(base, &next)
	}
	if os.Getenv(childEnv+"_PRESENCE") != "" {
		crashPresence(s, next)
		return
	}
	say := func(what string, ids []uint64) {
		var b strings.Builder
		for _, id := range ids {
			fmt.Fprintln(&b, what, id)
		}
		os.Stdout.WriteString(b.String())
	}
	var mu sync.Mutex
	var committed []uint64
	go func() {
		_ = s.Run(context.Background(), Events{Committed: func(marks []Mark, err error) {
			if err != nil {
				fmt.Println("error", err)
				return
			}
			var ids []uint64
			for _, m := range marks {
				ids = append(ids, m.ID)
			}
			say("c", ids)
			mu.Lock()
			committed = append(committed, ids...)
			mu.Unlock()
		}})
	}()
	rng := rand.New(rand.NewPCG(next, 1))
	tick := time.NewTicker(time.Millisecond)
	var gone []uint64
	for {
		var batch []Entry
		for range 1 + rng.IntN(40) {
			batch = append(batch, entry(next, crashText(next)))
			next++
		}
		say("a", idsOf(batch))
		if _, err := s.Append(batch); err != nil {
			fmt.Println("error", err)
		}
		s.PutTrail([]TrailEvent{{ID: fmt.Sprint(next), Kind: "read", At: time.Now()}})
		if rng.IntN(3) > 0 {
			mu.Lock()
			n := rng.IntN(len(committed) + 1)
			ids := slices.Clone(committed[:n])
			committed = slices.Delete(committed, 0, n)
			mu.Unlock()
			// some that are not committed yet
			ids = append(ids, batch[rng.IntN(len(batch))].ID)
			say("d", ids)
			s.Done(ids)
			gone = append(gone, ids...)
		}
		for quiet := false; !quiet && next%5 == 0; <-tick.C {
			s.mu.Lock()
			quiet = len(s.dead) == 0 && s.waiting == 0 && s.running == nil
			s.mu.Unlock()
			if quiet {
				say("g", gone)
				gone = gone[:0]
			}
		}
		<-tick.C
	}
}

func crashText(id uint64) string {
	return fmt.Sprintf("row %d %s", id, strings.Repeat("x", int(id%700)))
}

// A process killed with SIGKILL at any moment: everything reported as committed
// and not done is there, and nothing whose deletion was on the disk.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	path := filepath.Join(t.TempDir(), "stox.db")
	committed, done, gone, appended := map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}
	sets := map[string]map[uint64]bool{"a": appended, "c": committed, "d": done, "g": gone}
	rng := rand.New(rand.NewPCG(7, 7))
	for round := range 10 {
		cmd := osexec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path, fmt.Sprintf("%s_BASE=%d", childEnv, round*1_000_000+1))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, killAt := 0, 500+rng.IntN(4000)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			var what string
			var id uint64
			if _, err := fmt.Sscan(sc.Text(), &what, &id); err != nil || sets[what] == nil {
				t.Errorf("child: %s", sc.Text())
				break
			}
			sets[what][id] = true
			if lines++; lines == killAt {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		s := mustOpen(t, path, Options{})
		found := map[uint64]bool{}
		for _, e := range mustLoad(t, s) {
			found[e.ID] = true
			if string(e.Data) != crashText(e.ID) {
				t.Errorf("round %d: row %d is not what was written", round, e.ID)
			}
			if !appended[e.ID] || gone[e.ID] {
				t.Errorf("round %d: row %d is there: appended %v, gone %v", round, e.ID, appended[e.ID], gone[e.ID])
			}
		}
		for id := range committed {
			if !done[id] && !found[id] {
				t.Errorf("round %d: row %d was committed and is lost", round, id)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(committed) < 1000 || len(gone) < 300 {
		t.Errorf("too little happened: %d committed, %d gone", len(committed), len(gone))
	}
}

// A log that was only partly on the disk when the power went: what a commit had
// written before that point is there, and no commit is there in part.
func TestTornLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	r := start(t, mustOpen(t, path, Options{}))
	r.flushed()
	type point struct {
		size int64
		rows int
	}
	var points []point
	rng := rand.New(rand.NewPCG(3, 3))
	id := uint64(0)
	for range 40 {
		var batch []Entry
		for range 1 + rng.IntN(100) {
			id++
			batch = append(batch, entry(id, crashText(id)))
		}
		mustAppend(t, r.Store, batch...)
		r.committed(id)
		st, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		points = append(points, point{st.Size(), int(id)})
	}
	image := copyImage(t, path)
	whole, err := os.ReadFile(image + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	for range 25 {
		cut := points[0].size + rng.Int64N(int64(len(whole))-points[0].size+1)
		torn := copyImage(t, image)
		if err := os.WriteFile(torn+"-wal", whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, p := range points {
			if p.size <= cut {
				want = p.rows
			}
		}
		s := mustOpen(t, torn, Options{})
		if got := len(mustLoad(t, s)); got != want {
			t.Errorf("cut at %d: %d rows, want %d", cut, got, want)
		}
		s.Close()
	}
}
