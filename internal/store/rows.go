package store

// state of a row in memory.
type rowState uint8

const (
	none    rowState = iota // there is no such row
	fresh                   // waits for its first commit
	writing                 // its first commit runs
	kept                    // on the disk
	dead                    // done, or its commit failed: to be deleted
)

// row is what memory has of a row of the journal.
type row struct {
	size  int32
	item  int32 // position in queue.put, or -1
	state rowState
}

// rowTable finds rows by their ids. Ids are used in ascending order, more or less, and most rows
// are done soon, so they are kept in pages of neighbours: a row costs 12 bytes, and looking
// it up no hash. Where few of a page's rows are left they move to a map, which keeps the
// cost of one that stays long below 100 bytes whatever its neighbours do.
type rowTable struct {
	pages  map[uint64]*rowPage // by id / pageRows
	newest *rowPage
	recent *rowPage // where a row was found last
	sparse map[uint64]row
	peak   int      // of len(sparse), to know when it is worth replacing
	sweep  int      // so many pages are worth looking through
	spare  *rowPage // for reuse
	n      int
}

const (
	pageRows      = 256
	pageFew       = pageRows / 4 // fewer than these move to the map
	sweepFrom     = 8            // pages
	shrinkMapFrom = 1 << 16
)

type rowPage struct {
	number uint64
	n      int
	rows   [pageRows]row
}

func newRowTable() rowTable {
	return rowTable{pages: map[uint64]*rowPage{}, sparse: map[uint64]row{}, sweep: sweepFrom}
}

// len returns how many rows there are.
func (t *rowTable) len() int { return t.n }

// page returns the page that id belongs to, or nil.
func (t *rowTable) page(id uint64) *rowPage {
	number := id / pageRows
	if p := t.recent; p != nil && p.number == number {
		return p
	}
	p := t.pages[number]
	if p != nil {
		t.recent = p
	}
	return p
}

// get returns the row with this id; its state is none if there is none.
func (t *rowTable) get(id uint64) row {
	if p := t.page(id); p != nil {
		if r := p.rows[id%pageRows]; r.state != none {
			return r
		}
	}
	if len(t.sparse) == 0 {
		return row{}
	}
	return t.sparse[id]
}

// set adds a row or changes it. Its state must not be none.
func (t *rowTable) set(id uint64, r row) {
	p := t.page(id)
	if p != nil && p.rows[id%pageRows].state != none {
		p.rows[id%pageRows] = r
		return
	}
	if len(t.sparse) > 0 {
		if _, ok := t.sparse[id]; ok {
			t.sparse[id] = r
			return
		}
	}
	t.n++
	if p == nil && (t.newest == nil || id/pageRows > t.newest.number) {
		p = t.addPage(id / pageRows)
	}
	if p == nil { // older than what has a page
		t.setSparse(id, r)
		return
	}
	p.rows[id%pageRows] = r
	p.n++
}

func (t *rowTable) setSparse(id uint64, r row) {
	t.sparse[id] = r
	t.peak = max(t.peak, len(t.sparse))
}

func (t *rowTable) addPage(number uint64) *rowPage {
	if old := t.newest; old != nil && old.n == 0 {
		t.dropPage(old)
	}
	if len(t.pages) >= t.sweep {
		for _, p := range t.pages {
			if p.n < pageFew {
				t.dissolve(p)
			}
		}
		t.sweep = 2*len(t.pages) + sweepFrom
	}
	p := t.spare
	if t.spare = nil; p == nil {
		p = &rowPage{}
	}
	p.number = number
	t.pages[number] = p
	t.newest, t.recent = p, p
	return p
}

// dissolve moves what is left of a page to the map.
func (t *rowTable) dissolve(p *rowPage) {
	for i, r := range p.rows {
		if r.state != none {
			t.setSparse(p.number*pageRows+uint64(i), r)
		}
	}
	clear(p.rows[:])
	p.n = 0
	t.dropPage(p)
}

// dropPage removes a page that is empty.
func (t *rowTable) dropPage(p *rowPage) {
	delete(t.pages, p.number)
	if t.recent == p {
		t.recent = nil
	}
	if t.newest == p {
		t.newest = nil // until addPage has another one, which is what it is called for
	}
	t.spare = p
}

// remove forgets a row, which may be unknown.
func (t *rowTable) remove(id uint64) {
	if p := t.page(id); p != nil && p.rows[id%pageRows].state != none {
		p.rows[id%pageRows] = row{}
		t.n--
		if p.n--; p.n == 0 && p != t.newest {
			t.dropPage(p)
		}
		return
	}
	if _, ok := t.sparse[id]; !ok {
		return
	}
	delete(t.sparse, id)
	t.n--
	if t.peak > shrinkMapFrom && len(t.sparse) < t.peak/16 {
		m := make(map[uint64]row, len(t.sparse)) // a map that has grown never shrinks
		for id, r := range t.sparse {
			m[id] = r
		}
		t.sparse, t.peak = m, len(m)
	}
}
