// Package loglines writes a log in pieces: a write for each line costs as much as making it, and there is
// one for each login. What somebody must see is written at once. Lines of plain words and numbers it puts
// together itself, as slog would.
//
// What reads a log may stand still: a container's log driver, a terminal after Ctrl-S. Nobody who has something to
// say waits for that. Lines wait instead, [mostHeld] octets of them, and the others are dropped and counted; a line in
// their place says how many. Warnings and errors have some room of their own.
package loglines
