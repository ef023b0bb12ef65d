package stage

import "context"

// Form is a data form as the client's extension reads it (XEP-0004), or the plain fields of
// a registration (XEP-0077).
type Form struct {
	Title        string
	Instructions string
	Vars         []string            // of its fields, in their order
	Types        map[string]string   // by Var
	Labels       map[string]string   // the same
	Values       map[string][]string // the same
	Rows         []map[string]string // of a result with several
}

// Value is the first value of a field, "" if there is none.
func (f *Form) Value(name string) string {
	if f != nil && len(f.Values[name]) > 0 {
		return f.Values[name][0]
	}
	return ""
}

// Step is one of an ad-hoc command (XEP-0050) or of a registration (XEP-0077).
type Step struct {
	To      string
	Node    string // of the command
	Session string // "" begins a new one
	// Action is "" (execute) or one of XEP-0050 §3.4; of a registration "get", "set" with
	// plain fields, "form" with a data form, or "remove".
	Action string
	Lang   string              // xml:lang
	Fields map[string][]string // nil: no form
}

// StepAnswer is what came of a Step.
type StepAnswer struct {
	Condition string // of the error, "" if there was none
	More      string // what else stood in the error: names with their namespaces
	ErrorText string `json:"error_text"`

	Status, Session string // of a command
	Actions         []string
	Notes           [][]string // type and text
	Form            *Form
	Registered      bool
	Plain           *Form // the plain fields of a registration
}

// Command takes a step of an ad-hoc command.
func (c *XMPPClient) Command(ctx context.Context, s Step) (StepAnswer, error) {
	return c.step(ctx, "command", s)
}

// Register asks for a registration, makes or ends it.
func (c *XMPPClient) Register(ctx context.Context, s Step) (StepAnswer, error) {
	return c.step(ctx, "register", s)
}

func (c *XMPPClient) step(ctx context.Context, does string, s Step) (StepAnswer, error) {
	var all struct {
		StepAnswer
		Value *StepAnswer `json:"answer"`
	}
	err := c.order(ctx, map[string]any{"does": does, "to": s.To, "node": s.Node, "session": s.Session, "action": s.Action, "lang": s.Lang, "fields": s.Fields}, &all)
	if err != nil || all.Value == nil {
		return all.StepAnswer, err
	}
	return *all.Value, nil
}
