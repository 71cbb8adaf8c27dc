// Package loglines writes a log in pieces: a write for each line costs as much as making it, and there is
// one for each login. What somebody must see is written at once. Lines of plain words and numbers it puts
// together itself, as slog would.
package loglines
