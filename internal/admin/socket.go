package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxConns at the same time are served; more wait in the kernel.
const maxConns = 8

// socket is a listener on a path of the file system.
type socket struct {
	*bounded
	unix *net.UnixListener
	path string
	own  fs.FileInfo // what is at path since we made it
}

// ErrPlace means that there can be no socket where it is to be: trying again does
// not help, the path or the file system has to be mended.
var ErrPlace = errors.New("no place for a socket")

// placeError is an ErrPlace; its text is that of err.
type placeError struct{ err error }

func (e *placeError) Error() string        { return e.err.Error() }
func (e *placeError) Unwrap() error        { return e.err }
func (e *placeError) Is(target error) bool { return target == ErrPlace }

func place(format string, a ...any) error { return &placeError{fmt.Errorf(format, a...)} }

// openSocket listens at path with mode 0600. What an earlier daemon left behind is
// removed, if it is a socket and nobody answers there. Errors say how to mend; those
// that do not pass are ErrPlace.
func openSocket(ctx context.Context, path string) (*socket, error) {
	err := removeStale(ctx, path)
	if err == nil {
		var s *socket
		if s, err = makeSocket(ctx, path); err == nil {
			return s, nil
		}
	}
	return nil, explain(err, path)
}

// explain says how to mend err, and marks what does not pass.
func explain(err error, path string) error {
	dir := filepath.Dir(path)
	switch {
	case errors.Is(err, ErrPlace):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return place("the directory %s does not exist; make it, owned by the user that stox runs as, or set another admin.socket", dir)
	case errors.Is(err, syscall.EROFS):
		return place("%w; allow it in the unit (systemctl edit stox: [Service] ReadWritePaths=%s), or set another admin.socket, such as /run/stox/stox.sock", err, dir)
	case errors.Is(err, fs.ErrPermission):
		return place("%w; the directory must be writable for the user that stox runs as, or set another admin.socket", err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EINVAL):
		return place("%w; set another admin.socket", err)
	}
	return err
}

func makeSocket(ctx context.Context, path string) (*socket, error) {
	// The mode of a socket that is bound is that of its descriptor (Linux): nobody
	// else can connect, not even between bind and chmod.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
	}}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	s := &socket{unix: l.(*net.UnixListener), path: path}
	s.bounded = newBounded(&removing{s.unix, s}, maxConns)
	s.unix.SetUnlinkOnClose(false) // it might be another one's by then
	if err = os.Chmod(path, 0o600); err == nil {
		s.own, err = os.Lstat(path)
	}
	if err != nil {
		_ = s.unix.Close()
		return nil, err
	}
	return s, nil
}

// removeStale makes room at path.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return place("%s is there already and is no socket: remove it, or set another admin.socket", path)
	}
	d := net.Dialer{Timeout: 5 * time.Second}
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("another process answers at %s: stop it, or set another admin.socket", path)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return place("%s belongs to another user: remove it, or set another admin.socket", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		err = os.Remove(path)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s belongs to another process, or one that does not answer: %w", path, err)
	}
	if errors.Is(err, fs.ErrNotExist) { // its owner was quicker
		return nil
	}
	return err
}

// removing is the listener of a socket, which goes with it, whoever closes it.
type removing struct {
	net.Listener
	of *socket
}

func (l *removing) Close() error {
	if now, gone := os.Lstat(l.of.path); gone == nil && os.SameFile(now, l.of.own) {
		_ = os.Remove(l.of.path)
	}
	return l.Listener.Close()
}
