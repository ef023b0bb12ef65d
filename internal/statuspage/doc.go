// Package statuspage has the pages on admin.listen that people look at: how the gateway does,
// what it has carried in the last hour, and what became of each of the recent messages.
//
//	/            the state of links, routes and queue, the last hour, the last errors
//	/messages    the recent messages, to be searched
//	/m/KEY       one message, with its ladder
//	/events      tells a page that there is news (server-sent events)
//	/login       takes admin.token, where there is one
//
// The pages are whole without JavaScript; with it they keep themselves up to date. Nothing in
// them comes from elsewhere, and their Content-Security-Policy lets nothing else in: style,
// script and icon are files of their own. What strangers have chosen - addresses, ids, reasons
// - goes through html/template, and what cannot be printed of it is shown as its code.
//
// The package asks for what it shows through Source. It keeps a sample every ten seconds, for
// an hour, and tells those who look on once a second at most that something has changed.
package statuspage
