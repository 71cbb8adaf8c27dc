// Package dictionary knows RADIUS attributes by name: their numbers and types, how a value that a
// person wrote becomes octets, and how octets read for a person.
//
//	built-in tables ──┐
//	                  ├──► New ──► Dictionary ──► Lookup(name) ──► Attribute ──► Encode(text) ──► Wire
//	FreeRADIUS files ─┘                      └──► Describe(Wire) ──► name, text
//
// # Names
//
// Attributes, vendors and values have the names that FreeRADIUS gives them, compared without regard
// to case. Built in are the standard attributes and those of the vendors whose gateways are
// described in the gateway recipes. Whoever needs others names files in FreeRADIUS's format; what
// they define takes the place of what is built in under the same name.
//
// # Values
//
//	string              text, UTF-8 without NUL
//	octets              text as it is, or 0x and hexadecimal digits
//	integer and its kin  a number (decimal, 0x, 0o), or the name of a VALUE
//	date                seconds since 1970, or RFC 3339
//	addresses, prefixes  as usual; an ipv6prefix is sent with all its 16 octets, as FreeRADIUS does
//
// An attribute with has_tag takes a tag before its value: ":1:VLAN" (RFC 2868 section 3). A text
// that is longer than an attribute becomes several of the same, divided between characters; nothing
// is ever cut off.
//
// Text that comes from elsewhere ([Attribute.EncodeText]) is data. Nothing is read into it: a group
// that is named 0x41 stays that. It is never divided, unless the attribute has concat, because a
// gateway reads each piece as an attribute of its own: a long name would end in whatever its owner
// likes, such as Cisco-AVPair = shell:priv-lvl=15. Control characters and line breaks are an error.
//
// # Divergences
//
//   - $INCLUDE is refused: the configuration names every file, so that it says what is read.
//   - Types tlv, struct, vsa, extended, evs and abinary are refused, at their line. So are vendors
//     whose format has a continuation octet (WiMAX).
//   - Attributes that have to be encrypted (encrypt=N) are known, so that they are not printed, but
//     have no Encode: they need the secret of the client and the request.
//   - A number with a leading zero is refused in a file (a value is decimal), because some read it as octal and some do not.
package dictionary
