// Package wal writes and reads one generation of a write-ahead log: a file that is appended to, and thrown
// away whole once what it says is kept elsewhere.
//
//	| head | entry | entry | entry | zeros ...            each begins at a multiple of 512 octets
//
// An entry is on disk when [File.Append] returns: one write and one fdatasync. The file grows ahead of its
// entries, zeros in front of them, so that most syncs write data and nothing about the file.
//
// # Invariants
//
//  1. [Read] delivers every entry whose Append has returned, in order, or an error. What a crash has left of
//     the last one is no entry: nobody was told of it.
//  2. A gap is not an end: when an entry follows what cannot be read, that is [ErrDamaged].
//  3. Nothing is appended behind a failure: what the file holds then is not known, so the owner goes on
//     with another generation.
//  4. A file is of one store and one generation. Another's is not read, nor what is left of it in this one:
//     both are in every checksum.
package wal
