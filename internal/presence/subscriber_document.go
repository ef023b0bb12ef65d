package presence

import (
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// What is kept of what a contact shows: more is left out, so that nobody fills the memory
// with his status.
const (
	maxResources = 32
	maxTexts     = 4096 // bytes of names and texts
)

// readDocument reads the body of a NOTIFY.
func readDocument(v *mapping.SIPNotify) ([]mapping.Resource, *mapping.Failure) {
	if enc := strings.TrimSpace(v.Encoding); enc != "" && !strings.EqualFold(enc, "identity") {
		f := mapping.FailUnsupportedEncoding() // none was offered
		f.AcceptEncoding = "identity"
		return nil, f
	}
	d, err := mapping.ReadPIDF(v.ContentType, v.Body)
	if err != nil {
		return nil, asFailure(err)
	}
	return bounded(d.Resources()), nil
}

// bounded is what is kept of all, in memory of its own.
func bounded(all []mapping.Resource) []mapping.Resource {
	kept := make([]mapping.Resource, 0, min(len(all), maxResources))
	room := maxTexts
	for _, r := range all {
		if len(kept) == maxResources {
			break
		}
		if len(r.Name) > room {
			continue
		}
		room -= len(r.Name)
		r.Name = strings.Clone(r.Name)
		texts := r.Status
		r.Status = nil
		for _, t := range texts {
			if n := len(t.Lang) + len(t.Value); n <= room {
				room -= n
				r.Status = append(r.Status, mapping.Text{Lang: strings.Clone(t.Lang), Value: strings.Clone(t.Value)})
			}
		}
		kept = append(kept, r)
	}
	return kept
}
