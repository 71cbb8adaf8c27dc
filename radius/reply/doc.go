// Package reply knows which attributes an account's Access-Accept carries: those for everybody,
// those of its groups, and its groups themselves.
//
//	rules, groups to tell ──► Compile ──► Reply ──► For(account) ──► attributes
//	                             │
//	                             └──► Problems: rule, attribute, value, what is wrong, what is right
//
// Everything that can be wrong is found by [Compile]: names, types, templates, sizes. Values without
// templates are encoded then, once.
//
// # Invariants
//
//  1. What is sent is authorization. When a value does not fit its attribute at login time, or the
//     reply becomes too large, [Reply.For] returns an error and no attributes: the login is refused
//     rather than let in with a part of them. A template whose result is empty leaves its attribute
//     out: what the directory does not have restricts nobody. What it has and is too long to be read is
//     an error, like any other that does not fit, and so is a reply that depends on groups when not all
//     groups of the account are known.
//  2. Only the configuration and the directory are sent, never what somebody typed.
//  3. A template ends: no loops, no definitions, no variables, a few functions, 4,096 octets at most.
//  4. What comes from the directory is data, and cannot become attributes of its own: a group named
//     0x41 is not read as hexadecimal, one with a semicolon is not told where it would be read as two,
//     one that does not fit into a single attribute is not told, because its pieces would be read as
//     other groups. What a template makes is one attribute: longer, or with a line break or another
//     control character in it, it is an error. Only what the configuration itself says is divided.
//  5. Attributes that the server makes itself cannot be set: proofs, keys, State, Proxy-State,
//     EAP-Message, Message-Authenticator.
//  6. The same account gets the same attributes in the same order.
//
// # Rules
//
// Rules apply in their order: those without a group to everybody, the others to its members. Texts
// add up. A number, an address or a time without a tag is meant to be there once (Service-Type,
// Session-Timeout, a privilege level): what a later rule sets takes the place of what earlier ones
// set, unless it came out empty. The groups that are told come last.
//
// # Templates
//
// A value may be a text/template over the account: {{.Name}}, {{.Mail}}, {{.FullName}}, {{.DN}}, and
// {{.Attribute "employeeType"}}, which is the first value, or empty; with if, else, and, or, not, eq,
// ne, lower and upper. Whoever may write an attribute of the directory writes what the gateway reads
// there, and nothing else: 253 octets at most, 247 in a vendor's attribute, all of them printable.
package reply
