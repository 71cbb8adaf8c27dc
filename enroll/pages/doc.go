// Package pages holds what people look at in a browser, besides the app: how to get it (home), their
// devices (devices), and what is behind the link in the mail about a new device (revoke).
//
//	*.html, catalogue ──► New: every page in every language, once ──► Pages.Document
//	assets/*  ─ ─ integrity of each ─ ─ ┘                         └──► Pages.Asset
//
// # Invariants
//
//  1. A page is the same for everybody: who looks at it shows in no octet of it. What is about a
//     person, the script asks for, after a button was pressed, and keeps in memory.
//  2. No inline script or style, nothing from elsewhere, and every script and style is named with
//     its integrity (W3C Subresource Integrity), modules that others import included.
//  3. What comes from elsewhere (labels of devices, names) is set as text.
//  4. Opened where browsers give no secure context, a page says so and asks for nothing.
//
// # Decisions
//
//   - Written when the server starts: pages times languages is few, a template that fails fails
//     then, and serving one costs a comparison of its ETag.
//   - A module that others import is a script of its own on the page, before them: the browser then
//     has it already, checked, when the import asks for it. Import maps with integrity would have
//     to be inline.
//   - The language is in the address (?lang=pt), so that it can be linked to and needs no cookie.
//     While a page holds something that a reload would lose (a token that works once, a session),
//     its words are replaced in place, from the same page in the other language.
package pages
