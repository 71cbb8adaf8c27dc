// Package keyset keeps the keys of a cluster: those that seal seeds, and the one from which all
// HMACs are made. They live in one file of data_dir, which every node has a copy of.
//
//	keyset.json ──► sealing: Tink keyset, AES-256-GCM, may rotate ──► Seal, Open
//	            └─► prf:     Tink keyset, HMAC-SHA256, one key     ──► MAC, Fingerprint
//
// # Invariants
//
//  1. The file is readable by its owner alone, or the node does not start.
//  2. It is written once, whole and on disk, or not at all, and never over another: two processes
//     that start at once in one folder end with the same keys.
//  3. Nothing of a key is in an error, or in what a [Keys] prints.
//
// # Decisions
//
//   - The keys are in clear text in the file. Whatever could encrypt them would have to lie beside
//     them; Tink's KMS envelopes are the way to do better, and fit in here.
//   - The PRF keyset has one key, and keeps it: places, tickets and the store's binding to the
//     keyset ([Keys.Fingerprint]) are made with it. Sealing keys come and go without changing those.
//   - A damaged or exposed file is never repaired or replaced. Its seeds may be in a store
//     somewhere; whoever runs the node has to say what is to happen.
package keyset
