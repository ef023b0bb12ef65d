package mapping

// Watch is who wants to see whom, as a SUBSCRIBE says it.
type Watch struct {
	User    JID    // who is to be seen; bare
	Contact JID    // who wants to see him; bare
	Nick    string // what the contact calls itself (XEP-0172), "" if not said
}

// WatchOf reads the addresses of a SUBSCRIBE that came from SIP, as those of a message are
// read: the user is that of RecipientOf, the contact that of Sender. A domain alone is
// neither, for there is nobody to be asked, and nobody who asks.
func (r *Rules) WatchOf(v *SIPEvent) (Watch, error) {
	user, f := r.recipientOf(v.addressed())
	if f == nil && user.Local() == "" {
		f = notServed()
	}
	if f != nil {
		return Watch{}, f
	}
	contact, f := r.sender(v.From)
	if f == nil && contact.Local() == "" {
		f = addressFailure(ReasonForbidden, "Only a user may subscribe to presence.")
	}
	if f != nil {
		return Watch{}, f
	}
	return Watch{User: user.Bare(), Contact: contact.Bare(), Nick: nick(v.Name, &v.From)}, nil
}

// DeniesWatch is Denies for a SUBSCRIBE.
func (r *Rules) DeniesWatch(a Access, v *SIPEvent) bool { return r.Denies(a, v.addressed()) }

// addressed is a message that came by the same way to the same address.
func (v *SIPEvent) addressed() *SIPMessage {
	m := &SIPMessage{RequestURI: v.RequestURI, To: v.To, Here: v.Here, Routes: v.Ways}
	if !v.Account.IsZero() {
		m.Account = &v.Account
	}
	return m
}
