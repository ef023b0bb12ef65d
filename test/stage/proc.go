package stage

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Proc is a program that runs. Its output is kept line by line.
type Proc struct {
	Name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu      sync.Mutex // guards the following
	cond    *sync.Cond
	lines   []string
	ended   bool
	exit    int
	onLines []func(string)
}

// Start starts a program. It is in a process group of its own, so that Kill also
// ends what it has started, and the kernel ends it when we die.
func (r *Stage) Start(cmd *exec.Cmd, name string) (*Proc, error) {
	p := &Proc{Name: name, cmd: cmd, done: make(chan struct{})}
	p.cond = sync.NewCond(&p.mu)
	if cmd.Dir == "" {
		cmd.Dir = r.Dir
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if cmd.Stdout == nil {
		cmd.Stdout = w
	}
	cmd.Stderr = w
	cmd.WaitDelay = 2 * time.Second // a grandchild may keep the output open
	err = onLastingThread(cmd.Start)
	w.Close()
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.mu.Lock()
	r.procs = append(r.procs, p)
	r.mu.Unlock()
	go p.read(out)
	return p, nil
}

// starts runs functions on one thread that never ends. The kernel sends Pdeathsig
// when the thread that made the child ends, not the process, and the Go runtime
// ends threads as it likes.
var starts = sync.OnceValue(func() chan<- func() {
	c := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range c {
			f()
		}
	}()
	return c
})

func onLastingThread(f func() error) error {
	result := make(chan error)
	starts() <- func() { result <- f() }
	return <-result
}

// read keeps the lines until the program and its children have closed their
// output, then takes its exit status.
func (p *Proc) read(out io.ReadCloser) {
	s := bufio.NewScanner(out)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := s.Text()
		p.mu.Lock()
		p.lines = append(p.lines, line)
		hooks := p.onLines
		p.cond.Broadcast()
		p.mu.Unlock()
		for _, f := range hooks {
			f(line)
		}
	}
	out.Close()
	_ = p.cmd.Wait() // the status is in ProcessState
	p.mu.Lock()
	p.ended, p.exit = true, p.cmd.ProcessState.ExitCode()
	p.cond.Broadcast()
	p.mu.Unlock()
	close(p.done)
}

// OnLine calls f with every line from now on.
func (p *Proc) OnLine(f func(line string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onLines = append(p.onLines, f)
}

// Lines is what the program has said so far.
func (p *Proc) Lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// Tail is the last n lines.
func (p *Proc) Tail(n int) string {
	l := p.Lines()
	if len(l) > n {
		l = l[len(l)-n:]
	}
	if len(l) == 0 {
		return ""
	}
	return strings.Join(l, "\n") + "\n"
}

// WaitLine waits for a line, from the from-th on, that has all the words in it.
// It returns the line and the number of the one after it.
func (p *Proc) WaitLine(ctx context.Context, from int, words ...string) (string, int, error) {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.cond.Broadcast()
	})
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := from; ; i++ {
		for i >= len(p.lines) {
			if p.ended {
				return "", i, fmt.Errorf("%s ended (status %d) before it said %q", p.Name, p.exit, words)
			}
			if ctx.Err() != nil {
				return "", i, fmt.Errorf("%s did not say %q: %w", p.Name, words, ctx.Err())
			}
			p.cond.Wait()
		}
		all := true
		for _, w := range words {
			all = all && strings.Contains(p.lines[i], w)
		}
		if all {
			return p.lines[i], i + 1, nil
		}
	}
}

// Wait waits for the program to end and returns its exit status.
func (p *Proc) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		return p.exit, nil
	case <-ctx.Done():
		return -1, fmt.Errorf("%s still runs: %w", p.Name, ctx.Err())
	}
}

// Done is closed when the program has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// PID is the process id of the program.
func (p *Proc) PID() int { return p.cmd.Process.Pid }

// Signal sends sig to the program.
func (p *Proc) Signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// Stop asks the program to end, and waits for it.
func (p *Proc) Stop(ctx context.Context) (int, error) {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return p.Wait(ctx) // it has ended already
	}
	return p.Wait(ctx)
}

// Kill ends the program and its children, politely first, and waits until they
// are gone: their ports are free then.
func (p *Proc) Kill() {
	group := -p.cmd.Process.Pid
	for _, step := range []struct {
		sig  syscall.Signal
		wait time.Duration
	}{{syscall.SIGTERM, 20 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		_ = syscall.Kill(group, step.sig)
		select {
		case <-p.done:
			_ = syscall.Kill(group, syscall.SIGKILL) // what it may have left behind
			return
		case <-time.After(step.wait):
		}
	}
}
