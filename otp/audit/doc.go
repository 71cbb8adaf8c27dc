// Package audit keeps the trail of who logged in where, and what operators did: one event, one
// line of JSON, appended to a file in data_dir and rotated by size.
//
//	Log.Record ──► bounded queue ──► one writer ──► audit.jsonl ──► audit-<time>.jsonl
//
// Recording never waits for the disk, unless the trail is required.
package audit
