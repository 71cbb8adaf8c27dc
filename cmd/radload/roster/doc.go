// Package roster knows the enrolled devices that the generator logs in with: their names, their codes,
// and which of them may log in now.
//
//	CSV ──► Read ─┐                       ┌─► Next ──► Turn{device, step} ──► Name, Code, Password
//	master ► Derive ─► Roster (no pointer per device)
//	                       └─► WriteCSV (otpgate), WriteFreeRADIUS, WriteLDIF
//
// # Invariants
//
//  1. Every device logs in once per step, unless more is asked for: a second login with a code is a
//     replay, and [Turn.Again] says so.
//  2. Neither Next nor Code allocates, and a device costs 60 octets or so: a million of them are no load
//     for the collector.
//
// The arithmetic of codes is written down here once more (RFC 4226 section 5.3, RFC 6238 section 4), so
// that a fault in the server's does not hide behind the same one here.
package roster
