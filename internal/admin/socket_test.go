package admin

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestSocketIsPrivate(t *testing.T) {
	path := sock(t)
	serve(t, path, &fake{})
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// What an earlier daemon left is removed; nothing else is.
func TestWhatIsThereAlready(t *testing.T) {
	t.Run("a stale socket", func(t *testing.T) {
		path := sock(t)
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close()
		serve(t, path, &fake{n: 1})
		if p, err := dial(t, path).List(t.Context(), 0, 1); err != nil || p.Total != 1 {
			t.Errorf("%v, %v", p, err)
		}
	})
	t.Run("a daemon that runs", func(t *testing.T) {
		path := sock(t)
		serve(t, path, &fake{n: 1})
		err := NewServer(path, &fake{}, slog.New(slog.DiscardHandler)).Run(t.Context())
		if err == nil || errors.Is(err, ErrPlace) || !strings.Contains(err.Error(), "admin.socket: another process answers at "+path) {
			t.Errorf("%v", err)
		}
		if p, err := dial(t, path).List(t.Context(), 0, 1); err != nil || p.Total != 1 {
			t.Errorf("the first one: %v, %v", p, err)
		}
	})
	for name, make := range map[string]func(string) error{
		"a file":      func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":      func(path string) error { return os.Symlink("elsewhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			path := sock(t)
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			err := NewServer(path, &fake{}, slog.New(slog.DiscardHandler)).Listen()
			if !errors.Is(err, ErrPlace) || !strings.Contains(err.Error(), "is no socket: remove it, or set another admin.socket") {
				t.Errorf("%v", err)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("removed: %v", err)
			}
		})
	}
	t.Run("no directory", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "none", "stox.sock")
		err := NewServer(path, &fake{}, slog.New(slog.DiscardHandler)).Listen()
		if !errors.Is(err, ErrPlace) || !strings.Contains(err.Error(), "the directory "+filepath.Dir(path)+" does not exist; make it") {
			t.Errorf("%v", err)
		}
		if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoDaemon) {
			t.Errorf("%v", err)
		}
	})
}

// What does not pass by itself is told apart from what may.
func TestPlaceForASocket(t *testing.T) {
	file := sock(t)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := NewServer(filepath.Join(file, "stox.sock"), &fake{}, slog.New(slog.DiscardHandler)).Listen()
	if !errors.Is(err, ErrPlace) || !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file for a directory: %v", err)
	}
	for _, c := range []struct {
		err  error
		want bool
		text string
	}{
		{syscall.EACCES, true, "must be writable for the user"},
		{syscall.EROFS, true, "ReadWritePaths=/srv/x)"},
		{syscall.ELOOP, true, "set another admin.socket"},
		{syscall.EMFILE, false, ""},
		{syscall.EADDRINUSE, false, ""},
	} {
		err := explain(&os.SyscallError{Syscall: "bind", Err: c.err}, "/srv/x/stox.sock")
		if errors.Is(err, ErrPlace) != c.want || !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v became %v", c.err, err)
		}
	}
}

// A socket that another daemon has made meanwhile is not removed at the end.
func TestLeavesAnothersSocket(t *testing.T) {
	path := sock(t)
	stop := serve(t, path, &fake{n: 1})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	serve(t, path, &fake{n: 2})
	if err := stop(); err != nil {
		t.Error(err)
	}
	if p, err := dial(t, path).List(t.Context(), 0, 1); err != nil || p.Total != 2 {
		t.Errorf("%v, %v", p, err)
	}
}

// Without Run, Close gives the socket back.
func TestCloseWithoutRun(t *testing.T) {
	path := sock(t)
	s := NewServer(path, &fake{}, slog.New(slog.DiscardHandler))
	if err := s.Close(); err != nil {
		t.Errorf("before Listen: %v", err)
	}
	if err := errors.Join(s.Listen(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// Without a path there is no door, and nothing else is different.
func TestNoSocket(t *testing.T) {
	s := NewServer("", &fake{}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	cancel()
	if err := errors.Join(<-over, s.Close()); err != nil {
		t.Error(err)
	}
}
