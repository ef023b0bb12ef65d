package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"
	"time"
)

const crashKeys = 40

// crashPresence is the process that gets killed. It puts version after version of a few
// relations and dialogs, and tells p VERSION before, k VERSION when everything up to it is on
// the disk. A version divisible by 7 is to be forgotten.
func crashPresence(s *Store, version uint64) {
	go func() { _ = s.Run(context.Background(), Events{}) }()
	tick := time.NewTicker(time.Millisecond)
	for ; ; version++ {
		fmt.Println("p", version)
		key := fmt.Sprint(version % crashKeys)
		r := Relation{User: key, Contact: "g", State: 8, Since: time.UnixMilli(int64(version))}
		d := Dialog{Key: key, Expires: time.Now().Add(time.Hour), Data: fmt.Append(nil, version)}
		if version%7 == 0 {
			r.State, d.Data = 0, nil
		}
		s.PutRelations([]Relation{r})
		s.PutDialogs([]Dialog{d})
		if version%50 != 0 {
			continue
		}
		for s.State().Unflushed > 0 {
			<-tick.C
		}
		fmt.Println("k", version)
	}
}

// A process killed with SIGKILL at any moment: of each relation and dialog there is what was
// on the disk for certain, or a newer version, and never an older one.
func TestKillPresence(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	path := filepath.Join(t.TempDir(), "stox.db")
	rng := rand.New(rand.NewPCG(9, 9))
	next, kept, forgotten := uint64(1), 0, 0
	for round := range 8 {
		cmd := osexec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path, childEnv+"_PRESENCE=1", fmt.Sprintf("%s_BASE=%d", childEnv, next))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		put, safe := uint64(0), uint64(0)
		lines, killAt := 0, 100+rng.IntN(1000)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			var what string
			var v uint64
			if _, err := fmt.Sscan(sc.Text(), &what, &v); err != nil || what != "p" && what != "k" {
				t.Errorf("child: %s", sc.Text())
				break
			}
			if put = max(put, v); what == "k" {
				safe = v
				kept++
			}
			if lines++; lines == killAt {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		s := mustOpen(t, path, Options{})
		var relations, dialogs [crashKeys]uint64
		for _, r := range relationsIn(t, s) {
			relations[crashKey(t, r.User)] = uint64(r.Since.UnixMilli())
		}
		for key, data := range dialogsIn(t, s) {
			if _, err := fmt.Sscan(data, &dialogs[crashKey(t, key)]); err != nil {
				t.Error(err)
			}
		}
		for i := range uint64(crashKeys) {
			for what, have := range map[string]uint64{"relation": relations[i], "dialog": dialogs[i]} {
				if have == 0 {
					forgotten++
				}
				if !crashPossible(i, have, safe, put) {
					t.Errorf("round %d: %s %d has version %d; all up to %d were on the disk, %d was the last", round, what, i, have, safe, put)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		next = put + 1
	}
	if kept < 8 || forgotten < 8 {
		t.Errorf("too little happened: %d times all was on the disk, %d were forgotten", kept, forgotten)
	}
}

func crashKey(t *testing.T, s string) (i int) {
	t.Helper()
	if _, err := fmt.Sscan(s, &i); err != nil || i < 0 || i >= crashKeys {
		t.Fatalf("key %q: %v", s, err)
	}
	return i
}

// crashPossible says whether a key may have a version, 0 for none, after a kill: that which
// was the last of it at safe, or one that was put since.
func crashPossible(key, have, safe, put uint64) bool {
	for v := put; v > 0; v-- {
		if v%crashKeys != key {
			continue
		}
		if have == v && v%7 != 0 || have == 0 && v%7 == 0 {
			return true
		}
		if v <= safe {
			return false // the last that was on the disk for certain
		}
	}
	return have == 0 // none was put, or none in this round that was certain
}
