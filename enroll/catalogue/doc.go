// Package catalogue holds every text that people read in mails, pages and the app: one file per
// language.
//
//	texts/en.json, texts/zh-Hant.json, texts/pt.json ──► Load ──► Catalogue.Pick(preferred, accept) ──► Texts
//
// Keys are mail.*, page.* and app.*; a text may hold {name}s, which are replaced, never formatted.
// Invariant, held by a test: all languages have the same keys with the same {name}s.
//
// Decision: JSON and {name} rather than Go templates, because the app in the browser reads the
// same texts with five lines of script.
package catalogue
