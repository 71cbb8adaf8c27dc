// Package operator is the API by which operators' commands talk to a running node, and its client.
//
//	otpgate account, explain, device, … ──► Client ──► data_dir/operator.sock ──► Server ──► otp, directory, audit
//	                                                   mode 0600, HTTP, JSON
//
// # Invariants
//
//  1. Who may use the socket is who may open it: its mode is 0600 before anybody can connect.
//  2. Everything done is an audit event with the uid of who did it, as the kernel tells it
//     (SO_PEERCRED), never as the client says. Of an import each device is one, and on record before
//     it is stored: of a device that was there already, or was not stored, a second one says so.
//  3. A socket that a dead node left is replaced; one that answers is left alone.
//  4. Importing a file twice adds nothing the second time: a device's id is derived from its
//     account and seed.
//  5. No seed and no code is in an error, a log line or an event.
//  6. A device of which the store did not say that it was added is removed again. What may have been
//     done all the same is on record as "perhaps not done", never as "not done".
//  7. Nothing is added to a store before it has told that it is this node's.
//
// # Decisions
//
//   - HTTP, because it streams in both directions and nothing new has to be invented; no
//     versioning, because client and server are the same program.
//   - A command goes through the node, because the embedded store has one owner.
//   - Explaining a login tells whether a code would be let in. Who can ask can also add a device,
//     so it gives nothing away to them; that they asked is on record all the same.
//   - An import puts up to 500 devices on record with one fsync, before it stores them, and none of them
//     into the log. That takes an eighth of its time, and for a million 200 MB of the trail, which
//     pushes older files out where audit.keep is small.
//   - The import reads line by line, so that one broken line cannot swallow the rest, as a lost
//     quotation mark does in a CSV reader.
package operator
