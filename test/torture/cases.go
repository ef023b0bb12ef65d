package main

// verdict is how what becomes of a message stands to what RFC 4475 says about it.
const (
	yes     = "yes"     // as it says
	allowed = "allowed" // it leaves a choice
	method  = "method"  // the method is refused before what the case is about
	no      = "no"
)

// cases are the messages of RFC 4475 and what becomes of them, as play puts it.
var cases = []struct {
	name, section string
	what          string
	udp, tcp      string
	verdict       string
	why           string
}{
	{"wsinv", "3.1.1.1", "valid: blanks, folding, compact and unknown headers", "405", "405", method, ""},
	{"intmeth", "3.1.1.2", "valid: every character that may be somewhere", "400", "400", no, "it has quoted control characters, a null among them, and stox refuses control characters in headers whether they are quoted or not (SEC-21); without them it gets 501"},
	{"esc01", "3.1.1.3", "valid: percent escapes in addresses", "405", "405", method, ""},
	{"escnull", "3.1.1.4", "valid: escaped nulls in addresses", "405", "405", method, "in a MESSAGE: 400 for such a sender, 404 for such a recipient; nobody in XMPP can have such a name, and nothing is cut at the null"},
	{"esc02", "3.1.1.5", "valid: percent signs that escape nothing", "501", "501", yes, "the method is not REGISTER"},
	{"lwsdisp", "3.1.1.6", "valid: no blank between display name and <", "200", "200", yes, ""},
	{"longreq", "3.1.1.7", "valid: long values", "405", "405", method, ""},
	{"dblreq", "3.1.1.8", "valid: a second request behind the first", "405", "405, 405, closed", yes, "a datagram is one message. In a stream the rest is the next message, and the octets by which it is longer than it says end the connection"},
	{"semiuri", "3.1.1.9", "valid: semicolons in the user part", "200", "200", yes, ""},
	{"transports", "3.1.1.10", "valid: unknown transports in Via", "200", "200", yes, ""},
	{"mpart01", "3.1.1.11", "valid: multipart with a binary part", "200, delivered", "200, delivered", yes, ""},
	{"unreason", "3.1.1.12", "valid: response, reason in another script", "nothing", "nothing", yes, "well formed, and dropped, as it answers nothing that was asked"},
	{"noreason", "3.1.1.13", "valid: response, no reason", "nothing", "nothing", yes, "as before"},
	{"badinv01", "3.1.2.1", "separators without anything between them", "400", "400", yes, ""},
	{"clerr", "3.1.2.2", "Content-Length beyond the end", "400", "nothing, waits for the rest", yes, "in a stream the rest may still come; half a minute later the connection is closed"},
	{"ncl", "3.1.2.3", "negative Content-Length", "400", "400, closed", yes, "nothing says where the next message begins"},
	{"scalar02", "3.1.2.4", "overlarge CSeq, Max-Forwards, Expires", "400", "400", yes, ""},
	{"scalarlg", "3.1.2.5", "response, overlarge CSeq and Retry-After", "nothing", "nothing", yes, "dropped"},
	{"quotbal", "3.1.2.6", "display name without its second quote", "400", "400", yes, ""},
	{"ltgtruri", "3.1.2.7", "<> around the Request-URI", "400", "400", yes, ""},
	{"lwsruri", "3.1.2.8", "blank in the Request-URI", "400", "400", yes, ""},
	{"lwsstart", "3.1.2.9", "two blanks in the request line", "400", "400", yes, ""},
	{"trws", "3.1.2.10", "blanks behind the request line", "400", "400", yes, ""},
	{"escruri", "3.1.2.11", "headers in the Request-URI", "405", "405", method, "in a MESSAGE the headers are dropped, as is allowed"},
	{"baddate", "3.1.2.12", "Date in another time zone", "405", "405", method, "in a MESSAGE such a Date is ignored, as is allowed"},
	{"regbadct", "3.1.2.13", "Contact with headers and without <>", "405", "405", method, "in a MESSAGE Contact is not read; in From it is 400"},
	{"badaspec", "3.1.2.14", "blanks within <>", "200", "200", allowed, "the blanks are ignored"},
	{"baddn", "3.1.2.15", "display names that should be quoted", "200", "200", allowed, "the quotes are inferred. Files of this message lack the empty line at the end, without which it is not whole (400 over UDP); it was added"},
	{"badvers", "3.1.2.16", "another version", "505", "505", yes, ""},
	{"mismatch01", "3.1.2.17", "another method in CSeq", "400", "400", yes, ""},
	{"mismatch02", "3.1.2.18", "the same for an unknown method", "400", "400", allowed, "syntax is judged before methods (RFC 3261 §8.2); the RFC would rather have 501"},
	{"bigcode", "3.1.2.19", "response, status beyond 699", "nothing", "nothing", yes, "dropped"},
	{"badbranch", "3.2.1", "branch without anything behind its cookie", "200", "200", allowed, "matched by the rules of RFC 2543"},
	{"insuf", "3.3.1", "no To, From and Call-ID", "400", "400", yes, ""},
	{"unkscm", "3.3.2", "Request-URI of an unknown scheme", "416", "416", yes, ""},
	{"novelsc", "3.3.3", "Request-URI of another scheme", "416", "416", yes, ""},
	{"unksm2", "3.3.4", "such addresses in To, From and Contact", "405", "405", method, "in a MESSAGE: To decides nothing, From is 400"},
	{"bext01", "3.3.5", "unknown extensions in Require", "420", "420", yes, ""},
	{"invut", "3.3.6", "unknown Content-Type", "405", "405", method, "in a MESSAGE 415"},
	{"regaut01", "3.3.7", "unknown scheme of Authorization", "405", "405", method, "in a MESSAGE it is ignored where nobody asked for it"},
	{"multi01", "3.3.8", "headers twice that may stand once", "400", "400", yes, ""},
	{"mcl01", "3.3.9", "two values of Content-Length", "400", "400, closed", yes, "nothing says where the next message begins"},
	{"bcast", "3.3.10", "response with a Via that is not ours", "nothing", "nothing", yes, "dropped"},
	{"zeromf", "3.3.11", "Max-Forwards 0", "200", "200", yes, "a MESSAGE gets 483"},
	{"cparam01", "3.3.12", "unknown parameter of Contact", "405", "405", method, "no registrar"},
	{"cparam02", "3.3.13", "unknown parameter of the address in it", "405", "405", method, "no registrar"},
	{"regescrt", "3.3.14", "headers in the address in it", "405", "405", method, "no registrar"},
	{"sdp01", "3.3.15", "Accept that nothing fits", "405", "405", method, "in a MESSAGE it is ignored, as the answer has no body"},
	{"inv2543", "3.4.1", "client of RFC 2543", "400", "400, closed", no, "From has no tag, and a repeat is known by its tag; MESSAGE is younger than tags, so no client of RFC 2543 sends it. Without branch and Max-Forwards it is accepted, over UDP also without Content-Length"},
}
