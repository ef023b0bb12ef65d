package mapping

import "slices"

// Form is a data form (XEP-0004).
type Form struct {
	Type         FormType
	Title        string
	Instructions []string
	Fields       []Field
	Columns      []Field    // of a result with several rows: their names, without values
	Rows         [][]string // beside Columns
}

// FormType is the closed list of XEP-0004 §3.1.
type FormType string

// The types of a form.
const (
	FormToFill FormType = "form"
	FormSubmit FormType = "submit"
	FormCancel FormType = "cancel"
	FormResult FormType = "result"
)

// Field is a field of a Form. One from XMPP has Var, Type if it was said, and Values.
type Field struct {
	Var      string
	Type     FieldType
	Label    string
	Desc     string
	Required bool
	Values   []string
	Options  []Option // of a list
}

// FieldType is one of XEP-0004 §3.3; "" is text-single.
type FieldType string

// The types of fields that are used here.
const (
	FieldBoolean FieldType = "boolean"
	FieldFixed   FieldType = "fixed"
	FieldHidden  FieldType = "hidden"
	FieldJID     FieldType = "jid-single"
	FieldJIDs    FieldType = "jid-multi"
	FieldList    FieldType = "list-single"
	FieldLines   FieldType = "text-multi"
	FieldSecret  FieldType = "text-private"
	FieldText    FieldType = "text-single"
)

// Option is a choice of a list.
type Option struct{ Label, Value string }

// Value is the first value of a field, "" if there is none.
func (f *Form) Value(name string) string {
	if f != nil {
		for i := range f.Fields {
			if f.Fields[i].Var == name && len(f.Fields[i].Values) > 0 {
				return f.Fields[i].Values[0]
			}
		}
	}
	return ""
}

// All are the values of a field, none if there is no such field.
func (f *Form) All(name string) []string {
	if f != nil {
		for i := range f.Fields {
			if f.Fields[i].Var == name {
				return f.Fields[i].Values
			}
		}
	}
	return nil
}

// Has reports whether a form has a field of that name.
func (f *Form) Has(name string) bool {
	return f != nil && slices.ContainsFunc(f.Fields, func(one Field) bool { return one.Var == name })
}

// XMPPCommand is a step of an ad-hoc command (XEP-0050 §3), to the gateway itself. It is
// only ever read, and has to be answered once.
type XMPPCommand struct {
	From, To JID
	ID       string
	Lang     string // xml:lang of the stanza or the command, "" if absent
	Node     string
	Session  string // "" begins a new one
	Action   string // "execute" if none was said; else as it was written
	Form     *Form  // nil if there is none
}

// XMPPCommandReply answers a XMPPCommand. It is only ever written.
type XMPPCommandReply struct {
	From, To JID
	ID       string // of the XMPPCommand
	Lang     string // of the texts
	Node     string
	Session  string
	Status   string   // "executing", "completed", "canceled"
	Actions  []string // of those still possible: "prev", "next", "complete"
	Default  string   // one of Actions; "" if there are none
	Notes    []Note
	Form     *Form // nil: none

	// An error instead: Condition is that of XEP-0050 §4.4 beside it, such as
	// "bad-sessionid", "" if there is none.
	Failure   *Failure
	Condition string
}

// CommandItem is a command in the list of them (XEP-0050 §2.1).
type CommandItem struct {
	Node string
	Name string // as people are shown it
}

// Note is what a command says besides its form.
type Note struct {
	Type string // "info", "warn", "error"
	Text string
}

// XMPPRegister asks for, or changes, the registration of a user with the gateway
// (XEP-0077). It is only ever read, and has to be answered once.
type XMPPRegister struct {
	From, To JID
	ID       string
	Lang     string  // xml:lang of the stanza, "" if absent
	Set      bool    // else it asks
	Remove   bool    // of a set: the registration is to end
	More     bool    // there is something besides remove
	Fields   []Field // the plain elements of XEP-0077 §14.1, such as username
	Form     *Form   // the form instead of them, nil if there is none
}

// XMPPRegisterReply answers a XMPPRegister: with an error, with nothing (a set that was
// done), or with what is to be filled in. It is only ever written.
type XMPPRegisterReply struct {
	From, To JID
	ID       string // of the XMPPRegister
	Lang     string // of the texts

	Asked        bool // it answers a get: what follows counts
	Registered   bool
	Instructions string
	Fields       []Field // plain elements; without values they are to be filled in
	Form         *Form

	Failure *Failure
}

func (*XMPPCommand) isXMPP()       {}
func (*XMPPCommandReply) isXMPP()  {}
func (*XMPPRegister) isXMPP()      {}
func (*XMPPRegisterReply) isXMPP() {}
