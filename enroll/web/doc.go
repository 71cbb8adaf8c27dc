// Package web is what an HTTP server on the open Internet needs before it does anything: whose
// request is it, is it one that we take, may this source send another one, and what a refusal
// looks like.
//
//	request ──► Sources.Of ──► Limit.Take ──► Decode ──► handler ──► Write, Problem
//	            who asks       how often      strictly                security headers (Secure)
//
// What everybody gets the same of is a [Document]: whole or compressed, with a tag, and kept by
// browsers.
//
// # Invariants
//
//  1. X-Forwarded-For is believed from configured proxies only, and only as far as they wrote it.
//  2. A body is one flat JSON object of strings, at most 4 KiB, with no member twice, none
//     unknown, and nothing after it (RFC 8259 sections 4 and 9). What the calls need is no more.
//  3. Tables that strangers can fill have a fixed size, and none of them has all connections ([Doors]).
//  4. Every response carries the security headers; none carries a CORS header.
//  5. A problem document (RFC 9457) says what was wrong with the request, never anything about
//     an account.
//  6. Only what has no secret in it is compressed, once, before anybody asks: the length of a
//     compressed answer tells nothing that an attacker could have mixed in (BREACH).
package web
