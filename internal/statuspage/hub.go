package statuspage

import "sync"

// hub tells those who look on that there is news. Whoever has not taken the last one misses
// nothing: there is no more to be known than that.
type hub struct {
	mu   sync.Mutex // guards the following
	subs map[chan struct{}]bool
}

// subscribe is for one who looks on, until leave.
func (h *hub) subscribe() (news chan struct{}, leave func()) {
	news = make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = make(map[chan struct{}]bool)
	}
	h.subs[news] = true
	return news, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subs, news)
	}
}

func (h *hub) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for news := range h.subs {
		select {
		case news <- struct{}{}:
		default:
		}
	}
}
