// Package configs reads the configuration file, and holds the files that ship with the program.
//
//	otpgate.yaml ──► parse (syntax) ──► reader ──► sections ──► Config
//	                      │                │           │
//	                      └────────────────┴───────────┴──► Problems: all at once, with line and column
//
// Invariants:
//   - Nothing is guessed. An unknown key, a value outside its range, a secret that others can read,
//     is a problem; nothing is corrected silently.
//   - Every key has a working default, except names, addresses and secrets, which nobody can guess.
//   - A key that this version cannot honour does not exist: it is unknown, and says so.
//   - Secrets print as [redacted], whatever prints them.
//   - An address or a URL with something before an @ is printed without that: it may be a password.
//   - What a file names is read with it: authorities, certificates, keys. LDIF files are read by whoever
//     knows what they mean; see [Read].
//
// Each section is a plain function that asks a reader for its keys, so that the order of the
// problems is the order of the file, and adding a key is one line.
//
// gateways has a page for each profile; [Gateway] gives them to whoever has only the program, and tests
// load what they tell people to write.
//
// What a client leaves out, its profile says: habits is the table, with a reason on each row, and
// [Client.Explain] tells where each setting comes from. Who can hold what a setting gives up against
// somebody is in [Config.Warnings]; they do not keep a node from starting.
//
// Decisions:
//   - A profile may set message_authenticator below required, because required means no answer at all
//     for most programs in the field. It sets learn, not optional, and check says so.
//   - Hours are told by the clock on the wall, of a zone that is named: the machine's own may be any.
//   - YAML anchors, aliases, tags and merge keys are refused: they hide what applies where, and can
//     make a small file very large.
//   - An ldap:// URL without start_tls to another machine is refused, because passwords would
//     travel in clear text; insecure_plaintext: true says that this is wanted. Enrollment without a
//     certificate needs a proxy that is named, or on this machine: codes and seeds go through it.
//   - A secret's group may read it, because files that root installs for a service are root:otpgate 0640.
package configs
