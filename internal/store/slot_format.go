package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// A slot is a blob of slotSize bytes:
//
//	byte     version, 1
//	8 bytes  number of the writing, big-endian; each has a higher one
//	         rows, each: 2 bytes length, uvarint ID, the row as in row.go
//	         zeros, to the end
//
// The register is slot 0: the version, then for each slot, from 1 on, the number of the writing that it
// is about (8 bytes) and a bit for each row that is done (8 bytes). What it says of another
// writing is out of date.
const (
	slotVersion  = 1
	slotSize     = 4040 // the most that stays in one page of 4096 bytes
	slotHead     = 1 + 8
	slotRows     = 64 // bits of the register
	slotRowHead  = 36 // what a row costs beside its lane and data, at the most
	maxSlots     = 250
	registerSize = 8 + 8 // of each slot
)

var errSlot = errors.New("slot cannot be read")

// packed is a slot as it is on the disk.
type packed struct {
	number int64
	data   []byte
}

// mark is what the register says of a slot: which of its rows are done, and of which writing.
func mark(register []byte, number int64) (writing, done uint64) {
	if number < 1 || number > maxSlots || len(register) != slotSize || register[0] != slotVersion {
		return 0, 0
	}
	b := register[1+(number-1)*registerSize:]
	return binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
}

// doneIn returns which rows of this writing of a slot are done.
func doneIn(register []byte, number int64, writing uint64) uint64 {
	if about, done := mark(register, number); about == writing {
		return done
	}
	return 0
}

// unpackSlot calls f with each row of a slot. It returns the number of the writing, 0 if nothing is in
// the slot.
func unpackSlot(data []byte, f func(i int, id uint64, row []byte)) (writing uint64, err error) {
	if len(data) < slotHead {
		return 0, errSlot
	}
	writing = binary.BigEndian.Uint64(data[1:])
	if data[0] == 0 && writing == 0 {
		return 0, nil
	}
	if data[0] != slotVersion || writing == 0 {
		return 0, errSlot
	}
	p := parser{b: data[slotHead:]}
	for i := 0; len(p.b) >= 2; i++ {
		size := binary.BigEndian.Uint16(p.b)
		if size == 0 {
			break
		}
		p.b = p.b[2:]
		row := parser{b: p.bytes(uint64(size))}
		id := row.uvarint()
		if p.bad || row.bad || id == 0 || id > math.MaxInt64 || i == slotRows {
			return 0, errSlot
		}
		f(i, id, row.b)
	}
	return writing, nil
}

// slotRow is a row that was found in a slot.
type slotRow struct {
	id  uint64
	row []byte
}

// living returns the rows in slots that are not done, in the order of their ids. A slot that cannot be
// read is passed over.
func living(all []packed) (rows []slotRow) {
	var register []byte
	for _, s := range all {
		if s.number == 0 {
			register = s.data
		}
	}
	for _, s := range all {
		if s.number == 0 {
			continue
		}
		at := len(rows)
		var done uint64
		if len(s.data) >= slotHead {
			done = doneIn(register, s.number, binary.BigEndian.Uint64(s.data[1:]))
		}
		_, err := unpackSlot(s.data, func(i int, id uint64, row []byte) {
			if done&(1<<i) == 0 {
				rows = append(rows, slotRow{id, row})
			}
		})
		if err != nil {
			rows = rows[:at]
		}
	}
	slices.SortFunc(rows, func(a, b slotRow) int { return cmp.Compare(a.id, b.id) })
	return rows
}
