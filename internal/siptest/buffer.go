package siptest

import (
	"bytes"
	"sync"
)

// Buffer is a bytes.Buffer for several goroutines: what a log is written to and read from
// meanwhile. The zero value is empty.
type Buffer struct {
	mu sync.Mutex // guards the following
	b  bytes.Buffer
}

func (l *Buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was written so far.
func (l *Buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
