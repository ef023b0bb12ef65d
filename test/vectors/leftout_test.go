package vectors

// leftOut are the exchanges that the gateway cannot have yet, each with what it lacks:
// none at present.
var leftOut = map[string]string{}

// notYet are the members of lists that belong to features that are not built. A list
// that has one of them already fails.
var notYet = map[string][]string{}
