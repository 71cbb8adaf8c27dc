// Package duplicates remembers requests and their replies, so that a retransmission gets the same
// octets again and is not processed twice (RFC 5080 section 2.2.2).
package duplicates
