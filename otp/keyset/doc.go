// Package keyset keeps the keys of a cluster: one that seals seeds, and one from which all
// HMACs are made. They live in one file of data_dir, which every node has a copy of.
//
//	keyset.json ──► sealing keys (AES-256-GCM, may rotate) ──► Seal, Open
//	            └─► MAC key (HMAC-SHA256, for good)         ──► MAC, Fingerprint
//
// Invariants: the file is readable by its owner alone, or the node does not start; it is written
// once, whole, or not at all; two nodes that start at once in one folder end with the same keys.
//
// Decision: the keys are in clear text in the file. Whatever could encrypt them would have to lie
// beside them; Tink's KMS envelopes are the way to do better, and fit in here.
package keyset
