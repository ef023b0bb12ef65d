package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/config"
)

func TestFiles(t *testing.T) {
	w := bareWorld(t)
	w.o.Machine.Files = func() (uint64, bool) { return 1024, true }
	w.want([]string{checkFiles}, "warn files: 1024 files may be open here; limits.max_connections = 1000 can need 2200 -> raise it for the service (systemctl edit stox: [Service] LimitNOFILE=65536), or lower limits.max_connections")
	w.o.Config.Limits.MaxConnections = 412
	w.want([]string{checkFiles}, "ok files: 1024 files may be open here; limits.max_connections = 412 can need 1024")
	w.o.Machine.Files = func() (uint64, bool) { return 0, false }
	w.want([]string{checkFiles}, "skip files: the limit of open files is not known")
}

// Of a daemon that runs its own limit counts, not that of the shell.
func TestFilesOfTheDaemon(t *testing.T) {
	limit, known := processFiles(os.Getpid())
	own, alsoKnown := ownFiles()
	if !known || !alsoKnown || limit != own {
		t.Fatalf("%d, %v; %d, %v", limit, known, own, alsoKnown)
	}
	w := bareWorld(t)
	w.daemon(&fakeDaemon{})
	w.o.Machine.Files = func() (uint64, bool) { return 1, true }
	w.o.Config.Limits.MaxConnections = int(limit)
	got := w.lines(checkFiles)
	if len(got) != 1 || got[0][:4] != "warn" {
		t.Fatalf("%q", got)
	}
	w.o.Config.Limits.MaxConnections = 1
	if got := w.lines(checkFiles); len(got) != 1 || got[0][:3] != "ok " {
		t.Errorf("%q", got)
	}
	if _, known := processFiles(-1); known {
		t.Error("a process that is none has a limit")
	}
}

func TestDisk(t *testing.T) {
	full := func(free, all uint64) func(string) (uint64, uint64, error) {
		return func(string) (uint64, uint64, error) { return free, all, nil }
	}
	const (
		space = "ok disk: DIR has 20 GiB of 100 GiB free"
		quick = "ok disk: the disk at DIR keeps what is written in TIME"
		clear = " -> free some (df -h DIR), or move store.path; store.trail says how long the past is kept"
	)
	for name, e := range map[string]struct {
		plant func(w *world)
		want  []string
	}{
		"no store":      {func(w *world) { w.o.Config.Store.Path = "" }, []string{"warn disk: store.path is empty: messages that wait are lost when stox stops -> set store.path"}},
		"nearly full":   {func(w *world) { w.o.Machine.Space = full(499<<20, 1<<30) }, []string{"warn disk: DIR is nearly full: 499 MiB of 1024 MiB are free" + clear, quick}},
		"a small share": {func(w *world) { w.o.Machine.Space = full(4<<30, 100<<30) }, []string{"warn disk: DIR is nearly full: 4096 MiB of 100 GiB are free" + clear, quick}},
		"full":          {func(w *world) { w.o.Machine.Space = full(4<<10, 1<<30) }, []string{"warn disk: DIR is nearly full: 4 KiB of 1024 MiB are free" + clear, quick}},
		"space not known": {func(w *world) {
			w.o.Machine.Space = func(string) (uint64, uint64, error) { return 0, 0, errors.New("no idea") }
		}, []string{"skip disk: the space at DIR is not known: no idea", quick}},
		"slow": {func(w *world) {
			w.o.Machine.Sync = func(string) (time.Duration, error) { return 51 * time.Millisecond, nil }
		}, []string{space,
			"warn disk: the disk at DIR takes TIME to keep what is written -> move store.path to a faster disk: a message that cannot be sent at once waits for the disk"}},
		"cannot be written": {func(w *world) {
			w.o.Machine.Sync = func(string) (time.Duration, error) {
				return 0, &fs.PathError{Op: "open", Path: "x", Err: errors.New("read-only")}
			}
		}, []string{space, "fail disk: DIR cannot be written: read-only -> see what the system says about the disk (dmesg), and that the user that stox runs as may write there (store.path)"}},
		"a fault of the path": {func(w *world) {
			w.o.Store = &config.Fault{Path: "store.path", Text: "the directory is not there", Hint: "install -d it"}
		}, []string{
			"fail disk: store.path: the directory is not there -> install -d it"}},
		"the same beside a daemon": {func(w *world) {
			w.daemon(&fakeDaemon{})
			w.o.Store = &config.Fault{Path: "store.path", Text: "the directory is not there", Hint: "install -d it"}
		}, []string{"warn disk: store.path: the directory is not there -> install -d it"}},
		"private": {func(w *world) { w.file("stox.db", 0o600) }, []string{space, quick, "ok disk: DIR/stox.db is readable by its owner only"}},
		"public": {func(w *world) { w.file("stox.db", 0o644); w.file("stox.db-wal", 0o660) }, []string{space, quick,
			"warn disk: DIR/stox.db can be read by other users (mode 0644), and messages are in it -> chmod 600 DIR/stox.db",
			"warn disk: DIR/stox.db-wal can be read by other users (mode 0660), and messages are in it -> chmod 600 DIR/stox.db-wal"}},
		"run by root": {func(w *world) {
			w.file("stox.db", 0o600)
			w.file("stox.db-wal", 0o600)
			w.o.Machine.Owner = func(info fs.FileInfo) (int, bool) {
				if info.Name() == "stox.db-wal" {
					return 0, true
				}
				return 997, true
			}
		}, []string{space, quick, "fail disk: DIR/stox.db-wal belongs to root, unlike its directory: the user that stox runs as cannot write it (store.path) -> stox has been run by root: chown --reference=DIR DIR/stox.db*"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := bareWorld(t)
			e.plant(w)
			w.want([]string{checkDisk}, e.want...)
		})
	}
}

func (w *world) file(name string, mode os.FileMode) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := errors.Join(os.WriteFile(path, nil, mode), os.Chmod(path, mode)); err != nil {
		w.t.Fatal(err)
	}
}

// The system's own answers are answers, and nothing stays behind.
func TestSystem(t *testing.T) {
	dir := t.TempDir()
	m := Machine{}.orSystem()
	if free, all, err := m.Space(dir); err != nil || all == 0 || free > all {
		t.Errorf("space: %d of %d, %v", free, all, err)
	}
	if took, err := m.Sync(dir); err != nil || took <= 0 {
		t.Errorf("sync: %v, %v", took, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := m.Sync(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sync in no directory: %v", err)
	}
	if _, _, err := m.Space(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("space of no directory: %v", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if uid, known := m.Owner(info); !known || uid != os.Getuid() {
		t.Errorf("owner: %d, %v", uid, known)
	}
	if n, known := m.Files(); !known || n == 0 {
		t.Errorf("files: %d, %v", n, known)
	}
	if len(m.Addresses()) == 0 {
		t.Error("no address at all")
	}
}
