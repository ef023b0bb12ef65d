// Package commands is the desk of the gateway: where users ask the gateway itself for
// something. It has the ad-hoc commands (XEP-0050; of XEP-0133 those that fit), the same as
// words in a chat with the gateway, and registration (XEP-0077).
//
// What a command needs of the rest of the program it asks for in the small interfaces of
// Options. What is not given there is not offered: the command is not in the list, and there
// is none of that name.
//
// Command, Register, Chat, Items and Outcome return at once and never wait for anybody. A
// command is carried out by one of a few workers, which Run has and waits for; what takes its
// time, as a registrar's answer does, holds no worker. Every command and registration is
// answered once, also when the desk closes. All that may grow has a bound: what waits, what a
// user has under way, what he may ask a second, sessions.
//
// A password goes from a form or a chat message to Accounts, and nowhere else: no answer, form,
// session or log line has it.
package commands
