package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	_ "modernc.org/sqlite"
)

// This file breaks what lies between stox and its disk, from outside.

// diskRefuses: no file of stox may grow or be written for a while. The kernel
// refuses as a full disk does, with another errno (EFBIG): the limit of the size of
// a file is the one fault of a disk that needs no privilege.
func diskRefuses(w *world) error {
	return w.again(w.form.rounds, func(int) error {
		return w.failing(func(pid string) error {
			if err := w.run("prlimit", "--pid", pid, "--fsize=1:"); err != nil {
				return err
			}
			err := w.traffic.pass(2 * w.form.rate)
			return errors.Join(err, w.run("prlimit", "--pid", pid, "--fsize=unlimited:"))
		})
	})
}

// diskFault: system calls of stox fail as if the disk were full or broken.
func diskFault(call, errno string) func(*world) error {
	return func(w *world) error {
		return w.again(w.form.rounds, func(int) error {
			return w.failing(func(pid string) error {
				// strace answers in the kernel's place, for all threads.
				cmd := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-p", pid, "-e", "trace="+call, "-e", "inject="+call+":error="+errno)
				p, err := w.Start(cmd, "strace")
				if err != nil {
					return err
				}
				err = w.traffic.pass(2 * w.form.rate)
				if e := p.Signal(syscall.SIGINT); err == nil {
					err = e
				}
				_, e := p.Wait(w.ctx)
				return errors.Join(err, e)
			})
		})
	}
}

// fileLocked: another program keeps the database locked.
func fileLocked(w *world) error {
	path := (&url.URL{Path: filepath.Join(w.Dir, "stox.db")}).EscapedPath()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=rw&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer db.Close()
	return w.again(w.form.rounds, func(int) error {
		return w.failing(func(string) error {
			conn, err := db.Conn(w.ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := conn.ExecContext(w.ctx, "BEGIN EXCLUSIVE"); err != nil {
				return fmt.Errorf("locking the file: %w", err)
			}
			err = w.traffic.pass(w.form.rate * 4)
			_, e := conn.ExecContext(w.ctx, "ROLLBACK")
			return errors.Join(err, e)
		})
	})
}

// failing does something that makes commits fail, and undoes it. While it lasts
// the alarm has to come and what is refused has to say that it is for now;
// afterwards stox has to recover by itself.
func (w *world) failing(fault func(pid string) error) error {
	from := len(w.stox.Lines())
	refused := w.book.refusals()
	if err := fault(fmt.Sprint(w.stox.PID())); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	_, next, err := w.stox.WaitLine(ctx, from, "level=ERROR", "journal")
	if err != nil {
		return err
	}
	if _, _, err := w.stox.WaitLine(ctx, next, "level=INFO", "journal"); err != nil {
		return err
	}
	if w.book.refusals() == refused {
		w.fault("nothing was refused while the journal could not be written")
	}
	// What is sent from now on arrives.
	first := 0
	w.book.note(func() { first = len(w.book.toSIP) })
	if err := w.traffic.pass(w.form.rate); err != nil {
		return err
	}
	w.book.note(func() {
		for n, m := range w.book.toSIP[first:] {
			if len(m.errors) > 0 {
				w.fault("m-%d was refused after the recovery: %q", first+n, m.errors)
			}
		}
	})
	return nil
}

// refusals counts messages to SIP whose senders were told to try again.
func (l *ledger) refusals() (n int) {
	l.note(func() {
		for _, m := range l.toSIP {
			for _, e := range m.errors {
				if strings.HasPrefix(e, "resource-constraint") {
					n++
				}
			}
		}
	})
	return n
}

// run runs a program to its end.
func (w *world) run(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
